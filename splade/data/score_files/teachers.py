"""Teacher scores from one file or several: brought to one scale, averaged, rescored.

In this order: each file's scores of a query are normalised. The files' scores of the same query and document are
averaged. All scores that training uses are moved to a reference mean and deviation (as in SPLADE-v3,
arXiv 2403.06789).
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splade.data.score_files.negatives import iterate_scores
from splade.files import InputError

logger = logging.getLogger(__name__)

Files = str | Path | Sequence[str | Path]
Scored = tuple[str, dict[str, float]]
Floats = NDArray[np.float64]


def min_max(scores: Floats) -> Floats:
    """``scores`` brought to 0 … 1; all 0 where they are the same."""
    spread = scores.max() - scores.min()
    return (scores - scores.min()) / (spread or 1.0)


def z_score(scores: Floats) -> Floats:
    """``scores`` with mean 0 and deviation 1; all 0 where they are the same."""
    centred: Floats = scores - scores.mean()
    return centred / (centred.std() or 1.0)


NORMALIZATIONS: dict[str, Callable[[Floats], Floats]] = {
    "none": lambda scores: scores,
    "min_max": min_max,
    "z_score": z_score,
}


class TeacherScores:
    """Reads files of teacher scores as one score for each query and document.

    ``normalize`` (none, min_max or z_score) is taken over all documents that a file lists for a query; ``weights``
    (one for each file, default equal) need not sum to 1. ``rescore_mean`` and ``rescore_std`` are what the scores of
    the training data have in the end; None leaves them as they are.
    """

    def __init__(
        self,
        normalize: str = "none",
        weights: Sequence[float] | None = None,
        rescore_mean: float | None = None,
        rescore_std: float | None = None,
    ) -> None:
        if normalize not in NORMALIZATIONS:
            raise InputError(f"config.teacher.normalize={normalize}: accepted are {', '.join(NORMALIZATIONS)}")
        for weight in weights or []:
            if not (math.isfinite(weight) and weight > 0):
                raise InputError(f"config.teacher.weights must be finite numbers above 0, got {weight}")
        if rescore_std is not None and not rescore_std > 0:
            raise InputError(f"config.teacher.rescore_std must be above 0, got {rescore_std}")
        self.normalize, self.weights = normalize, None if weights is None else [float(weight) for weight in weights]
        self.rescore_mean, self.rescore_std = rescore_mean, rescore_std

    def read(self, files: Files) -> Iterator[Scored]:
        """Query id and its documents with their scores, in the order of the first file.

        Of several files, what all of them score; the rest is counted into one warning. Files in one order of queries
        are streamed (as far as ``iterate_scores`` streams their kind); out of order, queries wait in memory.
        InputError where nothing is left.
        """
        paths = paths_of(files)
        if self.weights is not None and len(self.weights) != len(paths):
            raise InputError(
                f"config.teacher.weights has {len(self.weights)} numbers for {len(paths)} files of scores: "
                "give one for each"
            )
        normalised = [self._normalised(path) for path in paths]
        return normalised[0] if len(paths) == 1 else self._averaged(normalised, paths)

    def check_one(self, files: Files, kind: str) -> None:
        """InputError for several ``files``, or these settings, where a file is not one of scores but ``kind``."""
        paths = paths_of(files)
        if len(paths) > 1 or self.normalize != "none" or self.weights is not None:
            raise InputError(
                f"{paths[0]}: {kind}. Several files, config.teacher.normalize and "
                "config.teacher.weights are for files of scores: name these in data.TRAIN.SCORES_PATH"
            )

    def rescore(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """``scores`` moved to the reference mean and deviation; NaN (not scored) stays."""
        if self.rescore_mean is None and self.rescore_std is None:
            return scores
        wide = scores.astype(np.float64)
        mean, std = np.nanmean(wide), np.nanstd(wide)
        if not std > 0:
            raise InputError("config.teacher.rescore_std: all teacher scores are the same, there is nothing to rescore")
        new_mean = mean if self.rescore_mean is None else self.rescore_mean
        new_std = std if self.rescore_std is None else self.rescore_std
        logger.info("teacher scores: mean %.4g, deviation %.4g, now %.4g and %.4g", mean, std, new_mean, new_std)
        return ((wide - mean) / std * new_std + new_mean).astype(np.float32)

    def _normalised(self, path: str | Path) -> Iterator[Scored]:
        change = NORMALIZATIONS[self.normalize]
        for query, scores in iterate_scores(path):
            values = change(np.fromiter(scores.values(), np.float64, len(scores))) if scores else np.empty(0)
            yield query, dict(zip(scores, values.tolist(), strict=True))

    def _averaged(self, files: Sequence[Iterator[Scored]], paths: Sequence[str | Path]) -> Iterator[Scored]:
        weights = self.weights or [1.0] * len(files)
        others = [_Finder(file) for file in files[1:]]
        left_out, kept = 0, 0
        for query, first in files[0]:
            rows = [first, *(other.find(query) for other in others)]
            common = [document for document in first if all(document in row for row in rows[1:])]
            left_out, kept = left_out + len(first) - len(common), kept + len(common)
            if common:
                yield query, {document: _mean([row[document] for row in rows], weights) for document in common}
        named = ", ".join(map(str, paths))
        if not kept:
            raise InputError(
                f"{named}: no query and document is scored by all of these files: do they belong together?"
            )
        if left_out:
            logger.warning(
                "%s: %d of %d scores of the first file are not in all others", named, left_out, left_out + kept
            )


def paths_of(files: Files) -> list[str | Path]:
    """One file or several as a list."""
    return [files] if isinstance(files, str | Path) else list(files)


class _Finder:
    """The queries of a file, in any order; queries that were passed on the way wait in memory."""

    def __init__(self, file: Iterator[Scored]) -> None:
        self.file, self.passed = file, dict[str, dict[str, float]]()

    def find(self, query: str) -> dict[str, float]:
        """The scores of ``query``; empty where the file has none. A query is asked for once."""
        if query in self.passed:
            return self.passed.pop(query)
        for other, scores in self.file:
            if other == query:
                return scores
            self.passed[other] = scores
        return {}


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
