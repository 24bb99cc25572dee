"""Group texts to be computed together, so that little padding is computed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


class Budget(NamedTuple):
    """A device's limit of ``tokens`` in one call, padding included, and the extra cost of each call, in tokens."""

    tokens: int
    per_call: int


BUDGETS = {"cpu": Budget(2048, 48), "cuda": Budget(1 << 15, 1 << 12)}
"""By device type. On a CPU more tokens leave the caches; on a GPU a call must fill the chip."""


NO_LIMIT = Budget(1 << 40, 1 << 40)
"""Every text in one call."""


def budget_for(device_type: str) -> Budget:
    """The budget of a device type; of one not listed, that of a GPU."""
    return BUDGETS.get(device_type, BUDGETS["cuda"])


def length_buckets(lengths: ArrayLike, budget: Budget, most: int | None = None) -> list[NDArray[np.int64]]:
    """Places of texts of ``lengths`` [B] in buckets to be padded each to its own longest, longest first.

    Texts are sorted by length (ties in order) and cut where padded tokens and calls together cost least. A bucket
    has at most ``budget.tokens`` tokens, padding counted, or one text, and at most ``most`` texts.
    """
    lengths = np.maximum(np.asarray(lengths, np.int64), 1)
    order = np.argsort(-lengths, kind="stable")
    if not len(order):
        return []
    cuts = _cheapest_cuts(lengths[order], budget, most or len(order))
    return np.split(order, cuts)


def packed_buckets(lengths: ArrayLike, tokens: int) -> list[NDArray[np.int64]]:
    """Places of texts of ``lengths`` [B] in buckets without padding, longest first, ties in order.

    Each bucket has at most ``tokens`` tokens, or one text.
    """
    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(-lengths, kind="stable")
    cuts, held = [], 0
    for place, length in enumerate(lengths[order].tolist()):
        if held and held + length > tokens:
            cuts.append(place)
            held = 0
        held += length
    return np.split(order, cuts) if len(order) else []


def _cheapest_cuts(descending: NDArray[np.int64], budget: Budget, most: int) -> Sequence[int]:
    """Find the cheapest cuts, a shortest path over prefixes; a bucket [i, j) costs its padded tokens and a call."""
    n = len(descending)
    costs = np.zeros(n + 1, np.int64)  # of the first j texts
    starts = np.zeros(n + 1, np.int64)  # of the last bucket among them
    fits = np.minimum(np.maximum(budget.tokens // descending, 1), most)  # texts in a bucket that starts here
    first = np.searchsorted(np.arange(n) + fits, np.arange(1, n + 1))  # the bucket may start here or later
    for j in range(1, n + 1):
        candidates = np.arange(first[j - 1], j)
        paths = costs[candidates] + descending[candidates] * (j - candidates)
        best = int(paths.argmin())
        costs[j], starts[j] = paths[best] + budget.per_call, candidates[best]
    cuts = []
    end = int(starts[n])
    while end:
        cuts.append(end)
        end = int(starts[end])
    return cuts[::-1]


def of_rows(rows: NDArray[np.int64], width: int, *parts: Tensor) -> list[Tensor]:
    """These rows of [B, L] tensors, as many columns of them."""
    return [part[torch.from_numpy(rows).to(part.device), :width] for part in parts]


def widths_of(attended: Tensor) -> Tensor:
    """Count the columns that each row of a mask [B, L] needs, up to its last true position; on the CPU."""
    positions = torch.arange(1, attended.shape[1] + 1, device=attended.device)
    return (attended.bool() * positions).amax(dim=1).cpu()
