"""Training and resuming: the laws of the loop."""

import logging
import math
import os
import signal

import pytest
import torch

from splade.files import InputError, read_json
from splade.losses import DistilMarginMSE, InBatchPairwiseNLL, PairwiseNLL
from splade.regularization import FLOPS, ConstantRamp, Penalty
from splade.training import Interrupted
from tests.sampled import sampled
from tests.training.toy import ToyExamples, ToyRetriever, penalties, rows, same, saved_weights, state_of, toy_trainer


class Interrupting(ToyExamples):
    """Examples whose reading is interrupted, once, at the ``at``-th one."""

    def __init__(self, at, how):
        super().__init__()
        self.at, self.how = at, how

    def example(self, index, rng):
        if len(self.read) == self.at:
            self.at = -1
            self.how()
        return super().example(index, rng)


class Scripted:
    """A full ranking that gives the scores it was told, one after another."""

    def __init__(self, *scores):
        self.scores = list(scores)

    def __call__(self, model, metrics):
        return {"MRR@10": self.scores.pop(0)}


def raise_interrupt():
    raise KeyboardInterrupt


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    trainer = toy_trainer(tmp_path_factory.mktemp("straight"))
    return trainer, trainer.run()


def assert_same_end(trainer, straight):
    """Weights, optimizer, progress (best score, patience), window, random states, best model, log: all equal."""
    mine, theirs = state_of(trainer), state_of(straight[0])
    assert same(mine["model"], theirs["model"])
    for number, entry in theirs["optimizer"]["state"].items():
        assert same(mine["optimizer"]["state"][number], entry)
    assert mine["optimizer"]["param_groups"] == theirs["optimizer"]["param_groups"]
    assert mine["progress"] == theirs["progress"]
    assert torch.equal(mine["random"]["torch"], theirs["random"]["torch"])
    assert mine["random"]["python"] == theirs["random"]["python"]
    assert mine["random"]["numpy"] == theirs["random"]["numpy"]
    assert same(saved_weights(trainer.model_dir), saved_weights(straight[0].model_dir))
    assert rows(trainer.checkpoint_dir) == rows(straight[0].checkpoint_dir)


def test_training_learns_and_says_how_it_went(tmp_path):
    trainer = toy_trainer(tmp_path, nb_iterations=60, record_frequency=20, model=ToyRetriever())
    summary = trainer.run()
    losses = [row["loss"] for row in rows(tmp_path) if "loss" in row]
    assert losses[-1] < 0.6 * losses[0]
    assert (summary.steps, summary.steps_now, summary.stopped) == (60, 60, "all steps")
    assert summary.figures["validation_loss"] > 0
    assert f"best validation_loss {summary.best_score:.4f}" in summary.in_words()


@pytest.mark.thinned(2)
@pytest.mark.parametrize("how", sampled([press_ctrl_c, raise_interrupt]), ids=["signal", "raised"])
@pytest.mark.parametrize("at", [4 * 7 + 2, 4 * 8], ids=["inside a step", "at the start of a step"])
def test_an_interrupted_run_continues_to_the_same_end_bit_for_bit(tmp_path, straight, how, at):
    examples = Interrupting(at, how)
    # held-out examples are read too, six at steps 3 and 6
    examples.at += 12
    with pytest.raises(Interrupted, match="continues from there"):
        toy_trainer(tmp_path, examples=examples).run()
    trainer = toy_trainer(tmp_path, model=ToyRetriever(dropout=0.2, seed=9))
    summary = trainer.run()
    assert 0 < summary.steps_now < 12
    assert_same_end(trainer, straight)


def test_a_run_interrupted_in_the_middle_of_validation_validates_when_it_continues(tmp_path, straight):
    examples = Interrupting(4 * 6 + 6 + 3, raise_interrupt)  # the third held-out example at step 6
    with pytest.raises(Interrupted, match="after step 6"):
        toy_trainer(tmp_path, examples=examples).run()
    trainer = toy_trainer(tmp_path)
    assert trainer.run().steps_now == 6
    assert_same_end(trainer, straight)


