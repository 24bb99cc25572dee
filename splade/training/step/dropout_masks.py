"""Random numbers of a forward pass: dropout masks that belong to texts, and a seeded stream for all others."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from splade.models.backbones.dropout import TextDropout
from splade.training.step.sampling import DROPOUT, random_stream

logger = logging.getLogger(__name__)


def text_keys(seed: int, batch: int, side: int, first: int, n: int) -> Tensor:
    """Keys [n] int64 of the masks of texts number ``first`` and on, of one side of global batch ``batch``."""
    stream = random_stream(seed, DROPOUT, batch, side)
    return torch.from_numpy(stream.integers(0, 2**63 - 1, size=first + n, endpoint=True)[first:])


class Masks:
    """Draws dropout masks from the keys of texts, and says once where a model draws past them."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed, self.device = seed, device
        self._said = False

    @contextmanager
    def drawn(self, keys: Tensor, *place: int) -> Iterator[None]:
        """A block in which the texts computed have ``keys`` [B]; torch's own stream afterwards goes on as before.

        What does not draw by text finds torch's stream seeded from ``place``, so that the block can be replayed.
        """
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(int(random_stream(self.seed, DROPOUT, *place).integers(2**62)))
            before = None if self._said else self._states()
            with TextDropout(keys.to(self.device)).active() as served:
                yield
            if before is not None and (served.unreached or self._moved(before)):
                self._say(served.unreached)

    def _states(self) -> list[Tensor]:
        states = [torch.get_rng_state()]
        return [*states, torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else states

    def _moved(self, before: list[Tensor]) -> bool:
        return not all(torch.equal(one, two) for one, two in zip(before, self._states(), strict=True))

    def _say(self, unreached: set[str]) -> None:
        self._said = True
        logger.warning(
            "this model draws random numbers that cannot be told apart by text (%s): they change with "
            "config.micro_batch_size, config.micro_batch_tokens and the number of processes, and training with them",
            "; ".join(sorted(unreached)) or "not through torch's dropout functions",
        )
