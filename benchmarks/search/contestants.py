"""The engines that are compared."""

from benchmarks.search.bmp_peer import Bmp
from benchmarks.search.engine import Engine
from benchmarks.search.lucene import Lucene
from benchmarks.search.older import Older, pairs
from benchmarks.search.orders import CLUSTERED, GIVEN
from benchmarks.search.ours import Ours
from benchmarks.search.pisa import Pisa
from benchmarks.search.python_peers import DictOfLists, Scipy, SpladeIndex
from benchmarks.search.seismic_peer import FAR, POINTS, Build, Seismic, published
from benchmarks.search.sindi import POINTS as PRUNED
from benchmarks.search.sindi import Sindi

RECALLS = (0.95, 0.97, 0.98, 0.99, 0.995)
EXACT = ("auto", "block_max", "exhaustive")
ALGORITHMS = ("maxscore", "block_max_wand", "ranked_or_taat")
BLOCKS = {GIVEN: (16, 32, 64), CLUSTERED: (8, 16, 32)}  # documents in a block of BMP
ALPHAS = (0.95, 0.9, 0.8)
SMALL = "uint8"  # the weights of our smaller indexes
WIDE = 1024  # documents of a block of the smallest


def engines(n_docs: int, *, in_order: bool = False) -> list[Engine]:
    """Every engine, every setting, on one thread; ``in_order`` keeps ours from moving documents."""
    return [*exact(in_order=in_order), *approximate(n_docs, in_order=in_order)]


def exact(*, in_order: bool = False) -> list[Engine]:
    """Those that leave nothing out: they differ in the rounding of weights at most."""
    cluster = False if in_order else None
    return [
        Ours("auto", cluster=cluster),
        Ours("auto", cluster=cluster, single=True),
        Ours("exhaustive", cluster=cluster),
        Ours("block_max", cluster=cluster),
        Ours("auto", SMALL, cluster=cluster),
        Ours("auto", SMALL, cluster=cluster, block=WIDE),
        SpladeIndex(),
        Sindi(),
        *(Pisa(algorithm, order=order) for order in _orders(in_order) for algorithm in ALGORITHMS),
        *(Bmp(size, order) for order in _orders(in_order) for size in BLOCKS[order]),
        Lucene(),
        DictOfLists(),
        Scipy(),
    ]


def approximate(n_docs: int, *, in_order: bool = False) -> list[Engine]:
    """Those that trade recall for time."""
    cluster = False if in_order else None
    few, many, most = (Build(kept) for kept in postings_kept(n_docs))
    at_budgets = dict.fromkeys(build for engine in published(n_docs) for build in at_most(engine.made_by))
    return [
        Ours("auto", cluster=cluster),
        *(Ours("approximate", recall=recall, cluster=cluster) for recall in RECALLS),
        *(Ours("approximate", SMALL, recall=recall, cluster=cluster) for recall in RECALLS),
        *published(n_docs),
        *(Seismic(ask, build) for build in at_budgets for ask in FAR[-5:]),
        *(Seismic(ask, build) for build in (few, many) for ask in POINTS),
        *(Seismic(ask, most) for ask in FAR),
        *(Sindi(pruning) for pruning in PRUNED),
        *(Bmp(32, order, alpha) for order in _orders(in_order) for alpha in ALPHAS),
    ]


def _orders(in_order: bool) -> tuple[str, ...]:
    """The orders that others get documents in."""
    return (GIVEN,) if in_order else (GIVEN, CLUSTERED)


def at_most(build: Build) -> list[Build]:
    """This index of Seismic, and one of twice the postings where vectors are compressed: of the bytes of the others."""
    return [build, *[build._replace(kept=2 * build.kept)] * build.compressed]


def in_batches(n_docs: int, n_threads: int, *, in_order: bool = False) -> list[Engine]:
    """Engines that answer a batch in threads of their own; PISA's exhaustive search is left out: it loses results."""
    cluster = False if in_order else None
    ways = [{"alone": True}, {"single": True}] if n_threads == 1 else []
    alone = [Ours("auto", cluster=cluster, threads=1, **way) for way in ways]
    return [
        Ours("auto", cluster=cluster, threads=n_threads),
        *alone,
        Ours("exhaustive", cluster=cluster, threads=n_threads),
        Ours("approximate", recall=0.99, cluster=cluster, threads=n_threads),
        Pisa(ALGORITHMS[0], n_threads),
        Seismic(POINTS[2], Build(postings_kept(n_docs)[1]), n_threads),
        Lucene(n_threads),
    ]


def postings_kept(n_docs: int) -> tuple[int, int, int]:
    """Postings that a list of Seismic keeps on average in the sweep: few are faster, many find more."""
    return max(5, n_docs // 2000), max(10, n_docs // 1000), max(20, n_docs // 400)


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
    every += [Older(**way) for way in pairs()]
    return next(engine for engine in every if engine.index == index)
