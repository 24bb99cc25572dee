"""Keeping the k best documents, with ties decided by document number.

A scored document is one 64-bit key: the bits of its float32 score above the complement of its
number. Scores are not negative, so their bits sort as they do; a larger key is a better document,
and of two equal scores the smaller number has the larger key. Keys are distinct, so there is
exactly one set of k best, for any order of arrival. Key 0 stands for "none".
"""

import numpy as np
from numpy.typing import NDArray

from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.intrinsics import at_least, bit_length, count_ones

LANES = 64  # scores are compared this many at a time
BEYOND = 2.0**128 - 2.0**103  # from here on the nearest float32 is infinite


def decode(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Document numbers and scores of ``keys``; -1 and 0 for key 0."""
    docs = ~keys.astype(np.uint32)  # the low half
    scores = (keys >> np.uint64(32)).astype(np.uint32)
    return docs.view(np.int32), scores.view(np.float32)


def score_bits(score: float) -> np.uint32:
    """The bits of a score that is not negative, as float32: comparing bits compares scores."""
    size = abs(float(score))
    return np.float32(size if size < BEYOND else np.inf).view(np.uint32)


@kernel
def as_key(bits, doc):  # type: ignore[no-untyped-def]
    """The key of document number ``doc`` with the score whose bits are ``bits``."""
    return (np.uint64(bits) << np.uint64(32)) | (np.uint64(0xFFFFFFFF) - np.uint64(doc))


@kernel
def keep_best(pool, count, k, bar):  # type: ignore[no-untyped-def]
    """Move the k largest of ``pool[:count]`` to its front, unordered.

    Returns how many there are and the score bits a newcomer must exceed: ``bar``, or the k-th
    score where that is higher.
    """
    if count < k:
        return count, bar
    count, worst = keep_largest(pool, count, k)
    return count, max(bar, np.uint32(worst >> np.uint64(32)))


@inner_kernel
def keep_largest(pool, count, k):  # type: ignore[no-untyped-def]
    """Move the k largest of different keys ``pool[:count]`` to its front; returns how many, and the least of them.

    Without a branch: of a full pool any next key may be one of those that stay.
    """
    kept = np.int64(0)
    cut = kth_largest(pool, count, k) if count > k else np.uint64(0)
    for i in range(count):
        key = pool[np.uint64(i)]
        pool[np.uint64(kept)] = key
        kept += np.int64(key >= cut)
    worst = np.uint64(0xFFFFFFFFFFFFFFFF)
    for i in range(kept):
        worst = min(worst, pool[np.uint64(i)])
    return kept, worst


@inner_kernel
def kth_largest(pool, count, k):  # type: ignore[no-untyped-def]
    """A number that exactly the ``k`` largest of different keys ``pool[:count]`` reach, 0 < k < count.

    Among score bits first, half as many bytes; whole keys are looked at only where equal scores straddle the cut.
    """
    bits = np.empty(count, np.uint32)
    for i in range(count):
        bits[np.uint64(i)] = np.uint32(pool[np.uint64(i)] >> np.uint64(32))
    least = nth_largest_bits(bits, k)
    cut = np.uint64(least) << np.uint64(32)
    reaching = count_reaching(bits, least)
    if reaching > k:  # equal scores at the cut: the low halves of their keys decide
        equal = 0
        for i in range(count):
            if bits[i] == least:
                bits[equal] = np.uint32(pool[i])
                equal += 1
        cut |= np.uint64(nth_largest_bits(bits[:equal], k - (reaching - equal)))
    return cut


@kernel
def count_reaching(bits, least):  # type: ignore[no-untyped-def]
    """Count the uint32 ``bits`` that are ``least`` or more, LANES at a time."""
    reaching = np.int64(0)
    whole = bits.size // LANES * LANES
    for i in range(0, whole, LANES):
        reaching += np.int64(count_ones(at_least(bits, i, least)))
    for i in range(whole, bits.size):
        reaching += np.int64(bits[np.uint64(i)] >= least)
    return reaching


@kernel
def nth_largest(weights, n):  # type: ignore[no-untyped-def]
    """The ``n``-th largest of float32 ``weights``, 0 < n <= size, which are not negative.

    Found bit by bit; compiles in a tenth of the time that ``np.partition`` takes.
    """
    bits = weights.view(np.uint32)
    cut = nth_largest_bits(bits, n)
    smallest = np.float32(np.inf)
    for i in range(bits.size):
        if bits[i] >= cut and weights[i] < smallest:
            smallest = weights[i]
    return smallest


@kernel
def nth_largest_bits(bits, n):  # type: ignore[no-untyped-def]
    """A number that ``n`` of uint32 ``bits`` reach, or more where the ``n``-th largest has equals.

    Found bit by bit, from the highest in which any two differ: each step is one counting pass, which has no bad inputs.
    """
    differ = np.uint32(0)
    for i in range(bits.size):
        differ |= bits[np.uint64(i)] ^ bits[0]
    top = np.int64(bit_length(differ))
    cut = bits[0] & ~np.uint32((np.uint64(1) << np.uint64(top)) - np.uint64(1))
    for bit in range(top - 1, -1, -1):
        trial = cut | (np.uint32(1) << np.uint32(bit))
        above = count_reaching(bits, trial)
        if above >= n:
            cut = trial
        if above == n:
            break
    return cut


@inner_kernel
def least_bits(bar):  # type: ignore[no-untyped-def]
    """The lowest score bits of any key above ``bar``."""
    return np.uint32((bar + np.uint64(1)) >> np.uint64(32))


@inner_kernel
def is_worth_raising(count, k):  # type: ignore[no-untyped-def]
    """True where the k best of ``count`` are picked in little time, or enough have come for it to pay."""
    return k <= 256 or 4 * count > 5 * k


@inner_kernel
def raise_bar(pool, count, k, bar):  # type: ignore[no-untyped-def]
    """Move the k largest keys of ``pool[:count]`` to its front; returns how many, and the key to exceed.

    Unlike `keep_best`, for documents that come in no order of number: of two equal scores, the
    smaller number still enters.
    """
    if count < k:
        return count, bar
    count, worst = keep_largest(pool, count, k)
    return count, max(bar, worst)
