"""The cost of a search: latency over queries, and the number of texts that each term occurs in."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from splade.records import SparseBatch


def latency_summary(seconds_per_query: Sequence[float], n_threads: int = 1) -> dict[str, float | int]:
    """Mean and percentiles of the time per query, in milliseconds: mean, p50, p95, p99.

    ``n_threads`` and ``n_queries`` are the conditions of the measurement. Percentiles interpolate linearly between
    the two nearest queries. Without queries only those two counts are given.
    """
    milliseconds = np.asarray(seconds_per_query, np.float64) * 1000.0
    measured: dict[str, float | int] = {"n_threads": n_threads, "n_queries": int(milliseconds.size)}
    if milliseconds.size:
        p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99]).tolist()
        measured |= {"mean": float(milliseconds.mean()), "p50": p50, "p95": p95, "p99": p99}
    return measured


def term_counts(batches: Iterable[SparseBatch], vocab_size: int) -> tuple[NDArray[np.int64], int]:
    """In how many texts each term has a weight, int64 [V], and the number of texts.

    Raises ValueError where a batch has another vocabulary size.
    """
    counts = np.zeros(vocab_size, np.int64)
    n_texts = 0
    for batch in batches:
        if batch.vocab_size != vocab_size:
            raise ValueError(f"vectors over {batch.vocab_size} terms where {vocab_size} are expected")
        counts += np.bincount(batch.rows.columns, minlength=vocab_size)
        n_texts += len(batch.ids)
    return counts, n_texts