def test_an_interrupt_before_the_first_step_leaves_nothing_behind(tmp_path, straight):
    with pytest.raises(Interrupted, match="starts again"):
        toy_trainer(tmp_path, examples=Interrupting(1, raise_interrupt)).run()
    assert not (tmp_path / "model").exists()
    trainer = toy_trainer(tmp_path)
    trainer.run()
    assert_same_end(trainer, straight)


def test_a_second_ctrl_c_inside_the_update_does_not_save_a_torn_state(tmp_path, straight, monkeypatch):
    trainer = toy_trainer(tmp_path)
    apply = trainer.parts.precision.apply

    def torn(optimizer):
        apply(optimizer)
        if trainer.progress.step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer.parts.precision, "apply", torn)
    with pytest.raises(Interrupted, match="from the last checkpoint"):
        trainer.run()
    assert state_of(trainer)["progress"][0] == 3
    resumed = toy_trainer(tmp_path)
    resumed.run()
    assert_same_end(resumed, straight)


def test_a_failure_keeps_the_last_checkpoint_and_resumes_from_it(tmp_path, straight):
    def fail():
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        toy_trainer(tmp_path, examples=Interrupting(4 * 7 + 12, fail)).run()
    trainer = toy_trainer(tmp_path)
    assert trainer.run().steps_now == 6
    assert_same_end(trainer, straight)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("cut", sampled([{"micro_batch_tokens": 30}, {"micro_batch_size": 1}]), ids=str)
def test_training_in_micro_batches_is_the_same_training_with_dropout_too(tmp_path, cut):
    ends = []
    for name, options in (("whole", {}), ("cut", cut)):
        trainer = toy_trainer(tmp_path / name, lr=1e-4, **options)
        trainer.run()
        ends.append((state_of(trainer)["model"], rows(tmp_path / name)))
    for name, weight in ends[0][0].items():
        torch.testing.assert_close(ends[1][0][name], weight, rtol=1e-5, atol=1e-5)
    for whole, cut in zip(ends[0][1], ends[1][1], strict=True):
        assert cut == pytest.approx(whole, rel=1e-4)


def test_micro_batches_may_change_when_a_run_continues(tmp_path):
    ends = []
    for name, size in (("same", None), ("other", 2)):
        toy_trainer(tmp_path / name, nb_iterations=6, lr=1e-4).run()
        trainer = toy_trainer(tmp_path / name, nb_iterations=9, lr=1e-4, micro_batch_size=size)
        assert trainer.run().steps_now == 3
        ends.append(state_of(trainer)["model"])
    for name, weight in ends[0].items():
        torch.testing.assert_close(ends[1][name], weight, rtol=1e-5, atol=1e-5)


def test_a_finished_training_is_left_as_it_is(straight):
    before = {path: path.stat().st_mtime_ns for path in straight[0].model_dir.parent.rglob("*") if path.is_file()}
    again = toy_trainer(straight[0].checkpoint_dir).run()
    assert again == straight[1]._replace(steps_now=0)
    assert "nothing to do" in again.in_words()
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_finished_training_may_grow(tmp_path):
    toy_trainer(tmp_path, nb_iterations=4).run()
    summary = toy_trainer(tmp_path, nb_iterations=6).run()
    assert (summary.steps, summary.steps_now) == (6, 2)


def test_other_settings_in_the_same_folder_are_refused_by_name_when_assembled(straight):
    with pytest.raises(InputError, match=r"trainer\.lr was 0\.02, is now 0\.03"):
        toy_trainer(straight[0].checkpoint_dir, lr=0.03)
    with pytest.raises(InputError, match=r"trainer\.n_examples was 24, is now 30"):
        toy_trainer(straight[0].checkpoint_dir, examples=ToyExamples(30))
    with pytest.raises(InputError, match=r"penalties\.FLOPS_query\.ramp\.target was 0\.02, is now 0\.5"):
        toy_trainer(straight[0].checkpoint_dir, penalties=penalties(lambda_q=0.5))
    with pytest.raises(InputError, match=r"run\.data was 'absent', is now 'other'"):
        toy_trainer(straight[0].checkpoint_dir, describe={"data": "other"})


