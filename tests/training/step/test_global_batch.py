"""One step's gradient is the same however the batch is cut."""

from contextlib import nullcontext
from functools import partial

import pytest
import torch

from splade.files import InputError
from splade.losses import DistilMarginMSE, InBatchPairwiseNLL
from splade.models import Splade, SpladeMlp, SpladeTable
from splade.models.backbones import buckets
from splade.models.backbones.packed import blocks
from splade.models.heads import max_pooling, second_pass
from splade.records import Text
from splade.training.step.batch_share import SIDES
from splade.training.step.objective import Objective
from splade.training.step.optimizer_step import GlobalBatchGradient
from tests.forked import run_well
from tests.sampled import sampled
from tests.tiny import tiny_mlm
from tests.training.toy import ToyExamples, ToyRetriever, penalties, rng, rows, state_of, toy_trainer


def examples(n=8, **options):
    source = ToyExamples(**options)
    return [source.example(index, rng(index)) for index in range(n)]


def step_of(model, micro_batch_size=None, loss=None, tokens=None):
    objective = Objective(loss or InBatchPairwiseNLL(), penalties(), in_batch=True, penalty_documents="slot")
    return GlobalBatchGradient(
        model,
        objective,
        seed=3,
        micro_batch_size=micro_batch_size,
        micro_batch_tokens=tokens,
        autocast=nullcontext,
        device=torch.device("cpu"),
    )


def gradients(batch, micro_batch_size=None, dropout=0.0, loss=None, model=None, tokens=None, first=0):
    model = model or ToyRetriever(dropout=dropout)
    model.train()
    global_step = step_of(model, micro_batch_size, loss, tokens)
    outcome = global_step.backward(global_step.share(batch, first), batch=0, step=5)
    found = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    return found, outcome


def vectors_of(model, batch, number=0, side="query", **cut):
    global_step = step_of(model, **cut)
    share = global_step.share(batch)
    return global_step.encode(share, share.parts[0], number)[side]


def agree(first, second, tolerance=1e-5):
    for name, gradient in first.items():
        torch.testing.assert_close(second[name], gradient, rtol=tolerance, atol=tolerance, msg=name)


def by_plain_autograd(batch):
    """The same objective without any of the machinery: one forward of everything, one backward."""
    model = ToyRetriever()
    share = step_of(model).share(batch)
    vectors = [model(side, *(torch.from_numpy(part) for part in share.tokens[side][1:3])) for side in SIDES]
    objective = step_of(model).objective
    objective(vectors[0], vectors[1].unflatten(0, (-1, share.n_documents)), share.teacher, 5).total.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


CUTS = [{}, *({"micro_batch_size": size} for size in (8, 4, 3, 1)), *({"tokens": n} for n in (1, 40, 100, 1000))]
CUTS.append({"micro_batch_size": 3, "tokens": 40})


@pytest.mark.thinned(3)
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_micro_batches_do_not_change_the_gradient(cut):
    batch = examples()
    found, outcome = gradients(batch, **cut)
    agree(by_plain_autograd(batch), found)
    assert outcome.logged["total"] == pytest.approx(gradients(batch)[1].logged["total"], rel=1e-6)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_micro_batches_do_not_change_the_gradient_of_a_model_with_dropout(cut):
    batch = examples(n_documents=3)
    whole, _ = gradients(batch, dropout=0.4)
    agree(whole, gradients(batch, dropout=0.4, **cut)[0])
    assert not torch.allclose(whole["head.weight"], gradients(batch)[0]["head.weight"], atol=1e-3)


def test_micro_batches_do_not_change_the_gradient_of_distillation_with_several_negatives():
    batch = examples(n_documents=4, teacher=True)
    agree(gradients(batch, loss=DistilMarginMSE())[0], gradients(batch, 3, loss=DistilMarginMSE())[0])


@pytest.mark.parametrize("micro_batch_size", [None, 3])
def test_a_scaled_loss_scales_every_gradient(micro_batch_size):
    batch, model = examples(), ToyRetriever()
    global_step = step_of(model, micro_batch_size)
    global_step.backward(global_step.share(batch), 0, 5, lambda total: total * 1024)
    agree(gradients(batch)[0], {name: parameter.grad / 1024 for name, parameter in model.named_parameters()})


def test_a_penalty_taken_per_micro_batch_would_be_another_one():
    batch = examples()
    halves = [gradients(half)[0]["head.weight"] for half in (batch[:4], batch[4:])]
    assert not torch.allclose(sum(halves) / 2, gradients(batch)[0]["head.weight"], atol=1e-4)


