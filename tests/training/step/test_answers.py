"""Which documents of a global batch answer which query, from judgements, equal texts and equal queries."""

import pytest
import torch

from splade.config import configure
from splade.data import HardNegatives, Mixed, Pairs, Triplets
from splade.files import InputError
from splade.losses import Contrastive, DistilMarginMSE, InBatchPairwiseNLL, KlDiv
from splade.records import Answers, Example, Text
from splade.training.step.answers import answer_keys, answers_of, text_hashes
from splade.training.step.objective import Objective
from tests.data.writing import jsonl, put, tsv
from tests.forked import run_well
from tests.training.step.test_global_batch import CUTS, agree, gradients, step_of
from tests.training.toy import ToyExamples, ToyRetriever, rng, toy_trainer


def example(query, *texts, answers=None):
    return Example(Text(query, query), tuple(Text(f"{query}{n}", text) for n, text in enumerate(texts)), None, answers)


def answers(batch):
    texts = [document.text for each in batch for document in each.documents]
    return answers_of(*answer_keys(batch), text_hashes(texts).view(len(batch), -1)).int().tolist()


def test_a_query_is_answered_by_its_positive_alone_where_nothing_else_is_known():
    assert answers([example("a", "x", "y"), example("b", "z", "w")]) == [[1, 0, 0, 0], [0, 0, 1, 0]]


def test_a_document_with_the_positives_text_answers_too_whoever_lists_it():
    assert answers([example("a", "x", "y"), example("b", "z", "x"), example("c", "x", "z")]) == [
        [1, 0, 0, 1, 1, 0],
        [0, 0, 1, 0, 0, 1],
        [1, 0, 0, 1, 1, 0],
    ]


def test_a_query_that_comes_twice_is_answered_by_both_positives():
    assert answers([example("a", "x"), example("a", "y"), example("b", "z")]) == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_other_judged_documents_answer_by_number_and_by_the_text_of_that_number():
    # query a is answered by numbers 1 and 5 of c; b lists number 5, whose text number 7 has as well
    batch = [
        example("a", "x", "y", answers=Answers("c", (1, 2), (1, 5))),
        example("b", "z", "five", answers=Answers("c", (3, 5), (3,))),
        example("d", "five", "w", answers=Answers("c", (7, 8), (7,))),
    ]
    assert answers(batch)[0] == [1, 0, 0, 1, 1, 0]
    assert answers(batch)[1] == [0, 0, 1, 0, 0, 0]


def test_a_number_of_another_collection_or_of_none_says_nothing():
    judged = example("a", "x", answers=Answers("c", (1,), (1, 5)))
    for other in (Answers("other", (5,), (5,)), None):
        assert answers([judged, example("b", "z", answers=other)])[0] == [1, 0]


def test_judgements_that_no_document_of_the_batch_meets_do_nothing():
    batch = [example("a", "x", answers=Answers("c", (0,), (0, 2**31, 2**40))), example("b", "z")]
    assert answers(batch) == [[1, 0], [0, 1]]


# ── the data ──


@pytest.fixture
def world(tmp_path):
    tsv(tmp_path / "q/raw.tsv", [("q1", "query 1"), ("q2", "query 2")])
    tsv(tmp_path / "d/raw.tsv", [(id, f"text {id}") for id in "abcdefg"])
    put(tmp_path / "qrels.txt", "q1 0 a 1\nq1 0 g 2\nq1 0 c 0\nq2 0 e 1\nq2 0 zz 1\n")
    scored = {"q1": {"a": 9.0, "b": 8.0, "c": 3.0}, "q2": {"b": 5.0, "e": 4.5, "d": 1.0}}
    jsonl(tmp_path / "scores.jsonl", [{"query_id": query, "scores": scores} for query, scores in scored.items()])
    return tmp_path


def source(world, **options):
    return HardNegatives(world, world / "q", world / "d", world / "qrels.txt", **options)


def test_hard_negatives_know_all_judged_documents_drawn_and_scored_or_not(world):
    for with_teacher in (True, False):
        found = source(world, with_teacher=with_teacher, n_negatives=2).example(0, rng())
        assert set(found.answers.judged) == {0, 6}  # a and g
        assert ["abcdefg"[number] for number in found.answers.listed] == [each.id for each in found.documents]


def test_what_the_teacher_tells_to_be_a_false_negative_is_none_in_the_batch_either(world):
    first, second = (source(world, margin=2.0).example(index, rng()).answers.judged for index in range(2))
    assert set(first) == {0, 6, 1}  # b scores 8, within 2 of a's 9
    assert set(second) == {4, 1}  # b scores 5, above e's 4.5


def test_pairs_know_all_judged_documents_of_their_query(world):
    pairs = Pairs(world / "q", world / "d", world / "qrels.txt")
    assert [pairs.example(index, rng()).answers for index in range(len(pairs))] == [
        Answers(pairs.documents.source, (0,), (0, 6)),
        Answers(pairs.documents.source, (6,), (0, 6)),
        Answers(pairs.documents.source, (4,), (4,)),
    ]