def test_without_resume_the_earlier_training_is_discarded(tmp_path, caplog):
    toy_trainer(tmp_path, nb_iterations=2).run()
    with caplog.at_level(logging.WARNING):
        summary = toy_trainer(tmp_path, nb_iterations=2, lr=0.5, resume=False).run()
    assert summary.steps_now == 2
    assert "discarded" in caplog.text
    assert len(rows(tmp_path)) == 2


def test_a_discarded_training_leaves_neither_model_nor_logs_to_an_interrupted_new_one(tmp_path):
    toy_trainer(tmp_path, nb_iterations=3, tensorboard=True).run()
    (tmp_path / "config.yaml").write_text("kept: true")
    with pytest.raises(Interrupted, match="starts again"):
        toy_trainer(tmp_path, lr=0.5, resume=False, examples=Interrupting(1, raise_interrupt)).run()
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model_ckpt" / "last").exists()
    assert not (tmp_path / "tensorboard").exists()
    assert rows(tmp_path) == []
    assert (tmp_path / "config.yaml").exists()


@pytest.mark.parametrize("resume", [True, False])
def test_a_model_folder_of_another_program_is_refused_when_assembled_and_left_alone(tmp_path, resume):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="not a model saved here; choose"):
        toy_trainer(tmp_path, resume=resume)
    assert (tmp_path / "model" / "config.json").read_text() == "{}"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path, straight):
    again = toy_trainer(tmp_path / "again")
    again.run()
    assert_same_end(again, straight)
    other = toy_trainer(tmp_path / "other", seed=1)
    other.run()
    assert not same(state_of(other)["model"], state_of(straight[0])["model"])


def test_accumulated_batches_count_as_one_step_and_their_losses_are_averaged(tmp_path):
    quiet = {"penalties": [], "validation_loss_examples": 0, "monitoring_ckpt": None, "in_batch_negatives": False}
    ends = []
    for name, batch, accumulated in (("one", 8, 1), ("two", 4, 2)):
        trainer = toy_trainer(
            tmp_path / name,
            model=ToyRetriever(),
            loss=DistilMarginMSE(),
            examples=ToyExamples(teacher=True),
            train_batch_size=batch,
            gradient_accumulation_steps=accumulated,
            nb_iterations=6,
            lr=1e-3,
            **quiet,
        )
        assert trainer.run().steps == 6
        ends.append(rows(tmp_path / name))
    for one, two in zip(*ends, strict=True):
        for figure in ("step", "lr", "loss", "grad_norm", "epoch"):
            assert two[figure] == pytest.approx(one[figure], rel=1e-3)


def test_the_logged_rate_follows_the_schedule_of_optimizer_steps(tmp_path):
    toy_trainer(tmp_path, nb_iterations=6, warmup_steps=2, lr=0.1, train_monitoring_freq=1).run()
    rates = [row["lr"] for row in rows(tmp_path) if "lr" in row]
    assert rates == pytest.approx([0.05, 0.1, 0.1, 0.075, 0.05, 0.025])


def test_lambda_follows_its_ramp_over_steps(tmp_path):
    toy_trainer(tmp_path, nb_iterations=4, train_monitoring_freq=1, penalties=penalties(lambda_q=0.64)).run()
    logged = [row["lambda_FLOPS_query"] for row in rows(tmp_path) if "loss" in row]
    assert logged == pytest.approx([0.0, 0.01, 0.04, 0.09])


def test_a_lambda_of_zero_trains_as_no_penalty_does(tmp_path):
    ends = []
    for name, parts in (("zero", [Penalty("FLOPS", "query", FLOPS(), ConstantRamp(0.0))]), ("none", [])):
        trainer = toy_trainer(tmp_path / name, nb_iterations=3, penalties=parts)
        trainer.run()
        ends.append(state_of(trainer)["model"])
    assert same(*ends)