def test_both_passes_of_a_micro_batch_meet_the_same_dropout():
    class Remembering(ToyRetriever):
        def forward(self, *arguments):
            vectors = super().forward(*arguments)
            self.seen = [*getattr(self, "seen", []), vectors.detach().clone()]
            return vectors

    model = Remembering(dropout=0.5)
    gradients(examples(), 4, model=model)
    first, second = model.seen[:4], model.seen[4:]
    assert [mode for _, _, mode in model.calls] == [False] * 4 + [True] * 4
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[2])


@pytest.mark.slow
@pytest.mark.parametrize(
    "arch", ["bert", *(pytest.param(arch, marks=pytest.mark.slow) for arch in ("distilbert", "roberta"))]
)
def test_a_transformer_with_dropout_has_one_gradient_however_its_texts_are_cut_and_bucketed(
    tmp_path, monkeypatch, arch, caplog
):
    folder = tiny_mlm(tmp_path, arch=arch)
    batch = examples()
    batch[1] = batch[1]._replace(query=Text("q1", "the heat of the sun and the water of the sea"))
    expected, outcome = gradients(batch, model=Splade(folder, max_length=16))
    _, plain = gradients(batch, model=still(Splade(folder, max_length=16)))
    assert abs(plain.logged["loss"] - outcome.logged["loss"]) > 1e-3
    for cut in ({}, {"micro_batch_size": 4}, {"tokens": 48}, {"micro_batch_size": 3, "tokens": 20}):
        for budget in (buckets.Budget(24, 1), buckets.Budget(2048, 48)):
            monkeypatch.setitem(buckets.BUDGETS, "cpu", budget)
            agree(expected, gradients(batch, model=Splade(folder, max_length=16), **cut)[0])
    assert "cannot be told apart" not in caplog.text


@pytest.mark.parametrize(("limit", "products"), [(0.25, 1), (-1.0, 2)])
def test_the_second_encoding_leaves_the_product_with_the_vocabulary_out(tmp_path, monkeypatch, limit, products):
    folder, counted = tiny_mlm(tmp_path), []
    monkeypatch.setattr(second_pass, "FEW", limit)
    monkeypatch.setattr(max_pooling, "blocks", lambda packed: counted.append(1) or blocks(packed))
    expected, _ = gradients(examples(), model=Splade(folder, max_length=16))
    assert len(counted) == 1
    found, _ = gradients(examples(), 4, model=Splade(folder, max_length=16))
    assert len(counted) == 1 + 2 * products
    agree(expected, found)


