"""The training of rerankers: it learns, it continues exactly, and it refuses what it cannot use."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from splade import losses
from splade.files import InputError
from splade.models.rerankers import CrossEncoder, DuoT5, MonoT5, RankT5, load_reranker
from splade.records import Example, Text
from splade.training.interrupts import Interrupted
from splade.training.rerankers.reranking import RerankerTrainer
from tests.sampled import sampled
from tests.tiny import tiny_cross_encoder, tiny_t5

TOPICS = ["water sea river rain", "wheat rice bread milk", "king queen war law", "heart blood bone brain"]


class Topics:
    """Queries of one word; documents of the first topic are relevant to all of them, the others to none."""

    def __init__(self, n_negatives=2, teacher=False):
        self.n_documents, self.has_teacher = 1 + n_negatives, teacher

    def __len__(self):
        return 16

    def example(self, index, rng):
        others = (1 + rng.permutation(3))[: self.n_documents - 1]
        documents = tuple(Text(str(number), TOPICS[number]) for number in (0, *others))
        teacher = (1.0, *(0.0 for _ in others)) if self.has_teacher else None
        return Example(Text(str(index), " ".join(TOPICS).split()[index]), documents, teacher)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {"cross_encoder": tiny_cross_encoder(root / "ce", layers=1), "t5": tiny_t5(root / "t5", layers=1)}


@pytest.fixture
def trainer(folders, tmp_path):
    def make(kind=CrossEncoder, loss=None, examples=None, dropout=True, folder="run", **settings):
        reranker = kind(folders["cross_encoder" if kind is CrossEncoder else "t5"], max_length=96)
        if not dropout:
            for module in reranker.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        defaults = {"lr": 3e-3, "nb_iterations": 6, "train_batch_size": 4, "train_monitoring_freq": 1, "device": "cpu"}
        return RerankerTrainer(
            reranker,
            loss or losses.PairwiseNLL(),
            examples or Topics(),
            checkpoint_dir=tmp_path / folder,
            **{**defaults, **settings},
        )

    return make


def weights(trained):
    return {name: tensor.clone() for name, tensor in trained.reranker.state_dict().items()}


def log(trained):
    return [json.loads(line) for line in (trained.directory / "training_log.jsonl").read_text().splitlines()]


def assert_same(first, second):
    """The same weights, bit for bit."""
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)


def assert_like(first, second):
    """Losses and gradients agree at every step up to the order of additions."""
    for name in ("loss", "grad_norm"):
        np.testing.assert_allclose([line[name] for line in first], [line[name] for line in second], rtol=2e-3)


def test_training_puts_positives_first(trainer):
    trained = trainer(nb_iterations=20, lr=5e-3, warmup_steps=4, train_batch_size=8)
    summary = trained.run()
    assert summary.steps == 20
    assert log(trained)[-1]["loss"] < 0.3
    again = load_reranker(trained.directory / "model")
    right = 0
    for index in range(16):
        example = Topics(3).example(index, np.random.default_rng(0))
        right += int(again.score([(example.query.text, text.text) for text in example.documents]).argmax() == 0)
    assert right == 16


@pytest.mark.parametrize(
    ("kind", "loss"),
    sampled(
        [
            (CrossEncoder, losses.BCE()),
            (CrossEncoder, losses.KlDiv()),
            (RankT5, losses.PairwiseNLL()),
            (MonoT5, losses.BCE()),
            (DuoT5, losses.BCE()),
        ]
    ),
)
def test_every_kind_and_family_of_loss_takes_steps_that_lower_the_loss(trainer, kind, loss):
    examples = Topics(n_negatives=1 if kind is DuoT5 else 2, teacher=loss.needs_teacher)
    trained = trainer(kind, loss, examples, nb_iterations=20, train_batch_size=8, lr=5e-3)
    before = weights(trained)
    trained.run()
    found = [line["loss"] for line in log(trained)]
    assert np.mean(found[-3:]) < np.mean(found[:3])
    assert any(not torch.equal(before[name], after) for name, after in weights(trained).items())


@pytest.mark.parametrize("kind", sampled([CrossEncoder, RankT5, DuoT5]))
def test_micro_batches_give_the_gradient_of_the_whole_batch_with_dropout_too(trainer, kind):
    whole, cut = trainer(kind, folder="whole"), trainer(kind, folder="cut", micro_batch_size=3)
    whole.run()
    cut.run()
    assert_like(log(whole), log(cut))


@pytest.mark.parametrize("kind", sampled([CrossEncoder, RankT5]))
def test_states_computed_again_give_the_same_gradient_with_dropout_too(trainer, kind):
    kept, again = trainer(kind, folder="kept"), trainer(kind, folder="again", gradient_checkpointing=True)
    kept.run()
    again.run()
    assert_like(log(kept), log(again))


def test_two_accumulated_batches_are_one_of_twice_the_size(trainer):
    one = trainer(dropout=False, folder="one", train_batch_size=4)
    two = trainer(dropout=False, folder="two", train_batch_size=2, gradient_accumulation_steps=2)
    one.run()
    two.run()
    assert_like(log(one), log(two))


def test_steps_that_the_loss_scale_skips_are_told_and_a_training_of_nothing_else_ends_in_words(trainer):
    one = trainer(nb_iterations=3)
    one.precision.scaler, one.precision.columns = torch.amp.GradScaler("cpu"), ("loss_scale", "skipped")
    for parameter in one.reranker.parameters():
        parameter.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(InputError, match=r"the last 3 steps were skipped, up to step 3"):
        one.run()
    assert [(line["skipped"], line["loss_scale"]) for line in log(one)] == [(1, 2.0**15), (1, 2.0**14)]


def test_the_seed_decides_the_training(trainer):
    first, same, other = trainer(folder="a"), trainer(folder="b"), trainer(folder="c", seed=1)
    for each in (first, same, other):
        each.run()
    assert_same(weights(first), weights(same))
    assert log(first) == log(same)
    assert log(first) != log(other)


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_killed_training_continues_to_the_same_weights_and_log(trainer, monkeypatch):
    straight = trainer(folder="straight", nb_iterations=7, warmup_steps=2, record_frequency=3)
    straight.run()
    killed = trainer(folder="killed", nb_iterations=7, warmup_steps=2, record_frequency=3)
    step = RerankerTrainer._optimizer_step

    def die_at_five(self):
        if self.step == 5:
            raise Killed
        return step(self)

    monkeypatch.setattr(RerankerTrainer, "_optimizer_step", die_at_five)
    with pytest.raises(Killed):
        killed.run()
    assert [line["step"] for line in log(killed)] == [1, 2, 3, 4, 5]
    monkeypatch.undo()
    torch.rand(3)
    continued = trainer(folder="killed", nb_iterations=7, warmup_steps=2, record_frequency=3)
    assert continued.run().steps_now == 4
    assert_same(weights(straight), weights(continued))
    assert log(straight) == log(continued)


@pytest.mark.parametrize(
    ("number", "told"), sampled([(signal.SIGTERM, "stopped by SIGTERM"), (signal.SIGINT, "stopped")])
)
def test_a_signal_ends_the_step_and_saves_it(trainer, monkeypatch, number, told):
    interrupted = trainer()
    step = RerankerTrainer._optimizer_step

    def press(self):
        if self.step == 1:
            os.kill(os.getpid(), number)
        return step(self)

    monkeypatch.setattr(RerankerTrainer, "_optimizer_step", press)
    with pytest.raises(Interrupted, match=f"{told} after step 2"):
        interrupted.run()
    monkeypatch.undo()
    continued, straight = trainer(), trainer(folder="straight")
    straight.run()
    assert continued.run().steps_now == 4
    assert_same(weights(straight), weights(continued))


def test_a_finished_training_is_left_as_it_is(trainer):
    trainer().run()
    again = trainer()
    before = (again.directory / "model" / "reranker.json").stat().st_mtime_ns
    summary = again.run()
    assert summary.steps_now == 0
    assert "finished already" in summary.in_words()
    assert (again.directory / "model" / "reranker.json").stat().st_mtime_ns == before


def test_more_iterations_continue_a_finished_training(trainer):
    trainer(nb_iterations=2).run()
    assert trainer(nb_iterations=3).run().steps_now == 1


def test_a_model_is_whole_even_where_its_replacement_fails(trainer, monkeypatch):
    trainer(nb_iterations=2).run()
    longer = trainer(nb_iterations=4)
    save = CrossEncoder.save_pretrained

    def fail_half_way(self, folder, extra=None):
        save(self, folder, extra)
        (folder / "reranker.json").unlink()
        raise Killed

    monkeypatch.setattr(CrossEncoder, "save_pretrained", fail_half_way)
    with pytest.raises(Killed):
        longer.run()
    assert load_reranker(longer.directory / "model").score([("water", "sea")]).shape == (1,)
    assert sorted(path.name for path in longer.directory.iterdir()) == ["model", "model_ckpt", "training_log.jsonl"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr": 1e-4}, "lr was 0.003, is now 0.0001"),
        ({"loss": losses.BCE()}, "loss was"),
        ({"describe": {"data": "other"}}, "given.data"),
    ],
)
def test_another_training_does_not_continue_this_one(trainer, settings, words):
    trainer(nb_iterations=1).run()
    with pytest.raises(InputError, match=words):
        trainer(nb_iterations=2, **settings)


def test_without_resume_the_earlier_training_is_discarded(trainer):
    trainer(nb_iterations=2).run()
    summary = trainer(nb_iterations=1, lr=1e-4, resume=False).run()
    assert (summary.steps, summary.steps_now) == (1, 1)


def test_micro_batches_may_change_when_a_training_continues(trainer):
    trainer(nb_iterations=1).run()
    assert trainer(nb_iterations=2, micro_batch_size=1).run().steps_now == 1


def test_a_model_folder_of_another_program_is_refused_and_left_alone(trainer, tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not a model saved here"):
        trainer()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": losses.InBatchPairwiseNLL()}, "which a reranker does not: use PairwiseNLL"),
        ({"loss": losses.KlDiv()}, "needs teacher scores"),
        ({"examples": Topics(n_negatives=0)}, "needs 2 documents per query, the training data has 1"),
    ],
)
def test_missing_supervision_is_refused_before_training(trainer, settings, words):
    with pytest.raises(InputError, match=words):
        trainer(**settings)


def test_counts_are_checked_with_their_addresses(trainer):
    with pytest.raises(ValueError, match=r"config\.train_batch_size must be at least 1, got 0"):
        trainer(train_batch_size=0)


def test_a_loss_that_is_not_a_number_stops_in_words_and_saves_nothing(trainer):
    broken = trainer()
    with torch.no_grad():
        broken.reranker.backbone.classifier.weight.fill_(torch.nan)
    with pytest.raises(InputError, match=r"the loss is nan at step 1: .*config\.resume=false"):
        broken.run()
    assert not (broken.directory / "model").exists()


def test_a_reranker_with_a_new_head_starts_from_the_seed(folders, tmp_path):
    def start(seed):
        def make():
            made = CrossEncoder(folders["cross_encoder"], max_length=96)
            torch.nn.init.normal_(made.backbone.classifier.weight)
            return made

        return weights(
            RerankerTrainer(
                make, losses.BCE(), Topics(), checkpoint_dir=tmp_path, nb_iterations=1, train_batch_size=2, seed=seed
            )
        )

    assert_same(start(5), start(5))
    assert not torch.equal(start(5)["backbone.classifier.weight"], start(6)["backbone.classifier.weight"])
