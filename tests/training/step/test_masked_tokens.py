"""Mid-training: one gradient however the batch is cut, and a folder that any training starts from."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from splade.data import Texts
from splade.files import InputError
from splade.losses import InBatchPairwiseNLL, MaskedLanguageModel
from splade.models import Dense, Splade, SpladeDoc, load_retriever
from splade.models.backbones import buckets
from splade.models.backbones.layouts import find_head
from splade.regularization import FLOPS, L1, Penalty, QuadraticRamp
from splade.training import Trainer
from splade.training.step.objective import DocumentObjective
from splade.training.step.optimizer_step import GlobalBatchGradient
from tests.forked import run_well
from tests.tiny import tiny_decoder, tiny_encoder, tiny_mlm
from tests.training.step.test_global_batch import agree, still
from tests.training.toy import TOPICS, document, rng, rows, same, state_of, toy_trainer

PENALTIES = [Penalty("FLOPS", "document", FLOPS(), QuadraticRamp(0.4, 10))]
STEP = 5  # λ = 0.4 · (5 / 10)² = 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_mlm(tmp_path_factory.mktemp("mlm"), hidden=16)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "raw.tsv"
    lengths = np.random.default_rng(3).integers(1, 6, 24)
    path.write_text("".join(f"{n}\t{' '.join([document(n).text] * int(k))}\n" for n, k in enumerate(lengths)))
    return path


def batch_of(texts, n=7):
    source = Texts(texts)
    return [source.example(index, rng()) for index in range(n)]


def step_of(model, penalties=PENALTIES, size=None, tokens=None):
    objective = DocumentObjective(MaskedLanguageModel(0.3), penalties, in_batch=False, penalty_documents="slot")
    return GlobalBatchGradient(
        model,
        objective,
        seed=3,
        micro_batch_size=size,
        micro_batch_tokens=tokens,
        autocast=nullcontext,
        device=torch.device("cpu"),
    )


def gradients(model, batch, first=0, **cut):
    model.train()
    step = step_of(model, **cut)
    outcome = step.backward(step.share(batch, first), batch=2, step=STEP)
    return {name: part.grad for name, part in model.named_parameters() if part.grad is not None}, outcome


def by_plain_autograd(model, batch):
    """The same objective on all logits of transformers' own forward pass, with one mean and one backward."""
    step = step_of(model)
    share = step.share(batch)
    tokens, hidden = share.tokens["document"], step.masked_tokens.hide(share, 2, step.encode.seed)
    ids, mask, shown, chosen = (torch.from_numpy(part) for part in (tokens.input_ids, tokens.attention_mask, *hidden))
    logits = model.encoders["document"].mlm(input_ids=shown, attention_mask=mask).logits
    loss = F.cross_entropy(logits[chosen], ids[chosen])
    flops = model("document", ids, mask).mean(dim=0).square().sum()
    (loss + 0.1 * flops).backward()
    return {name: part.grad for name, part in model.named_parameters()}, loss.item(), flops.item()


CUTS = [{}, {"size": 2}, {"size": 1}, {"tokens": 40}, {"size": 3, "tokens": 60}]


@pytest.mark.thinned(4)
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("special", [True, False])
def test_the_gradient_is_that_of_the_mean_over_hidden_tokens_plus_flops_of_texts_as_they_are(
    folder, texts, cut, special
):
    def made():
        return still(Splade(folder, max_length=32, pool_special_tokens=special))

    expected, loss, flops = by_plain_autograd(made(), batch_of(texts))
    found, outcome = gradients(made(), batch_of(texts), **cut)
    agree(expected, found)
    assert outcome.logged["loss"] == pytest.approx(loss, rel=1e-5)
    assert outcome.logged["FLOPS_document"] == pytest.approx(flops, rel=1e-5)
    assert outcome.logged["total"] == pytest.approx(loss + 0.1 * flops, rel=1e-5)
    assert float(outcome.total) == pytest.approx(loss + 0.1 * flops, rel=1e-5)


@pytest.mark.slow  # as of a retriever, in test_global_batch.py
@pytest.mark.parametrize("arch", ["bert", "distilbert", "roberta"])
def test_micro_batches_and_buckets_do_not_change_the_gradient_of_a_model_with_dropout(
    tmp_path, texts, arch, monkeypatch, caplog
):
    tiny_mlm(tmp_path, arch=arch, hidden=16)
    batch = batch_of(texts)
    expected, outcome = gradients(Splade(tmp_path, max_length=32), batch)
    _, plain = gradients(still(Splade(tmp_path, max_length=32)), batch)
    assert abs(plain.logged["loss"] - outcome.logged["loss"]) > 1e-3
    for budget in (buckets.Budget(24, 1), buckets.Budget(2048, 48)):
        monkeypatch.setitem(buckets.BUDGETS, "cpu", budget)
        for cut in CUTS[1:]:
            agree(expected, gradients(Splade(tmp_path, max_length=32), batch, **cut)[0])
    assert "cannot be told apart" not in caplog.text