def still(model):
    for module in model.modules():
        for name in ("p", "dropout_prob", "attention_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


def test_eager_attention_draws_by_text_too(tmp_path, caplog):
    folder = tiny_mlm(tmp_path)
    ends = []
    for size in (None, 3):
        model = Splade(folder, max_length=16)
        model.encoders["document"].mlm.set_attn_implementation("eager")
        ends.append(gradients(examples(), size, model=model)[0])
    agree(*ends)
    assert not caplog.text


class Noisy(ToyRetriever):
    def forward(self, side, input_ids, attention_mask):
        return super().forward(side, input_ids, attention_mask) * (1 + 0.1 * torch.rand(len(input_ids), 1))


def test_random_numbers_that_no_text_owns_are_reported_once_and_still_replayed(caplog):
    batch = examples()
    whole, cut = gradients(batch, model=Noisy())[0], gradients(batch, 4, model=Noisy())[0]
    assert not torch.allclose(whole["head.weight"], cut["head.weight"], atol=1e-5)
    agree(cut, gradients(batch, 4, model=Noisy())[0], 0.0)
    assert caplog.text.count("cannot be told apart by text (not through torch's dropout functions)") == 3
    assert len(caplog.records) == 3  # one for each of three trainings


def test_other_batches_meet_other_dropout_and_torchs_own_stream_is_left_alone():
    model = ToyRetriever(dropout=0.5).train()
    before = torch.get_rng_state()
    same, other = vectors_of(model, examples()), vectors_of(model, examples(), 1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(same, vectors_of(model, examples()))
    assert not torch.equal(same, other)


def test_a_query_and_a_document_of_one_number_and_text_meet_different_masks():
    text = Text("x", "the heat of the sun")
    batch = [examples(1)[0]._replace(query=text, documents=(text, text))]
    model = ToyRetriever(dropout=0.5).train()
    query, documents = vectors_of(model, batch), vectors_of(model, batch, side="document")
    assert not torch.equal(query[0], documents[0])
    assert not torch.equal(documents[0], documents[1])


def test_one_micro_batch_is_encoded_once_and_several_twice():
    for size, expected in ((None, 2), (4, 8)):
        model = ToyRetriever()
        gradients(examples(), size, model=model)
        assert len(model.calls) == expected


def test_a_side_without_gradient_is_not_encoded_again():
    class QueriesOnly(ToyRetriever):
        def forward(self, side, input_ids, attention_mask):
            vectors = super().forward(side, input_ids, attention_mask)
            return vectors if side == "query" else vectors.detach()

    model = QueriesOnly()
    batch = examples()
    found, _ = gradients(batch, 2, model=model)
    agree(gradients(batch, model=QueriesOnly())[0], found)
    again = [side for side, _, with_graph in model.calls if with_graph]
    assert again == ["query", "document", "query", "query", "query"]


def test_evaluation_has_no_dropout_and_leaves_no_gradient():
    model = ToyRetriever(dropout=0.5).train()
    plain = step_of(ToyRetriever()).evaluate(step_of(model).share(examples()), 5)
    for size in (None, 3):
        outcome = step_of(model, size).evaluate(step_of(model, size).share(examples()), 5)
        assert outcome.logged["total"] == pytest.approx(plain.logged["total"], rel=1e-6)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_examples_of_unequal_size_are_refused_by_query():
    batch = examples()
    batch[3] = batch[3]._replace(documents=(*batch[3].documents, Text("x", "x")))
    with pytest.raises(InputError, match="'q3' comes with 3 documents, query 'q0' with 2"):
        step_of(ToyRetriever()).share(batch)


def test_a_text_without_words_takes_part():
    batch = examples()
    batch[0] = batch[0]._replace(query=Text("q0", ""))
    agree(by_plain_autograd(batch), gradients(batch, 2)[0])


WORKER = """
import os, sys, torch
from datetime import timedelta
from torch import distributed
from tests.training.step.test_global_batch import examples, gradients
from splade.training.distributed.processes import anywhere, on_first_rank, own_share, same_start, sum_gradients
from tests.training.toy import ToyRetriever, state_of, toy_trainer

folder, parent = sys.argv[1], os.fork()
rank = int(parent == 0)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
                               timeout=timedelta(seconds=600))
assert anywhere(rank == 1, torch.device("cpu")) and not anywhere(False, torch.device("cpu"))
assert on_first_rank(lambda: rank) == 0
found = {}
for name, cut in {"whole": {}, "cut": {"micro_batch_size": 2}, "tokens": {"tokens": 40 + 60 * rank}}.items():
    model = ToyRetriever(dropout=0.3, seed=rank)
    same_start(model)
    first, end = own_share(7)
    gradients(examples(7)[first:end], model=model, first=first, **cut)
    sum_gradients(model.parameters())
    found[name] = {name: parameter.grad for name, parameter in model.named_parameters()}
toy_trainer(f"{folder}/run", lr=1e-4).run()
torch.save(found, f"{folder}/rank{rank}.pt")
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


def test_two_processes_give_the_gradient_and_the_training_of_one(tmp_path):
    run_well("-c", WORKER, tmp_path)
    expected = gradients(examples(7), dropout=0.3)[0]
    for rank in range(2):
        for found in torch.load(tmp_path / f"rank{rank}.pt", weights_only=True).values():
            agree(expected, found)
    alone = toy_trainer(tmp_path / "alone", lr=1e-4)
    alone.run()
    agree(state_of(alone)["model"], state_of(toy_trainer(tmp_path / "run", lr=1e-4))["model"], 1e-4)
    for one, two in zip(rows(tmp_path / "alone"), rows(tmp_path / "run"), strict=True):
        assert two == pytest.approx(one, rel=1e-4)


QUERY_SIDES = {
    "learned table": SpladeTable,
    "weights of an encoder": SpladeMlp,
    "one encoder, pooled by side": partial(Splade, agg_q="sum", top_q=9),
}


@pytest.mark.thinned(3)
@pytest.mark.parametrize("kind", sampled(QUERY_SIDES, "weights of an encoder"))
def test_micro_batches_do_not_change_the_gradient_of_any_query_side(kind, tmp_path):
    folder = tiny_mlm(tmp_path, layers=1)

    def made():
        model = QUERY_SIDES[kind](folder, max_length=16)
        for parameter in model.parameters():  # away from zeros, with the same numbers each time
            parameter.data.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)), alpha=0.02)
        return model

    batch = [
        example._replace(query=Text("q", word), documents=tuple(Text("d", f"{word} of the sea") for _ in range(2)))
        for example, word in zip(
            examples(), ["bee", "king", "ship", "bank", "train", "honey", "sun", "moon"], strict=True
        )
    ]
    whole, _ = gradients(batch, model=made())
    for cut in ({"micro_batch_size": 3}, {"tokens": 40}):
        agree(whole, gradients(batch, model=made(), **cut)[0])
