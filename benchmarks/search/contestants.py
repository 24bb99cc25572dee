"""The engines that are compared."""

from benchmarks.search.engine import Engine
from benchmarks.search.lucene import Lucene
from benchmarks.search.ours import Ours
from benchmarks.search.pisa import Pisa
from benchmarks.search.python_peers import DictOfLists, Scipy, Sindi, SpladeIndex
from benchmarks.search.seismic_peer import POINTS, Seismic

RECALLS = (0.97, 0.98, 0.99, 0.995)
EXACT = ("auto", "block_max", "exhaustive")
ALGORITHMS = ("maxscore", "block_max_wand", "ranked_or_taat")


def engines(n_docs: int, *, in_order: bool = False) -> list[Engine]:
    """Every engine, every setting, on one thread; ``in_order`` keeps ours from moving documents."""
    cluster = False if in_order else None
    return [
        Ours("auto", cluster=cluster),
        Ours("auto", cluster=cluster, single=True),
        Ours("auto", "uint8", cluster=cluster),
        Ours("exhaustive", cluster=cluster),
        *(Ours("approximate", recall=recall, cluster=cluster) for recall in RECALLS),
        SpladeIndex(),
        Sindi(),
        *(Pisa(algorithm) for algorithm in ALGORITHMS),
        *(Seismic(*point, kept) for kept in postings_kept(n_docs) for point in POINTS),
        Lucene(),
        DictOfLists(),
        Scipy(),
    ]


def in_batches(n_docs: int, n_threads: int, *, in_order: bool = False) -> list[Engine]:
    """Engines that answer a batch in threads of their own; PISA's exhaustive search is left out: it loses results."""
    cluster = False if in_order else None
    return [
        Ours("auto", cluster=cluster, threads=n_threads),
        Ours("exhaustive", cluster=cluster, threads=n_threads),
        Ours("approximate", recall=RECALLS[-2], cluster=cluster, threads=n_threads),
        Pisa(ALGORITHMS[0], n_threads),
        Seismic(*POINTS[2], postings_kept(n_docs)[0], n_threads),
        Lucene(n_threads),
    ]


def postings_kept(n_docs: int) -> list[int]:
    """Seismic's main setting, how many postings a list keeps on average: few are faster, many find more."""
    return [max(10, n_docs // 1000), max(5, n_docs // 2000)]


def adversaries() -> dict[str, list[Engine]]:
    """Our exact strategies on indexes that make it hard for them, by the name of the index's kind."""
    return {
        "clustered": [Ours(strategy) for strategy in EXACT],
        "in order": [Ours(strategy, cluster=False) for strategy in EXACT],
        "uniform weights": [Ours(strategy, uniform=True) for strategy in EXACT],
    }


def by_index(index: str, n_docs: int) -> Engine:
    """An engine that builds this index."""
    every = [*engines(n_docs), *engines(n_docs, in_order=True)]
    every += [engine for kind in adversaries().values() for engine in kind]
    return next(engine for engine in every if engine.index == index)
