"""Epochs and per-device batches, turned into steps of global batches."""

import pytest

from splade.files import InputError
from splade.training.hf_settings import scheduled, steps_of


def settings(n_examples: int, **given: object) -> dict:
    return scheduled(trainer=dict, examples=range(n_examples), **given)


def test_epochs_become_steps_rounded_up():
    made = settings(101, per_device_train_batch_size=5, gradient_accumulation_steps=2, num_train_epochs=3)
    assert (made["nb_iterations"], made["train_batch_size"], made["gradient_accumulation_steps"]) == (31, 5, 2)
    assert steps_of(100, 10, 0.1) == 1
    assert steps_of(30, 10, 0.7) == 3


def test_max_steps_and_warmup_steps_win_over_shares():
    made = settings(100, max_steps=40, num_train_epochs=3, warmup_ratio=0.1, lr=1.0)
    assert (made["nb_iterations"], made["warmup_steps"], made["lr"]) == (40, 4, 1.0)
    assert settings(100, max_steps=40, warmup_steps=7, warmup_ratio=0.1)["warmup_steps"] == 7


def test_examples_held_out_are_not_counted():
    assert settings(100, per_device_train_batch_size=10, num_train_epochs=1, held_out=20)["nb_iterations"] == 8
    with pytest.raises(InputError, match="hold out fewer"):
        settings(100, held_out=100)
