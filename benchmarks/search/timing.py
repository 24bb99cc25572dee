"""Engines in turn, round after round; the exact answer that recall is taken against."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.search.engine import Engine
from benchmarks.search.ranks import spearman
from benchmarks.search.vectors import Vectors

SLOW = 2.0  # seconds of a round
ALONE_ROUNDS = 3
TOLERANCE = 1e-4  # float32 sums differ by the order of their terms


class Truth(NamedTuple):
    """What an exact search finds: the score that a result must reach, and how many there are, per query."""

    bars: NDArray[np.float32]  # [Q]
    counts: NDArray[np.int64]  # [Q] at most k


def exact_scores(vectors: Vectors, queries: sp.csr_matrix, k: int, folder: Path) -> NDArray[np.float32]:
    """The ``k`` largest scores of each query [Q, k], largest first, 0 where none, by SciPy's product; kept on disk."""
    asked = hashlib.sha256(queries.indptr.tobytes() + queries.indices.tobytes() + queries.data.tobytes())
    path = folder / f"exact-{asked.hexdigest()[:16]}-{k}.npy"
    if not path.exists():
        columns = np.asfortranarray(queries.toarray().T)  # [V, Q]
        best = np.zeros((queries.shape[0], k), np.float32)
        for _, rows in vectors.parts():
            scores = np.asarray(rows @ columns).T  # [Q, documents]
            if scores.shape[1] > k:
                scores = np.partition(scores, -k, axis=1)[:, -k:]
            best = np.partition(np.hstack([best, scores]), -k, axis=1)[:, -k:]
        path.parent.mkdir(exist_ok=True)
        np.save(path, -np.sort(-best, axis=1))
    kept: NDArray[np.float32] = np.load(path)
    return kept


def truth_of(scores: NDArray[np.float32], k: int) -> Truth:
    """What the k best must reach, of the best scores of each query."""
    counts = np.count_nonzero(scores[:, :k] > 0, axis=1)
    bars = scores[np.arange(len(scores)), np.maximum(counts, 1) - 1]
    return Truth(bars, counts)


def recall(docs: NDArray[np.int64], queries: sp.csr_matrix, documents: sp.csr_matrix, truth: Truth) -> float:
    """Mean share of the results that there are whose exact score reaches the last one's."""
    shares = []
    for q, found in enumerate(docs):
        # where fewer documents match than asked for, SINDI leaves what was in memory
        scores = documents[np.unique(found[(found >= 0) & (found < documents.shape[0])])] @ queries[q].toarray().ravel()
        reached = np.count_nonzero((scores >= truth.bars[q] - TOLERANCE) & (scores > 0))
        shares.append(min(reached, truth.counts[q]) / truth.counts[q] if truth.counts[q] else 1.0)
    return float(np.mean(shares))


class Turns(NamedTuple):
    """What engines did in the rounds that count."""

    spent: dict[Engine, list[float]]  # milliseconds per query, of each round
    answers: dict[Engine, NDArray[np.int64]]  # of the last round
    seconds: dict[Engine, NDArray[np.float64]]  # [Q] of each query, the median of the rounds


def in_turn(engines: list[Engine], queries: sp.csr_matrix, k: int, rounds: int) -> Turns:
    """Ask all engines in each round; the first round warms caches and compiles, and does not count.

    The order is another one in each round, so that no engine always comes after the one that leaves the least of the
    processor's cache. An engine whose round takes longer than `SLOW` seconds has one that counts.
    """
    each: dict[Engine, list[NDArray[np.float64]]] = {engine: [] for engine in engines}
    answers: dict[Engine, NDArray[np.int64]] = {}
    for turn in range(rounds + 1):
        for place in np.random.default_rng(turn).permutation(len(engines)):
            engine = engines[place]
            if each[engine] and each[engine][0].sum() > SLOW:
                continue
            answers[engine], seconds = engine.search(queries, k)
            if turn:
                each[engine].append(seconds)
    spent = {engine: [float(seconds.mean()) * 1e3 for seconds in taken] for engine, taken in each.items()}
    return Turns(spent, answers, {engine: np.median(taken, axis=0) for engine, taken in each.items()})


def seconds_alone(engine: Engine, queries: sp.csr_matrix, k: int) -> NDArray[np.float64]:
    """Seconds of each query in a call of its own, the median of some rounds."""
    rounds: list[list[float]] = []
    while len(rounds) < ALONE_ROUNDS and (not rounds or sum(rounds[0]) < SLOW):
        rounds.append([float(engine.search(query, k)[1][0]) for query in queries])
    return np.asarray(np.median(rounds, axis=0), np.float64)


def touched_by(
    engine: Engine, queries: sp.csr_matrix, k: int, mass: NDArray[np.float64], seconds: NDArray[np.float64]
) -> dict[str, Any]:
    """Blocks, the share of postings, and the rank correlation of latency with ``mass``, the postings of each query.

    ``seconds`` [Q] are those of a search, which do not tell queries apart where all went into one call.
    """
    work = engine.work(queries, k)
    latency = seconds_alone(engine, queries, k) if engine.one_call else seconds
    return {
        "blocks": work and work.blocks,
        "all_blocks": work and work.all_blocks,
        "postings": work and work.postings / float(mass.mean()),
        "rank_correlation": spearman(latency, mass),
    }


def median(values: list[float]) -> float:
    """The median as a plain number."""
    return float(np.median(values))


def settings_of_machine() -> dict[str, Any]:
    """The processor, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {"processor": models[0] if models else "unknown", "processors": len(models)}
