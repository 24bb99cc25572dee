"""Term weights from a first encoding without gradients, kept for a second encoding of the same texts.

Gradient caching encodes every text twice. The weights of a head that pools by maximum are known the second time, and
its gradient needs the hidden states of active terms alone, so the product with the whole vocabulary is left out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

FEW = 0.25  # share of active terms up to which finding their tokens again is cheaper than all logits

_active: ContextVar["Memory | None"] = ContextVar("second_pass", default=None)


class Kept(NamedTuple):
    """The non-zeros of weights [B, V]."""

    shape: torch.Size
    places: Tensor  # [E] in the flattened weights
    values: Tensor  # [E]


class Memory:
    """The heads' weights of one encoding, in the order in which they were computed; few of them are not zero."""

    def __init__(self) -> None:
        self._kept: list[Kept | None] = []
        self._next = -1  # below 0: being filled

    @contextmanager
    def filled(self) -> Iterator[None]:
        """A block that encodes the texts the first time."""
        self._next = -1
        with self._in_use():
            yield

    @contextmanager
    def used(self) -> Iterator[None]:
        """A block that encodes the same texts the second time, by the same calls."""
        self._next = 0
        with self._in_use():
            yield

    def remember(self, weights: Tensor) -> None:
        """Keep ``weights`` [B, V], unless many of them are active."""
        if self._next < 0:
            places = weights.reshape(-1).nonzero().squeeze(1)
            few = len(places) <= FEW * weights.numel()
            self._kept.append(Kept(weights.shape, places, weights.reshape(-1)[places]) if few else None)

    def recall(self) -> Tensor | None:
        """The weights of this call in the first encoding; None where they are not known."""
        if not 0 <= self._next < len(self._kept):
            return None
        kept = self._kept[self._next]
        self._next += 1
        if kept is None:
            return None
        weights = kept.values.new_zeros(kept.shape)
        weights.view(-1)[kept.places] = kept.values
        return weights

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        former = _active.set(self)
        try:
            yield
        finally:
            _active.reset(former)


def remember(weights: Tensor) -> Tensor:
    """``weights`` [B, V] of a head, kept where a second encoding will ask for them."""
    memory = _active.get()
    if memory is not None:
        memory.remember(weights)
    return weights


def recall() -> Tensor | None:
    """The weights that this call of a head is going to have; None where they must be computed."""
    memory = _active.get()
    return None if memory is None else memory.recall()
