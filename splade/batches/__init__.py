"""Texts cut into batches for a transformer, and the sparse rows of the batches put together again; NumPy alone."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splade.records import SparseRows


def stand_in(tokenizer: Any) -> int:
    """The id that stands for a text without tokens."""
    names = ("cls_token_id", "bos_token_id", "eos_token_id", "unk_token_id", "pad_token_id")
    return next((id for name in names if (id := getattr(tokenizer, name, None)) is not None), 0)


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


def in_places(rows: SparseRows, places: NDArray[np.int64]) -> SparseRows:
    """The same rows, row i of them at place ``places[i]``."""
    counts, starts = np.empty((2, len(places)), np.int64)
    counts[places], starts[places] = np.diff(rows.offsets), rows.offsets[:-1]
    offsets = np.zeros(len(places) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    take = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
    return SparseRows(offsets, rows.columns[take], rows.weights[take])


def concatenated(parts: Sequence[SparseRows]) -> SparseRows:
    """The rows of all parts, one part after the other."""
    counts = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)])
    columns = np.concatenate([np.empty(0, np.int32), *(part.columns for part in parts)])
    weights = np.concatenate([np.empty(0, np.float32), *(part.weights for part in parts)])
    return SparseRows(np.cumsum(counts), columns, weights)


def dense_rows(weights: NDArray[np.float32]) -> SparseRows:
    """The non-zeros of non-negative ``weights`` [N, V] as sparse rows; ValueError where one is NaN or infinite."""
    places = np.flatnonzero(weights != 0)  # several times faster than NumPy's nonzero
    values = weights.reshape(-1)[places]
    refuse_no_numbers(values)
    rows, columns = np.divmod(places, max(weights.shape[1], 1))
    offsets = np.zeros(len(weights) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(weights)), out=offsets[1:])
    return SparseRows(offsets, columns.astype(np.int32), values)


def refuse_no_numbers(weights: NDArray[np.float32]) -> None:
    """ValueError where a weight is NaN or infinite: such a vector must never reach an index."""
    if not np.isfinite(weights).all():
        raise ValueError(
            "the model gives weights that are NaN or infinite; train with a lower learning rate or without fp16"
        )


def largest_entries(rows: SparseRows, k: int) -> SparseRows:
    """The ``k`` largest of each row, all where ``k`` ≤ 0; of equal weights the lower columns stay."""
    if k <= 0:
        return rows
    texts = np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets))
    order = np.lexsort((rows.columns, -rows.weights, texts))  # row by row, heaviest first
    kept = np.empty(len(texts), np.bool_)
    kept[order] = np.arange(len(texts)) - rows.offsets[texts] < k  # rows have the same places in this order
    offsets = np.concatenate([rows.offsets[:1], np.cumsum(np.minimum(np.diff(rows.offsets), k))])
    return SparseRows(offsets, rows.columns[kept], rows.weights[kept])
