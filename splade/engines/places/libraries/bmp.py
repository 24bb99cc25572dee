"""Block-Max Pruning in Rust, through the package bmp: impacts of one byte, queries of five bits, sums of two bytes.

Three properties of version 0.2.8 are dealt with here. A sum beyond 65,535 begins again at 0: a query's weights are
made smaller where that could happen. A search for up to 1,000 documents has a threshold to begin with, what one term
alone gives its 10th, 100th or 1,000th document, and leaves out those that do not exceed it: it is made again, for more,
where it finds too few. Of the blocks whose bounds exceed the threshold, the one with the lowest is never looked into:
the index ends with a block of its own, and each query has terms that lift the bound of this block just over the
threshold.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from splade.engines.places.kept import Kept
from splade.engines.places.libraries.batches import BatchStore, Parts, are_whole, installed, output_into, version_of
from splade.engines.places.libraries.impacts import (
    DOCUMENT,
    Limits,
    Rounding,
    factor_setting,
    rint,
    said,
    whole_setting,
)
from splade.engines.places.store import Found, Searching
from splade.indexing.layout.clustering import alike_order
from splade.indexing.layout.sources import InMemory
from splade.kernels.sparse import concatenate, slice_rows, take_rows
from splade.records import SparseBatch, SparseRows

LARGEST_IMPACT, LARGEST_WEIGHT, LARGEST_SCORE = 255, 32, 65_535
FREE = 1001  # documents; a search for so many has no threshold to begin with
SCALE = "[scale]"  # a term of no document, whose weight keeps the library from changing the others'
LAST = {"[last 255]": 255, "[last 16]": 16, "[last 1]": 1}  # the document in the last block
LEVELS = (10, 100, 1000)
KNOWN = "0.2.8"  # the version of which the threshold is known
ORDERS = ("clustered", "given")
INSTALL = "pip install 'splade[bmp]', or pip install bmp==0.2.8"


class Bmp(Kept):
    """Exact on its impacts with ``alpha`` 1 and ``beta`` 1.

    Documents are in blocks of ``block_size``, at most 256. ``compress_range`` keeps only those maxima of blocks that
    are not 0: fewer bytes, more time. Smaller ``alpha`` ends a search earlier, smaller ``beta`` leaves out the lightest
    terms of a query; either makes it approximate. ``order`` ``clustered`` brings like documents together, as our own
    index does. ``quantization_factor_document`` turns weights into impacts; without it, whole numbers up to 255 stay as
    they are, and for others the heaviest weight becomes 255.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        block_size: int = 32,
        compress_range: bool = False,
        order: str = "clustered",
        quantization_factor_document: float | None = None,
        alpha: float = 1.0,
        beta: float = 1.0,
    ) -> None:
        super().__init__(folder, "bmp")
        if whole_setting("block_size", block_size) > 256:
            raise ValueError(f"engine.block_size={block_size}: expected at most 256")
        if order not in ORDERS:
            raise ValueError(f"engine.order={order!r}: expected one of {', '.join(ORDERS)}")
        for name, share in (("alpha", alpha), ("beta", beta)):
            if not 0 < share <= 1:
                raise ValueError(f"engine.{name}={share!r}: expected a number above 0, at most 1")
        factor = factor_setting(DOCUMENT, quantization_factor_document)
        self.building = {"block_size": block_size, "compress_range": bool(compress_range), "order": order}
        self.factor, self.alpha, self.beta = factor, alpha, beta

    def store(self, folder: Path) -> "BmpStore":
        """Return the store of indexes in ``folder``."""
        return BmpStore(folder, self.building, self.factor, self.alpha, self.beta)


