"""Paired tests of contestants over the questions of a set, with Holm's correction over all tests of a trial."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.head_to_head.recipes import Recipe

DRAWS = 9999  # of the randomisation test


class Contestant(NamedTuple):
    """A recipe, with BM25's weights given to its models or not."""

    recipe: Recipe
    bm25: bool

    @property
    def name(self) -> str:
        return self.recipe.name + (" + add_bm25" if self.bm25 else "")


def _contestant(package: str, negatives: bool, bm25: bool) -> Contestant:
    return Contestant(Recipe(package, negatives), bm25)


def _questions() -> Iterator[tuple[str, Contestant, Contestant]]:
    for negatives in (False, True):
        for bm25 in (False, True):
            data = ("negatives" if negatives else "pairs") + (", add_bm25" if bm25 else "")
            yield f"trainer, {data}", _contestant("ours", negatives, bm25), _contestant("theirs", negatives, bm25)
    for package in ("ours", "theirs"):
        yield f"negatives, {package}", _contestant(package, True, False), _contestant(package, False, False)
        for negatives in (False, True):
            data = "negatives" if negatives else "pairs"
            pair = _contestant(package, negatives, True), _contestant(package, negatives, False)
            yield f"add_bm25, {package}, {data}", *pair


QUESTIONS = tuple(_questions())  # a name, and two contestants that differ in one thing alone


class Answer(NamedTuple):
    """The mean difference on a set of the first contestant from the second, and how sure it is."""

    asked: str
    set: str
    first: str
    second: str
    difference: float
    t_test: float  # p values, two-sided, raw
    randomisation: float
    corrected: float  # of the randomisation test, by Holm


def answers(values: dict[str, dict[Contestant, NDArray[np.float64]]]) -> list[Answer]:
    """Every question of QUESTIONS on every set; ``values`` are nDCG@10 [queries], each the mean over seeds."""
    raw: list[tuple[Any, ...]] = []
    for name, found in values.items():
        for asked, first, second in QUESTIONS:
            if first in found and second in found:
                one, other = found[first], found[second]
                raw.append((asked, name, first.name, second.name, float((one - other).mean()), *tested(one, other)))
    corrected = holm([row[-1] for row in raw])
    return [Answer(*row, p) for row, p in zip(raw, corrected, strict=True)]


def tested(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """P values of the paired t-test and of the paired randomisation test; 1 where nothing differs."""
    if np.array_equal(one, other):
        return 1.0, 1.0
    differences = one - other
    drawn = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=DRAWS,
        batch=256,
        rng=np.random.default_rng(0),
    )
    return float(stats.ttest_rel(one, other).pvalue), float(drawn.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of a family of p values, in their order (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    n = len(order)
    corrected = np.empty(n)
    corrected[order] = np.minimum(1, np.maximum.accumulate((n - np.arange(n)) * np.asarray(p_values, float)[order]))
    return corrected.tolist()
