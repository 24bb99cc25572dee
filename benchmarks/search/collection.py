"""Synthetic collections shaped like SPLADE's: topics at three levels, a Zipf head, log-saturated weights.

Coarse topics own terms; middle and fine ones inherit important terms from their parents, with noise.
A document mixes terms of its fine topic (and sometimes a second one), of its coarse topic, and of the
background. A query is drawn from a source document: some of its heaviest terms, expanded from its
topic; three sets of about 43, 25 and 6 terms stand for SPLADE++, v3 and efficient models. Query weights decay with
their rank so that the median of a query is a given share of its maximum, its flatness: FLATNESS by default, as measured
on real queries. Few heavy terms among many light ones are easy to prune.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numba
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

VOCABULARY = 30522
COARSE_TERMS, MIDDLE_TERMS, FINE_TERMS = 300, 120, 100
COARSE_TOPICS = 300
SHARES = 2  # independent random streams for documents, whatever the number of processors
QUERY_SETS = {"pp": (43.0, 9, 7.0), "v3": (25.0, 7, 6.0), "eff": (5.9, 4, 3.5)}  # terms, from the document, own decay
FLATNESS = {"pp": 0.17, "v3": 0.2, "eff": 0.56}  # of real queries of such lengths; the own decays give .07, .15, .55
PEAK, NOISE = 2.7, 0.25  # the heaviest weight before noise, and its standard deviation, of the logarithm


class Topics(NamedTuple):
    """What texts are drawn from; letters: C coarse and F fine topics."""

    background: NDArray[np.float64]  # [V] cumulative popularity
    coarse: NDArray[np.int32]  # [C, 300] terms
    coarse_ranks: NDArray[np.float64]  # [300] cumulative, the same for all
    parent: NDArray[np.int32]  # [F] coarse topic
    fine: NDArray[np.int32]  # [F, 100] terms
    importance: NDArray[np.float32]  # [F, 100]
    fine_shares: NDArray[np.float32]  # [F, 100] cumulative


class Drawn(NamedTuple):
    """Where the documents stand and the queries: CSR over one vocabulary."""

    documents: sp.csr_matrix
    queries: dict[str, sp.csr_matrix]


Room = Callable[[str, int, Any], NDArray[Any]]  # an array of a name, a length and a dtype, to write into


def generate(
    n_docs: int,
    room: Room,
    *,
    seed: int = 7,
    length: float = 119,
    n_queries: int = 1000,
    flatness: float | Mapping[str, float] | None = FLATNESS,
) -> Drawn:
    """A collection of ``n_docs`` documents of about ``length`` terms; the same for the same arguments.

    ``flatness`` is the median over the queries of their median weight over their largest one, between 0 and 1, of
    all sets or of each by name; None: each set has a decay of its own, as it had before there was a choice.
    The documents' arrays ``indptr`` int64, ``indices`` int32 and ``data`` float32 are written where ``room`` says,
    which may be a mapped file: what is needed besides is 250 bytes per document.
    """
    of_set = flatness if isinstance(flatness, Mapping) else dict.fromkeys(QUERY_SETS, flatness)
    if not all(share is None or 0 < share < 1 for share in of_set.values()):
        raise ValueError(f"flatness must be between 0 and 1, or None, got {flatness}")
    rng = np.random.default_rng(seed)
    n_fine = max(200, n_docs // 25)
    topics = _topics(rng, max(60, n_docs // 400), n_fine)
    popularity = (np.arange(n_fine) + 30.0) ** -0.6
    popularity = np.cumsum(popularity / popularity.sum())
    drawn = np.searchsorted(popularity, rng.random(n_docs)).clip(0, n_fine - 1)
    first = rng.permutation(n_fine)[drawn].astype(np.int32)
    second = np.where(rng.random(n_docs) < 0.5, rng.integers(0, n_fine, n_docs), -1).astype(np.int32)
    lengths = np.clip(rng.lognormal(np.log(length) - 0.06, 0.35, n_docs), 15, 400).astype(np.int64)
    offsets = room("indptr", n_docs + 1, np.int64)
    offsets[0], offsets[1:] = 0, np.cumsum(lengths)
    terms, weights = room("indices", int(offsets[-1]), np.int32), room("data", int(offsets[-1]), np.float32)
    _write_documents(seed, offsets, first, second, topics, terms, weights)
    documents = sp.csr_matrix((weights, terms, offsets), shape=(n_docs, VOCABULARY))
    sources = rng.choice(n_docs, n_queries, replace=False)
    queries = {
        name: _queries(rng, documents, sources, first, topics, *shape, of_set[name])
        for name, shape in QUERY_SETS.items()
    }
    return Drawn(documents, queries)


def _topics(rng: np.random.Generator, n_middle: int, n_fine: int) -> Topics:
    popularity = (np.arange(VOCABULARY) + 12.0) ** -1.0
    popularity[:12] *= 1.6
    popularity[VOCABULARY - 2000 :] *= 0.02  # a tail that is almost unused
    share = np.empty(VOCABULARY)
    share[rng.permutation(VOCABULARY)] = popularity
    share /= share.sum()

    def terms(n: int, m: int, exponent: float) -> NDArray[np.int32]:
        cumulative = np.cumsum(share**exponent)
        return np.searchsorted(cumulative / cumulative[-1], rng.random((n, m))).clip(0, VOCABULARY - 1).astype(np.int32)

    def importance(n: int, m: int) -> NDArray[np.float32]:
        return rng.gamma(0.8, 1.0, (n, m)).astype(np.float32)

    def inherit(of: Any, weights: Any, parents: Any, m: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        cumulative = np.cumsum(weights**0.8, 1)
        cumulative /= cumulative[:, -1:]
        places = np.empty((len(parents), m), np.int64)
        for row, parent in enumerate(parents):
            places[row] = np.searchsorted(cumulative[parent], rng.random(m)).clip(0, of.shape[1] - 1)
        taken = weights[parents[:, None], places]
        noise = np.exp(0.3 * rng.standard_normal(taken.shape)).astype(np.float32)
        return of[parents[:, None], places], taken * noise

    coarse, coarse_weights = terms(COARSE_TOPICS, COARSE_TERMS, 0.62), importance(COARSE_TOPICS, COARSE_TERMS)
    of_middle = rng.integers(0, COARSE_TOPICS, n_middle)
    inherited, weights = inherit(coarse, coarse_weights, of_middle, 50)
    middle = np.hstack([inherited, terms(n_middle, MIDDLE_TERMS - 50, 0.5)])
    middle_weights = np.hstack([weights, importance(n_middle, MIDDLE_TERMS - 50)])
    of_fine = rng.integers(0, n_middle, n_fine)
    near, near_weights = inherit(middle, middle_weights, of_fine, 55)
    far, far_weights = inherit(coarse, coarse_weights, of_middle[of_fine], 20)
    fine = np.hstack([near, far, terms(n_fine, FINE_TERMS - 75, 0.5)])
    weights = np.hstack([near_weights, far_weights, importance(n_fine, FINE_TERMS - 75)])
    shares = np.cumsum(weights**0.6, 1)
    ranks = (np.arange(COARSE_TERMS) + 8.0) ** -0.8
    return Topics(
        np.cumsum(share), coarse, np.cumsum(ranks / ranks.sum()), of_middle[of_fine].astype(np.int32),
        fine, weights, (shares / shares[:, -1:]).astype(np.float32),
    )  # fmt: skip


@numba.njit(cache=True)
def _pick(cumulative: Any, x: float) -> int:
    return min(np.searchsorted(cumulative, x), cumulative.shape[0] - 1)


@numba.njit(parallel=True, cache=True)
def _write_documents(seed, offsets, first, second, topics, terms, weights):  # type: ignore[no-untyped-def]
    n = first.size
    for share in numba.prange(SHARES):
        np.random.seed(seed + share)  # noqa: NPY002 - numba's own stream, one per share
        seen = np.full(VOCABULARY, -1, np.int64)
        for doc in range(n * share // SHARES, n * (share + 1) // SHARES):
            start, length = offsets[doc], offsets[doc + 1] - offsets[doc]
            boost = 0.8 + 0.4 * np.random.random()  # noqa: NPY002
            count = tries = 0
            while count < length:
                tries += 1
                if tries > 6 * length:  # the topic is exhausted
                    term, weight = np.random.randint(VOCABULARY), np.float64(0.05)  # noqa: NPY002
                else:
                    term, raw = _draw(first[doc], second[doc], topics)
                    weight = min(np.log1p(raw * boost), 3.5)
                if seen[term] == doc or weight < 0.02:
                    continue
                seen[term] = doc
                terms[start + count] = term
                weights[start + count] = weight
                count += 1
            order = np.argsort(terms[start : start + length])
            terms[start : start + length] = terms[start : start + length][order]
            weights[start : start + length] = weights[start : start + length][order]


@numba.njit(cache=True)
def _draw(first, second, topics):  # type: ignore[no-untyped-def]
    """A term and its raw weight, before saturation."""
    u = np.random.random()  # noqa: NPY002
    if u < 0.60:
        topic = first
        if second >= 0 and np.random.random() < 0.3:  # noqa: NPY002
            topic = second
        place = _pick(topics.fine_shares[topic], np.random.random())  # noqa: NPY002
        raw = (0.12 + 1.15 * topics.importance[topic, place]) * np.exp(0.55 * np.random.normal())  # noqa: NPY002
        return topics.fine[topic, place], raw * (1.0 if topic == first else 0.6)
    if u < 0.83:
        place = _pick(topics.coarse_ranks, np.random.random())  # noqa: NPY002
        return topics.coarse[topics.parent[first], place], 0.42 * np.exp(0.8 * np.random.normal())  # noqa: NPY002
    place = _pick(topics.background, np.random.random())  # noqa: NPY002
    return np.int32(place), 0.34 * np.exp(0.75 * np.random.normal())  # noqa: NPY002


def _flat(noise: NDArray[np.float64], flatness: float) -> NDArray[np.float64]:
    """Weights that decay by rank, exponentially but for ``noise``: the largest is PEAK, the median a known share."""
    weights = flatness ** np.linspace(0, 2, len(noise)) * noise
    weights /= weights.max()
    return PEAK * weights ** (np.log(flatness) / np.log(np.median(weights)))


def _queries(
    rng: np.random.Generator,
    documents: sp.csr_matrix,
    sources: NDArray[np.int64],
    first: NDArray[np.int32],
    topics: Topics,
    mean: float,
    core: int,
    decay: float,
    flatness: float | None,
) -> sp.csr_matrix:
    """A query per source document: its ``core`` of heavy terms, then others, with weights that decay by rank.

    They do so at ``decay`` where there is no ``flatness``.
    """
    own, near = (0.46, 0.70) if mean > 10 else (0.60, 0.80)
    rows, offsets = [], [0]
    for doc in sources:
        length = int(np.clip(rng.lognormal(np.log(mean) - 0.04, 0.28), 3, 120))
        row = documents[doc]
        heavy = row.indices[np.argsort(-row.data)[:22]]
        terms = dict.fromkeys(rng.permutation(heavy)[: min(core, length)].tolist())
        while len(terms) < length:
            u, x = rng.random(), rng.random()
            if u < own:
                terms[int(topics.fine[first[doc], _pick(topics.fine_shares[first[doc]], x)])] = None
            elif u < near:
                terms[int(topics.coarse[topics.parent[first[doc]], _pick(topics.coarse_ranks, x)])] = None
            else:
                terms[int(_pick(topics.background, x))] = None
        noise = np.exp(NOISE * rng.standard_normal(length))
        if flatness is None:
            weights = (PEAK * np.exp(-np.arange(length) / decay) + 0.04) * noise
        else:
            weights = _flat(noise, flatness)
        rows.append((np.array(list(terms), np.int32), np.clip(weights, 0.02, 3.5).astype(np.float32)))
        offsets.append(offsets[-1] + length)
    matrix = sp.csr_matrix(
        (np.concatenate([weights for _, weights in rows]), np.concatenate([terms for terms, _ in rows]), offsets),
        shape=(len(sources), VOCABULARY),
    )
    matrix.sort_indices()
    return matrix
