"""The moving average of weights: its arithmetic, and that it is what is validated, saved and continued."""

import pytest
import torch

from splade.training import Interrupted
from splade.training.step.weight_average import WeightAverage
from tests.training.test_trainer import Interrupting, raise_interrupt
from tests.training.toy import ToyExamples, ToyRetriever, rows, same, saved_weights, state_of, toy_trainer


def test_each_step_moves_the_average_towards_the_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
        average = WeightAverage(model, decay=0.5)
        model.weight.fill_(8.0)
    average.update(0)  # d = 1/10: 0.9 · 8
    assert average.averages["weight"].item() == pytest.approx(7.2)
    average.update(100)  # d = 1/2: halfway to 8
    assert average.averages["weight"].item() == pytest.approx(7.6)


def test_the_model_has_the_averages_inside_the_block_and_its_own_weights_after_it():
    model = torch.nn.Linear(2, 2)
    average = WeightAverage(model, 0.9)
    own = {name: weight.detach().clone() + 1 for name, weight in model.named_parameters()}
    average._put(own)
    with average.in_place():
        assert same(dict(model.named_parameters()), average.averages)
    assert same(dict(model.named_parameters()), own)


@pytest.mark.slow
def test_the_saved_model_is_the_average_and_the_training_goes_on_with_the_weights(tmp_path):
    quiet = {"monitoring_ckpt": None, "validation_loss_examples": 0}
    plain, averaged = (toy_trainer(tmp_path / str(decay), ema_decay=decay, **quiet) for decay in (0.0, 0.9))
    plain.run()
    averaged.run()
    assert same(state_of(plain)["model"], state_of(averaged)["model"])
    assert same(saved_weights(averaged.model_dir), state_of(averaged)["average"])
    assert not same(saved_weights(averaged.model_dir), saved_weights(plain.model_dir))


def test_the_average_of_one_step_is_nine_tenths_of_the_new_weights(tmp_path):
    quiet = {"monitoring_ckpt": None, "validation_loss_examples": 0, "nb_iterations": 1}
    first = {name: weight.clone() for name, weight in ToyRetriever(dropout=0.2).state_dict().items()}
    trainer = toy_trainer(tmp_path, ema_decay=0.999, **quiet)
    trainer.run()
    for name, weight in state_of(trainer)["model"].items():
        torch.testing.assert_close(saved_weights(trainer.model_dir)[name], 0.1 * first[name] + 0.9 * weight)


def test_an_interrupted_run_continues_with_the_same_average_bit_for_bit(tmp_path):
    straight = toy_trainer(tmp_path / "straight", ema_decay=0.9)
    straight.run()
    with pytest.raises(Interrupted):
        toy_trainer(tmp_path / "run", ema_decay=0.9, examples=Interrupting(4 * 7 + 2 + 12, raise_interrupt)).run()
    trainer = toy_trainer(tmp_path / "run", ema_decay=0.9)
    assert 0 < trainer.run().steps_now < 12
    for part in ("model", "average"):
        assert same(state_of(trainer)[part], state_of(straight)[part])
    assert same(saved_weights(trainer.model_dir), saved_weights(straight.model_dir))
    assert rows(tmp_path / "run") == rows(tmp_path / "straight")


@pytest.mark.slow
def test_an_interrupt_inside_validation_leaves_the_trained_weights_in_the_checkpoint(tmp_path):
    straight = toy_trainer(tmp_path / "straight", ema_decay=0.9)
    straight.run()
    with pytest.raises(Interrupted, match="after step 6"):
        toy_trainer(tmp_path / "run", ema_decay=0.9, examples=Interrupting(4 * 6 + 6 + 3, raise_interrupt)).run()
    trainer = toy_trainer(tmp_path / "run", ema_decay=0.9)
    trainer.run()
    assert same(state_of(trainer)["model"], state_of(straight)["model"])


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_a_decay_is_below_one(decay):
    with pytest.raises(ValueError, match=r"config\.ema_decay must be at least 0 and below 1"):
        toy_trainer("nowhere", ema_decay=decay, examples=ToyExamples())