class BmpStore(BatchStore):
    """An index is one file, which is read into memory, and the largest impact of each term."""

    name: ClassVar[str] = "bmp"

    def __init__(self, folder: Path, building: dict[str, Any], factor: float | None, alpha: float, beta: float) -> None:
        super().__init__(folder)
        self.building, self.alpha, self.beta = building, alpha, beta
        self.limits = Limits(self.name, LARGEST_IMPACT, factor)

    def identity(self) -> dict[str, Any]:
        """The settings of the build."""
        return self.building | {DOCUMENT: self.limits.given}

    def library(self) -> Any:
        """Return the package; InputError without it."""
        return installed("bmp", self.name, INSTALL)

    def refuse(self, batch: SparseBatch) -> None:
        """InputError where the factor makes impacts that are too large."""
        self.limits.refuse(batch)

    def make(self, parts: Parts, folder: Path) -> dict[str, Any]:
        """Hand the documents to the library one by one, then the last block."""
        library = self.library()
        rounding, size = Rounding(self.limits.factor(parts)), self.building["block_size"]
        counts, norm, total, n_added = np.zeros((parts.n_terms, LARGEST_IMPACT + 1), np.int32), 0.0, 0.0, 0
        with output_into(folder / "build.log"):
            indexer = library.Indexer(str(folder / "index.bmp"), size, self.building["compress_range"])
            for numbers, given in self._ordered(parts):
                rows = rounding.impacts(given)
                np.add.at(counts, (rows.columns, rows.weights.astype(np.int64)), 1)
                for number, terms, weights in _documents(numbers, rows):
                    vector = zip(map(str, terms.tolist()), weights.tolist(), strict=True)
                    indexer.add_document(str(number), dict(vector))
                    norm, total = max(norm, float((weights**2).sum())), max(total, int(weights.sum()))
                n_added += len(numbers)
            for _ in range(-n_added % size):
                indexer.add_document("", {})
            indexer.add_document("", LAST)
            indexer.finish()
        np.save(folder / "impacts.npy", _impacts_at((1, *LEVELS), counts))
        return rounding.facts() | {"largest_norm": norm**0.5, "largest_sum": total}

    def _ordered(self, parts: Parts) -> Any:
        """The numbers and rows of documents, in the order of the index."""
        if self.building["order"] == "given" or not parts.n_docs:
            yield from parts
            return
        numbers, rows = zip(*parts, strict=True)
        together = concatenate(rows)
        order, _ = alike_order(InMemory(together, parts.n_terms), int(self.building["block_size"]), 0, 1)
        known = np.concatenate(numbers)
        for start in range(0, len(order), self.at_once):
            some = order[start : start + self.at_once].astype(np.int64)
            yield known[some], take_rows(together, some)

    def opened(self, folder: Path, facts: dict[str, Any]) -> Searching:
        """Load the index into memory."""
        return BmpSearching(self, folder, facts)


