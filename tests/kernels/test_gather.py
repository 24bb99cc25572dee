"""What the pool of candidates holds after the scores of some positions were looked through."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.kernels.compiled import read_only
from splade.kernels.gather import gather
from splade.kernels.topk import as_key, score_bits


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 300),
    st.integers(1, 90),
    st.integers(0, 20),
    st.sampled_from([1, 4, 10**6]),
    st.sampled_from([0.0, 2.0]),
    st.booleans(),
)
@settings(deadline=None)
def test_no_document_that_can_be_among_the_best_is_lost(seed, n, k, spare, different, floor, filtered):
    """With a pool that fills again and again, equal scores, a score to exceed, and documents that are not allowed."""
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, different + 1, n).astype(np.float32)
    origin, start = int(draw.integers(0, 50)), int(draw.integers(0, n))
    order = read_only(draw.permutation(origin + n).astype(np.uint32))
    allowed = read_only(draw.integers(0, 2, origin + n).astype(np.uint8) if filtered else np.empty(0, np.uint8))
    lowest = (np.uint64(score_bits(floor)) << np.uint64(32)) | np.uint64(0xFFFFFFFF)
    places = range(start, n)
    keys = [as_key(score_bits(scores[i]), order[origin + i]) for i in places]
    passing = [
        int(key) for i, key in zip(places, keys, strict=True)
        if scores[i] > floor and (not filtered or allowed[order[origin + i]])
    ]  # fmt: skip
    pool = np.empty(k + 1 + spare, np.uint64)
    count, bar = gather(scores.view(np.uint32), start, n, origin, order, allowed, pool, 0, k, lowest)
    held, best = set(pool[:count].tolist()), sorted(passing, reverse=True)[:k]
    assert len(held) == count < pool.size
    assert held <= set(passing)
    assert held >= set(best)
    assert bar == lowest or (len(best) == k and lowest < bar <= best[-1])