@pytest.mark.slow
def test_penalties_make_vectors_sparser(tmp_path):
    ends = []
    for name, strength in (("free", 0.0), ("held", 0.5)):
        model = ToyRetriever(bias=0.3)
        toy_trainer(tmp_path / name, nb_iterations=30, model=model, penalties=penalties(strength, strength)).run()
        ends.append([row["L0_d"] for row in rows(tmp_path / name) if "loss" in row][-1])
    assert ends[1] < 0.7 * ends[0]


def ranked(folder, *scores, **settings):
    options = {"nb_iterations": 3 * len(scores), "monitoring_ckpt": "MRR@10", "validation_metrics": ["MRR@10"]}
    return toy_trainer(folder, full_ranking=Scripted(*scores), **{**options, **settings})


def test_model_holds_the_best_weights_and_last_the_last(tmp_path):
    trainer = ranked(tmp_path, 0.2, 0.9, 0.5, 0.9)
    summary = trainer.run()
    assert (summary.best_score, summary.best_step, summary.steps) == (0.9, 6, 12)
    assert read_json(tmp_path / "model" / "splade.json") == {"training_step": 6}
    assert not same(saved_weights(tmp_path / "model"), state_of(trainer)["model"])


def test_the_best_of_a_loss_is_the_lowest(straight):
    figures = [row["validation_loss"] for row in rows(straight[0].checkpoint_dir) if "validation_loss" in row]
    assert len(figures) == 4
    assert straight[1].best_score == min(figures)


def test_overwrite_final_puts_the_last_weights_into_model(tmp_path):
    trainer = ranked(tmp_path, 0.9, 0.2, overwrite_final=True)
    summary = trainer.run()
    assert (summary.best_step, summary.model_step) == (3, 6)
    assert "at step 3; weights of step 6 in" in summary.in_words()
    assert read_json(tmp_path / "model" / "splade.json") == {"training_step": 6}
    assert same(saved_weights(tmp_path / "model"), state_of(trainer)["model"])


def test_the_summary_names_the_step_whose_weights_model_holds_also_when_a_run_grows(tmp_path):
    ranked(tmp_path, 0.9, 0.2, overwrite_final=True).run()
    with pytest.raises(InputError, match=r"trainer\.overwrite_final was True, is now False"):
        ranked(tmp_path, 0.1, nb_iterations=9)
    summary = ranked(tmp_path, 0.1, nb_iterations=9, overwrite_final=True).run()
    assert (summary.best_step, summary.model_step) == (3, 9)
    assert read_json(tmp_path / "model" / "splade.json") == {"training_step": 9}


def test_without_a_monitor_model_holds_the_last_weights(tmp_path):
    trainer = toy_trainer(tmp_path, monitoring_ckpt=None, validation_loss_examples=0, nb_iterations=5)
    trainer.run()
    assert same(saved_weights(tmp_path / "model"), state_of(trainer)["model"])


def test_early_stopping_stops_and_stays_stopped(tmp_path):
    settings = {"early_stopping": True, "patience": 2, "nb_iterations": 30}
    summary = ranked(tmp_path, 0.5, 0.6, 0.6, 0.1, 0.9, **settings).run()
    assert (summary.steps, summary.stopped, summary.best_step) == (12, "early stopping", 6)
    assert ranked(tmp_path, **settings).run().steps_now == 0


def test_patience_is_remembered_across_a_resume(tmp_path):
    settings = {"early_stopping": True, "patience": 2, "nb_iterations": 30}
    examples = Interrupting(
        4 * 10 + 6 * 3, raise_interrupt
    )  # in step 11, after the first validation without improvement
    with pytest.raises(Interrupted):
        ranked(tmp_path, 0.5, 0.6, 0.6, examples=examples, **settings).run()
    assert ranked(tmp_path, 0.1, 0.9, **settings).run().steps == 12


def test_early_stopping_without_a_figure_is_refused():
    with pytest.raises(InputError, match=r"config\.monitoring_ckpt"):
        toy_trainer("nowhere", early_stopping=True, monitoring_ckpt=None)