def test_a_mix_keeps_what_its_sets_know_and_triplets_know_nothing_but_texts(world):
    tsv(world / "t/raw.tsv", [("query 1", "text a", "text b")])
    mixed = Mixed({"t": Triplets(world / "t"), "n": source(world)})
    batch = [mixed.example(index, rng()) for index in range(3)]
    assert [each.answers is None for each in batch] == [True, False, False]
    assert answers(batch)[0][0] == 1


# ── the step ──


def judged_batch(n=8):
    """Every document answers the query after its own, too; the last positives have one text."""
    batch = [ToyExamples(n_documents=3).example(index, rng(index)) for index in range(n)]
    batch[-1] = batch[-1]._replace(documents=(batch[-2].documents[0], *batch[-1].documents[1:]))
    numbers = [tuple(int(document.id[1:]) for document in each.documents) for each in batch]
    return [
        each._replace(answers=Answers("toy", numbers[row], (numbers[row][0], *numbers[row - 1])))
        for row, each in enumerate(batch)
    ]


def test_masking_changes_the_loss_and_the_option_keeps_the_published_one():
    batch, losses = judged_batch(), {}
    for masked in (True, False):
        step = step_of(ToyRetriever())
        step.objective = Objective(
            InBatchPairwiseNLL(), [], in_batch=True, penalty_documents="slot", mask_answers=masked
        )
        losses[masked] = step.backward(step.share(batch), batch=0, step=5).logged["loss"]
    assert losses[True] < losses[False] - 1e-3
    plain = by_plain_autograd_loss(batch)
    assert losses[False] == pytest.approx(plain, rel=1e-5)


def by_plain_autograd_loss(batch):
    """The published loss by its formula: cross-entropy over all positives and the query's own negatives."""
    model, step = ToyRetriever().train(), step_of(ToyRetriever())
    share = step.share(batch)
    query, document = (
        model(side, *(torch.from_numpy(part) for part in share.tokens[side][1:3])) for side in ("query", "document")
    )
    document = document.unflatten(0, (len(batch), -1))  # [B, n, V]
    logits = torch.cat([query @ document[:, 0].T, torch.einsum("bv,bnv->bn", query, document[:, 1:])], dim=1)
    return torch.nn.functional.cross_entropy(logits, torch.arange(len(batch))).item()


@pytest.mark.thinned(4)
@pytest.mark.parametrize("make", [InBatchPairwiseNLL, lambda: Contrastive(in_batch=True)])
@pytest.mark.parametrize("cut", CUTS[2:6], ids=str)
def test_micro_batches_do_not_change_the_gradient_of_a_batch_with_answers(cut, make):
    agree(gradients(judged_batch(), loss=make())[0], gradients(judged_batch(), loss=make(), **cut)[0])


WORKER = """
import os, sys, torch
from datetime import timedelta
from torch import distributed
from splade.training.distributed.processes import own_share, sum_gradients
from tests.training.step.test_answers import gradients, judged_batch
from tests.training.toy import ToyRetriever

folder, parent = sys.argv[1], os.fork()
rank = int(parent == 0)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
                               timeout=timedelta(seconds=60))
found = {}
for name, known in (("judged", (0, 1)), ("judged by one", (0,)), ("texts", ())):
    model = ToyRetriever()
    first, end = own_share(7)
    batch = judged_batch(7)[first:end]
    if rank not in known:
        batch = [each._replace(answers=None) for each in batch]
    gradients(batch, 2, model=model, first=first)
    sum_gradients(model.parameters())
    found[name] = {name: parameter.grad for name, parameter in model.named_parameters()}
if rank:
    torch.save(found, f"{folder}/found.pt")
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one_with_answers_of_each_others_queries(tmp_path):
    run_well("-c", WORKER, tmp_path)
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    batch = judged_batch(7)
    agree(gradients(batch)[0], found["judged"])
    agree(gradients([*batch[:3], *(each._replace(answers=None) for each in batch[3:])])[0], found["judged by one"])
    agree(gradients([each._replace(answers=None) for each in batch])[0], found["texts"])


# ── the setting ──


def test_masking_is_on_unless_the_config_says_otherwise():
    assert configure("train").trainer.mask_answers is True
    assert configure("train", ["config.mask_answers=false"]).trainer.mask_answers is False
    many = {"SPLADE_CONFIG_NAME": "config_hf_splade_l1q"}
    assert configure("hf_train", ["config.mask_answers=false"], many).trainer.trainer.mask_answers is False


def test_a_training_begun_without_masking_goes_on_without_it_alone(tmp_path):
    toy_trainer(tmp_path, nb_iterations=3, mask_answers=False).run()
    with pytest.raises(InputError, match=r"trainer\.mask_answers was None, is now True"):
        toy_trainer(tmp_path, nb_iterations=6)
    assert toy_trainer(tmp_path, nb_iterations=6, mask_answers=False).run().steps == 6


def test_the_option_is_no_part_of_a_training_whose_loss_looks_at_no_other_query(tmp_path, caplog):
    settings = {"in_batch_negatives": False, "examples": ToyExamples(teacher=True)}
    for loss in (DistilMarginMSE(), KlDiv()):
        assert toy_trainer(tmp_path, loss=loss, **settings)._description["trainer"]["mask_answers"] is None
    assert "no effect" not in caplog.text
    toy_trainer(tmp_path, loss=KlDiv(), mask_answers=False, **settings)
    assert "config.mask_answers=false has no effect" in caplog.text