def test_a_scaled_loss_scales_every_gradient(folder, texts):
    expected, _ = gradients(Splade(folder), batch_of(texts))
    model = Splade(folder).train()
    step = step_of(model, size=3)
    step.backward(step.share(batch_of(texts)), 2, STEP, lambda total: total * 1024)
    agree(expected, {name: part.grad / 1024 for name, part in model.named_parameters()})


def test_every_batch_hides_other_tokens_and_the_same_batch_the_same_ones(folder, texts):
    step = step_of(Splade(folder))
    share = step.share(batch_of(texts))
    first, again, other = (step.masked_tokens.hide(share, number, step.encode.seed).chosen for number in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_evaluation_hides_the_same_tokens_each_time_and_leaves_no_gradient(folder, texts):
    model = Splade(folder, max_length=32).train()
    found = []
    for size in (None, 3, None):
        step = step_of(model, size=size)
        found.append(step.evaluate(step.share(batch_of(texts)), STEP).logged["loss"])
    assert found == pytest.approx(found[:1] * 3, rel=1e-6)
    assert model.training
    assert all(part.grad is None for part in model.parameters())


@pytest.mark.parametrize("arch", ["bert", "distilbert", "roberta", "modernbert"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # transformers 4 and ModernBERT
def test_logits_at_chosen_places_are_those_of_transformers_text_after_text(tmp_path, arch, monkeypatch):
    monkeypatch.setitem(buckets.BUDGETS, "cpu", buckets.Budget(24, 1))
    model = Splade(tiny_mlm(tmp_path, arch=arch))
    lengths = torch.tensor([3, 11, 1, 7, 11])
    ids = torch.randint(5, 60, (5, 11), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(11) < lengths[:, None]).long()
    places = (torch.rand(5, 11, generator=torch.Generator().manual_seed(1)) < 0.4) & mask.bool()
    places[1] = False
    encoder = model.encoders["document"]
    with torch.no_grad():
        expected = encoder.mlm(input_ids=ids, attention_mask=mask).logits[places]
        torch.testing.assert_close(encoder.logits_at(ids, mask, places), expected, rtol=1e-4, atol=1e-4)
        assert encoder.logits_at(ids, mask, places & False).shape == (0, model.vocab_size)


def test_no_logits_are_made_but_those_of_hidden_tokens(folder, texts):
    model, seen = Splade(folder, max_length=32).train(), []
    decoder = find_head(model.encoders["document"].mlm).decoder
    decoder.register_forward_hook(lambda _, given, __: seen.append(tuple(given[0].shape)))
    step = step_of(model, size=3)
    share = step.share(batch_of(texts))
    step.backward(share, 2, STEP)
    chosen = step.masked_tokens.hide(share, 2, step.encode.seed).chosen
    assert seen == [(int(chosen[part["document"]].sum()), 16) for part in share.parts]


# ── several processes ──

WORKER = """
import os, sys, torch
from datetime import timedelta
from torch import distributed
from splade.training.distributed.processes import own_share, sum_gradients
from splade.models import Splade
from tests.training.step.test_masked_tokens import batch_of, gradients, trainer

folder, parent = sys.argv[1], os.fork()
rank = int(parent == 0)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
                               timeout=timedelta(seconds=600))
found = {}
for name, cut in {"whole": {}, "cut": {"size": 2}, "tokens": {"tokens": 40 + 60 * rank}}.items():
    model = Splade(sys.argv[2], max_length=32)
    first, end = own_share(7)
    gradients(model, batch_of(sys.argv[3])[first:end], first, **cut)
    sum_gradients(model.parameters())
    found[name] = {name: parameter.grad for name, parameter in model.named_parameters()}
trainer(f"{folder}/sharded", sys.argv[2], sys.argv[3], fsdp=True, micro_batch_tokens=60 + 40 * rank).run()
torch.save(found, f"{folder}/rank{rank}.pt")
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


def trainer(checkpoint_dir, folder, texts, **settings):
    """Six steps with dropout, FLOPS and a validation by loss."""
    chosen = {
        "checkpoint_dir": checkpoint_dir,
        "nb_iterations": 6,
        "train_batch_size": 5,
        "lr": 1e-3,
        "warmup_steps": 1,
        "validation_loss_examples": 4,
        "monitoring_ckpt": "loss",
        "record_frequency": 2,
        "train_monitoring_freq": 1,
        "tensorboard": False,
        "gradient_accumulation_steps": 2,
    }
    model = Splade(folder, max_length=32)
    return Trainer(model, MaskedLanguageModel(), PENALTIES, Texts(texts), **(chosen | settings))


@pytest.mark.slow
def test_two_processes_give_the_gradient_of_one_and_train_to_the_same_end_spread_or_whole(tmp_path, folder, texts):
    run_well("-c", WORKER, tmp_path, folder, texts)
    expected, _ = gradients(Splade(folder, max_length=32), batch_of(texts))
    for rank in range(2):
        for found in torch.load(tmp_path / f"rank{rank}.pt", weights_only=True).values():
            agree(expected, found)
    alone = trainer(tmp_path / "alone", folder, texts)
    alone.run()
    agree(state_of(alone)["model"], state_of(trainer(tmp_path / "sharded", folder, texts))["model"], 2e-4)
    for one, two in zip(rows(tmp_path / "alone"), rows(tmp_path / "sharded"), strict=True):
        assert two == pytest.approx(one, rel=1e-3)


# ── a whole training ──


@pytest.mark.slow
def test_an_interrupted_mid_training_ends_with_the_weights_of_one_that_was_not(tmp_path, folder, texts):
    straight = trainer(tmp_path / "straight", folder, texts)
    straight.run()
    cut = trainer(tmp_path / "cut", folder, texts)
    take = cut.optimizer_step.take
    cut.optimizer_step.take = lambda step: take(step) if step < 3 else (_ for _ in ()).throw(RuntimeError("cut"))
    with pytest.raises(RuntimeError, match="cut"):
        cut.run()
    again = trainer(tmp_path / "cut", folder, texts)
    assert again.run().steps_now == 4  # the last checkpoint was that of step 2
    assert same(state_of(again)["model"], state_of(straight)["model"])
    assert rows(tmp_path / "cut") == rows(tmp_path / "straight")


@pytest.mark.slow
def test_the_loss_falls_and_any_training_starts_from_the_folder(tmp_path, folder, texts):
    trained = trainer(
        tmp_path / "mid", folder, texts, nb_iterations=20, train_batch_size=10, record_frequency=20, lr=3e-3
    )
    trained.run()
    losses = [row["loss"] for row in rows(tmp_path / "mid") if "loss" in row]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert type(load_retriever(trained.model_dir)) is Splade
    tuned = toy_trainer(
        tmp_path / "tuned", model=Splade(trained.model_dir, model_type_or_dir_q=trained.model_dir, max_length=16)
    )
    assert same(tuned.model.encoders["query"].state_dict(), Splade(trained.model_dir).encoders["document"].state_dict())
    assert tuned.run().steps == 12


def test_the_log_has_the_vectors_of_documents_alone(tmp_path, folder, texts, caplog):
    more = [*PENALTIES, Penalty("L1", "query", L1(), QuadraticRamp(0.1, 10))]
    model = Splade(folder, max_length=32)
    made = Trainer(
        model, MaskedLanguageModel(), more, Texts(texts),
        checkpoint_dir=tmp_path, nb_iterations=1, train_batch_size=4, train_monitoring_freq=1, tensorboard=False,
    )  # fmt: skip
    assert "config.regularizer.L1.lambda_q has no effect: this loss makes no vectors of the query side" in caplog.text
    made.run()
    [row] = rows(tmp_path)
    columns = {"loss", "total", "FLOPS_document", "lambda_FLOPS_document", "L0_d", "dead_d"}
    assert row.keys() == columns | {"step", "lr", "grad_norm", "epoch"}
    header = (tmp_path / "training_log.csv").read_text().splitlines()[0].split(",")
    assert set(header) == row.keys() | {"documents_per_second"}
    assert row["L0_d"] > 0


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda mlm, _: Dense(mlm), "Dense has no masked-language-model head"),
        (lambda mlm, _: SpladeDoc(mlm), "SpladeDoc has a query side of its own here"),
        (lambda mlm, _: Splade(mlm, model_type_or_dir_q=mlm), "Splade has a query side of its own here"),
        (lambda _, path: Splade(tiny_decoder(path)), "a model of type 'llama' is not one that finds hidden tokens"),
    ],
    ids=["dense", "inference-free", "two encoders", "decoder"],
)
def test_a_model_that_is_not_one_masked_language_model_is_refused_by_name(folder, texts, tmp_path, made, told):
    model = made(folder, tmp_path / "other")
    with pytest.raises(InputError, match=rf"config\.loss=MLM: {told}"):
        Trainer(
            model, MaskedLanguageModel(), [], Texts(texts),
            checkpoint_dir=tmp_path / "run", nb_iterations=1, train_batch_size=4,
        )  # fmt: skip


def test_a_head_that_would_be_newly_initialised_is_refused_unless_it_is_asked_for(tmp_path):
    tiny_encoder(tmp_path)
    with pytest.raises(InputError, match="no trained masked-language-model head"):
        Splade(tmp_path)
    step_of(Splade(tmp_path, head="new"))


def test_texts_train_by_two_masks_of_one_text_too(tmp_path, folder, texts):
    assert TOPICS[0] in Texts(texts).example(0, rng()).query.text
    model = Splade(folder, max_length=32)
    made = Trainer(
        model, InBatchPairwiseNLL(), [], Texts(texts),
        checkpoint_dir=tmp_path, nb_iterations=2, train_batch_size=4, in_batch_negatives=True, tensorboard=False,
    )  # fmt: skip
    assert made.run().steps == 2