def test_a_loss_that_needs_a_teacher_is_refused_on_data_without_one():
    with pytest.raises(InputError, match="DistilMarginMSE needs teacher scores and ToyExamples has none"):
        toy_trainer("nowhere", loss=DistilMarginMSE(), in_batch_negatives=False)


def test_in_batch_negatives_that_were_not_turned_on_are_missed_loudly():
    with pytest.raises(InputError, match=r"config\.augment_pairs=in_batch_negatives"):
        toy_trainer("nowhere", loss=InBatchPairwiseNLL(), in_batch_negatives=False)


def test_a_loss_over_negatives_is_refused_on_data_without_them():
    with pytest.raises(InputError, match="needs 2 documents per query, ToyExamples gives 1"):
        toy_trainer("nowhere", loss=PairwiseNLL(), examples=ToyExamples(n_documents=1), in_batch_negatives=False)


def test_in_batch_negatives_that_a_loss_does_not_see_are_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        toy_trainer(tmp_path, loss=PairwiseNLL(), in_batch_negatives=True)
    assert "has no effect" in caplog.text


@pytest.mark.parametrize(
    "wrong", [{"nb_iterations": 0}, {"lr": -1.0}, {"patience": 0}, {"micro_batch_size": 0}, {"lr": math.nan}]
)
def test_a_setting_out_of_range_is_named_with_its_address(wrong):
    with pytest.raises(ValueError, match=rf"config\.{next(iter(wrong))} must be at least"):
        toy_trainer("nowhere", **wrong)


def test_a_loss_that_is_not_a_number_ends_training_and_keeps_the_checkpoint(tmp_path):
    trainer = toy_trainer(tmp_path)
    take = trainer.optimizer_step.take

    def poisoned(step):
        if step == 4:
            with torch.no_grad():
                trainer.model.head.bias.fill_(torch.nan)
        return take(step)

    trainer.optimizer_step.take = poisoned
    with pytest.raises(InputError, match=r"nan at step 5: training diverged\. Lower config\.lr") as caught:
        trainer.run()
    assert "another config.checkpoint_dir or with config.resume=false" in str(caught.value)
    assert all(torch.isfinite(weight).all() for weight in state_of(trainer)["model"].values())
    toy_trainer(tmp_path, lr=0.001, nb_iterations=3, resume=False).run()  # the advice, followed


def test_vectors_that_run_empty_are_told_loudly(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        toy_trainer(tmp_path, model=ToyRetriever(bias=-50.0), nb_iterations=2).run()
    assert "VECTORS COLLAPSE: 100.0% of the query vectors" in caplog.text


def test_bf16_trains_and_says_what_it_costs_on_a_cpu(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        trainer = toy_trainer(tmp_path, bf16=True, nb_iterations=2, micro_batch_size=2)
    assert "several times slower" in caplog.text
    trainer.run()
    assert all(weight.dtype == torch.float32 for weight in state_of(trainer)["model"].values())


def test_the_log_has_what_there_is_to_watch(straight):
    row = next(row for row in rows(straight[0].checkpoint_dir) if "loss" in row)
    wanted = {"step", "epoch", "lr", "grad_norm", "L0_q", "L0_d", "flops", "dead_q", "dead_d", "lambda_FLOPS_document"}
    assert wanted <= row.keys()


def test_validation_examples_are_never_trained_on(tmp_path):
    examples = ToyExamples()
    trainer = toy_trainer(tmp_path, examples=examples)
    held_out = set(trainer.validation.loss.held_out.tolist())
    for step in range(12):
        trainer.optimizer_step.take(step)
    assert len(held_out) == 6
    assert set(examples.read) == set(range(24)) - held_out


def test_a_model_folder_that_vanished_is_an_error_in_words(tmp_path):
    trainer = toy_trainer(tmp_path, nb_iterations=3)
    trainer.run()
    trainer.model_dir.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"model is gone: restore it"):
        toy_trainer(tmp_path, nb_iterations=3).run()
