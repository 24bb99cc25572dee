"""Global batches are functions of the seed, and nothing else."""

import numpy as np
import pytest

from splade.files import InputError
from splade.training.step.sampling import GlobalBatches, split_validation


def drawn(batches, number):
    return [draw.index for draw in batches[number]]


def test_an_epoch_is_a_permutation_of_the_examples():
    batches = GlobalBatches(np.arange(10, 22), 4, seed=3)
    first = [index for number in range(3) for index in drawn(batches, number)]
    second = [index for number in range(3, 6) for index in drawn(batches, number)]
    assert sorted(first) == sorted(second) == list(range(10, 22))
    assert first != second


def test_a_batch_is_the_same_whatever_was_asked_before():
    examples = np.arange(7)
    forwards = [GlobalBatches(examples, 3, seed=1)[number] for number in range(9)]
    one = GlobalBatches(examples, 3, seed=1)
    assert [one[number] for number in reversed(range(9))] == forwards[::-1]


def test_a_batch_may_span_epochs_and_knows_which_draw_belongs_to_which():
    batches = GlobalBatches(np.arange(5), 3, seed=0)
    assert [draw.epoch for draw in batches[1]] == [0, 0, 1]


def test_a_batch_may_be_larger_than_the_training_set():
    assert sorted(drawn(GlobalBatches(np.arange(2), 4, seed=0), 0)) == [0, 0, 1, 1]


def test_another_seed_gives_other_batches_and_the_same_seed_the_same():
    examples = np.arange(100)
    assert drawn(GlobalBatches(examples, 50, 7), 0) == drawn(GlobalBatches(examples, 50, 7), 0)
    assert drawn(GlobalBatches(examples, 50, 7), 0) != drawn(GlobalBatches(examples, 50, 8), 0)


def test_the_validation_split_parts_the_examples_and_follows_the_seed():
    train, held_out = split_validation(20, 6, seed=5)
    assert sorted([*train, *held_out]) == list(range(20))
    assert len(held_out) == 6
    assert held_out.tolist() == split_validation(20, 6, seed=5)[1].tolist()
    assert held_out.tolist() != split_validation(20, 6, seed=6)[1].tolist()


def test_nothing_held_out_trains_on_everything():
    assert split_validation(3, 0, seed=0)[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("n_validation", [5, 6])
def test_holding_out_everything_is_refused_with_the_address(n_validation):
    with pytest.raises(InputError, match="VALIDATION_SIZE_FOR_LOSS"):
        split_validation(5, n_validation, seed=0)


def test_no_examples_are_refused():
    with pytest.raises(InputError, match="no training examples"):
        GlobalBatches(np.arange(0), 2, seed=0)