class BmpSearching:
    """A loaded index."""

    most: int | None = None
    concurrent = True

    def __init__(self, store: BmpStore, folder: Path, facts: dict[str, Any]) -> None:
        self._store, self._facts = store, facts
        self._largest, *self._levels = np.load(folder / "impacts.npy").astype(np.int64)
        self._fast = version_of("bmp") == KNOWN
        self._searcher = store.library().Searcher(str(folder / "index.bmp"))

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """Search query by query."""
        return [self._one(slice_rows(rows, row, row + 1), limit) for row in range(len(rows.offsets) - 1)]

    def _one(self, row: SparseRows, limit: int) -> Found:
        terms, weights = self._known(row)
        if not len(terms):
            return Found(np.empty(0, np.int64), np.empty(0, np.float32))
        whole, factor = self.query_weights(weights, self._largest[terms])
        asked = {str(term): float(weight) for term, weight in zip(terms, whole, strict=True) if weight}
        numbers, scores = np.empty(0, np.int64), np.empty(0)
        if self._fast and limit + 1 < FREE:
            level = sum(limit + 1 > bound for bound in LEVELS)
            numbers, scores = self._ask(asked, limit + 1, int((self._levels[level][terms] * whole).max()))
        if len(numbers) < limit:
            numbers, scores = self._ask(asked, max(limit + 1, FREE), 0)
        back = scores / (factor * self._facts["factor"])
        return Found(numbers[:limit], back[:limit].astype(np.float32))

    def _known(self, row: SparseRows) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        within = row.columns < len(self._largest)
        terms, weights = row.columns[within], row.weights[within]
        there = self._largest[terms] > 0
        return terms[there], weights[there]

    def query_weights(self, weights: NDArray[Any], largest: NDArray[Any]) -> tuple[NDArray[np.float64], float]:
        """Whole numbers up to 32 for the weights of a query, and their factor; no document's sum is too large.

        Whole numbers stay as they are where they can. Otherwise the heaviest becomes 32, or less where a sum could be
        too large; the lightest terms are left out where that is not enough.
        """
        heaviest = float(weights.max())
        if are_whole(weights) and heaviest <= LARGEST_WEIGHT and self._bound(weights, largest) <= LARGEST_SCORE:
            return weights.astype(np.float64), 1.0
        for level in range(LARGEST_WEIGHT, 0, -1):
            whole = rint(weights, level / heaviest)
            if self._bound(whole, largest) <= LARGEST_SCORE:
                return whole, level / heaviest
        for lightest in np.argsort(weights, kind="stable"):
            whole[lightest] = 0
            if self._bound(whole, largest) <= LARGEST_SCORE:
                break
        return whole, 1 / heaviest

    def _bound(self, whole: NDArray[Any], largest: NDArray[Any]) -> float:
        """More than which no document scores: by its terms, by lengths (Cauchy and Schwarz), or by its sum."""
        by_length = float(np.sqrt((whole**2).sum())) * self._facts["largest_norm"]
        return min(float(whole @ largest), by_length, float(whole.max()) * self._facts["largest_sum"])

    def _ask(
        self, query: dict[str, float], limit: int, threshold: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The numbers and sums of the best documents, without those of 0 and without the last block's."""
        bound, last = threshold + 1, {}
        for term, impact in LAST.items():
            last[term] = float(min(bound // impact, LARGEST_WEIGHT))
            bound -= int(last[term]) * impact
        asked = query | last | {SCALE: float(LARGEST_WEIGHT)}
        names, sums = self._searcher.search(asked, limit, self._store.alpha, self._store.beta)
        found = [(int(name), score) for name, score in zip(names, sums, strict=True) if score > 0 and name]
        return np.array([number for number, _ in found], np.int64), np.array([score for _, score in found], np.float64)

    def facts(self) -> dict[str, Any]:
        """Say what rounding loses, and whether the search is exact."""
        exact = self._store.alpha == self._store.beta == 1
        queries = (
            "query weights that are whole numbers up to 32 stay; of others the heaviest becomes 32, less where a sum "
            "could exceed 65,535, and each is rounded"
        )
        return {
            "strategy": "block_max" if exact else "approximate",
            "strategy_options": {**self._store.building, "alpha": self._store.alpha, "beta": self._store.beta},
            "version": version_of("bmp"),
            "quantization": f"{said(self._facts)}; {queries}",
            "weight_error": self._facts["weight_error"],
            "bytes": self._facts["bytes"],
        }


def _impacts_at(ranks: tuple[int, ...], counts: NDArray[np.int32]) -> NDArray[np.uint8]:
    """For each rank and term the impact of the document at that rank, 0 where it has fewer; uint8 [ranks, terms].

    ``counts`` [terms, impacts] are its documents of each impact.
    """
    at_least = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    return np.stack([(at_least[:, 1:] >= rank).sum(axis=1) for rank in ranks]).astype(np.uint8)


def _documents(numbers: NDArray[np.int64], rows: SparseRows) -> Any:
    """The number, terms and impacts of each document."""
    for row, number in enumerate(numbers.tolist()):
        own = slice(*rows.offsets[row : row + 2])
        yield number, rows.columns[own], rows.weights[own].astype(np.int64)
