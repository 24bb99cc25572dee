"""Dividing examples into global batches by pure functions of the seed, so that resuming has nothing to restore.

The stream of examples is one permutation of the training set after another, one per epoch, cut into
global batches. A batch may span two epochs; how many processes share it changes nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError

SPLIT, ORDER, DOCUMENTS, DROPOUT, VALIDATION, HIDING = range(6)  # what a random stream is for, beside the seed


class Draw(NamedTuple):
    """One example's place in the stream: its number in the source, and the epoch that draws it."""

    epoch: int
    index: int  # type: ignore[assignment]  # a tuple's method of this name is not wanted here


def random_stream(seed: int, purpose: int, *numbers: int) -> np.random.Generator:
    """An independent generator for ``purpose`` and ``numbers`` (both non-negative)."""
    return np.random.default_rng((seed, purpose, *numbers))


def split_validation(n_examples: int, n_validation: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Example numbers to train on and to validate on, each ascending; a function of the seed alone."""
    if not 0 <= n_validation < max(n_examples, 1):
        raise InputError(
            f"data.VALIDATION_SIZE_FOR_LOSS is {n_validation}, but there are {n_examples} training examples: "
            "keep at least one to train on"
        )
    order = random_stream(seed, SPLIT).permutation(n_examples).astype(np.int64)
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])


class GlobalBatches:
    """Global batch number b of ``batch_size`` draws from the example numbers ``examples``."""

    def __init__(self, examples: NDArray[np.int64], batch_size: int, seed: int) -> None:
        if not len(examples):
            raise InputError("there are no training examples")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, batch: int) -> list[Draw]:
        """The draws of batch ``batch`` (from 0), in order."""
        first = batch * self.batch_size
        return [self._draw(position) for position in range(first, first + self.batch_size)]

    def _draw(self, position: int) -> Draw:
        epoch, offset = divmod(position, len(self.examples))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = random_stream(self.seed, ORDER, epoch).permutation(self.examples)
        return Draw(epoch, int(self._order[offset]))
