"""One step's gradient is the same however the batch is cut."""

import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from splade.files import InputError
from splade.losses import DistilMarginMSE, InBatchPairwiseNLL
from splade.models import Splade, buckets
from splade.records import Text
from splade.training.global_batch import GlobalStep
from splade.training.objective import Objective
from tests.conftest import ROOT
from tests.tiny import tiny_mlm
from tests.training.toy import ToyExamples, ToyRetriever, penalties, rng, rows, state_of, toy_trainer


def examples(n=8, **options):
    source = ToyExamples(**options)
    return [source.example(index, rng(index)) for index in range(n)]


def step_of(model, micro_batch_size=None, loss=None):
    objective = Objective(loss or InBatchPairwiseNLL(), penalties(), in_batch=True, penalty_documents="slot")
    return GlobalStep(
        model,
        objective,
        seed=3,
        micro_batch_size=micro_batch_size,
        autocast=nullcontext,
        device=torch.device("cpu"),
    )


def gradients(batch, micro_batch_size=None, dropout=0.0, loss=None, model=None):
    model = model or ToyRetriever(dropout=dropout)
    model.train()
    global_step = step_of(model, micro_batch_size, loss)
    outcome = global_step.backward(global_step.share(batch), batch=0, step=5)
    return {name: parameter.grad for name, parameter in model.named_parameters()}, outcome


def agree(first, second, tolerance=1e-5):
    for name, gradient in first.items():
        torch.testing.assert_close(second[name], gradient, rtol=tolerance, atol=tolerance, msg=name)


def by_plain_autograd(batch):
    """The same objective without any of the machinery: one forward of everything, one backward."""
    model = ToyRetriever()
    share = step_of(model).share(batch)
    tokens = share.micro_batches[0].tokens
    vectors = [model(side, *(torch.from_numpy(part) for part in tokens[side][1:])) for side in ("query", "document")]
    objective = step_of(model).objective
    objective(vectors[0], vectors[1].unflatten(0, (-1, share.n_documents)), share.teacher, 5).total.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("micro_batch_size", [None, 8, 4, 3, 1])
def test_micro_batches_do_not_change_the_gradient(micro_batch_size):
    batch = examples()
    found, outcome = gradients(batch, micro_batch_size)
    agree(by_plain_autograd(batch), found)
    assert outcome.logged["total"] == pytest.approx(gradients(batch)[1].logged["total"], rel=1e-6)


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


def test_dropout_with_cached_gradients_is_the_gradient_of_what_was_measured():
    batch = examples()
    found, _ = gradients(batch, 4, dropout=0.3)
    model = ToyRetriever(dropout=0.3)  # one graph over all micro-batches, with the dropout they had
    global_step = step_of(model, 4)
    vectors = [global_step._encode(micro, 0) for micro in global_step.share(batch).micro_batches]
    queries, documents = (torch.cat([each[side] for each in vectors]) for side in ("query", "document"))
    global_step.objective(queries, documents.unflatten(0, (-1, 2)), None, 5).total.backward()
    agree({name: parameter.grad for name, parameter in model.named_parameters()}, found)


def test_dropout_is_replayed_in_length_buckets_of_a_transformer(tmp_path, monkeypatch):
    folder, budget = tiny_mlm(tmp_path), buckets.Budget(24, 1)
    monkeypatch.setitem(buckets.BUDGETS, "cpu", budget)
    batch = examples()
    batch[1] = batch[1]._replace(query=Text("q1", "the heat of the sun and the water of the sea"))
    model = Splade(folder, max_length=16)
    found, _ = gradients(batch, 4, model=model)
    again, _ = gradients(batch, 4, model=Splade(folder, max_length=16))
    assert all(gradient is None or torch.equal(gradient, again[name]) for name, gradient in found.items())
    one_graph = Splade(folder, max_length=16).train()
    global_step = step_of(one_graph, 4)
    vectors = [global_step._encode(micro, 0) for micro in global_step.share(batch).micro_batches]
    queries, documents = (torch.cat([each[side] for each in vectors]) for side in ("query", "document"))
    global_step.objective(queries, documents.unflatten(0, (-1, 2)), None, 5).total.backward()
    expected = {name: part.grad for name, part in one_graph.named_parameters() if part.grad is not None}
    agree(expected, found)


def test_other_batches_meet_other_dropout_and_torchs_own_stream_is_left_alone():
    model = ToyRetriever(dropout=0.5).train()
    global_step = step_of(model)
    micro = global_step.share(examples()).micro_batches[0]
    before = torch.get_rng_state()
    same, other = global_step._encode(micro, 0), global_step._encode(micro, 1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(same["query"], global_step._encode(micro, 0)["query"])
    assert not torch.equal(same["query"], other["query"])


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
from tests.training.test_global_batch import examples, gradients
from splade.training.processes import anywhere, on_first_rank, same_start, sum_gradients
from tests.training.toy import ToyRetriever, state_of, toy_trainer

folder, parent = sys.argv[1], os.fork()
rank = int(parent == 0)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
                               timeout=timedelta(seconds=60))
assert anywhere(rank == 1, torch.device("cpu")) and not anywhere(False, torch.device("cpu"))
assert on_first_rank(lambda: rank) == 0
found = {}
for size in (0, 2):
    model = ToyRetriever(seed=rank)
    same_start(model)
    gradients(examples()[4 * rank:4 * rank + 4], size or None, model=model)
    sum_gradients(model.parameters())
    found[size] = {name: parameter.grad for name, parameter in model.named_parameters()}
toy_trainer(f"{folder}/run", model=ToyRetriever(), lr=1e-4).run()
torch.save(found, f"{folder}/rank{rank}.pt")
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


def test_two_processes_give_the_gradient_and_the_training_of_one(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", WORKER, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    expected = gradients(examples())[0]
    for rank in range(2):
        for found in torch.load(tmp_path / f"rank{rank}.pt", weights_only=True).values():
            agree(expected, found)
    alone = toy_trainer(tmp_path / "alone", model=ToyRetriever(), lr=1e-4)
    alone.run()
    agree(state_of(alone)["model"], state_of(toy_trainer(tmp_path / "run", lr=1e-4))["model"], 1e-4)
    for one, two in zip(rows(tmp_path / "alone"), rows(tmp_path / "run"), strict=True):
        assert two == pytest.approx(one, rel=1e-4)
