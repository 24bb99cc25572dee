"""Seismic in Rust, through pyseismic-lsr: approximate search in clustered lists whose blocks have summaries."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from splade.engines.places.kept import Kept
from splade.engines.places.libraries.batches import (
    BatchStore,
    Parts,
    counted,
    installed,
    output_into,
    scratch,
    version_of,
)
from splade.engines.places.libraries.impacts import whole_setting
from splade.engines.places.store import Found, Searching
from splade.kernels.sparse import slice_rows
from splade.records import SparseRows

SMALL = 1 << 16  # terms that two bytes can number
INSTALL = "pip install 'splade[seismic]', or pip install pyseismic-lsr==0.5.4"


class Seismic(Kept):
    """Approximate search; weights are kept as 16-bit floats, queries as they are.

    A list keeps ``n_postings`` postings on average, the heaviest, and at most ``max_fraction`` times as many. It is
    clustered into blocks, ``centroid_fraction`` of them for each posting. A block's summary has ``summary_energy`` of
    the weight of its documents. A search looks into the lists of the ``query_cut`` heaviest terms, and skips a block
    whose summary scores less than ``heap_factor`` times the score to beat: smaller is more exact. All are the
    library's own defaults, from its experiments with SPLADE on MS MARCO.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        n_postings: int = 3500,
        centroid_fraction: float = 0.1,
        min_cluster_size: int = 2,
        summary_energy: float = 0.4,
        max_fraction: float = 1.5,
        doc_cut: int = 15,
        query_cut: int = 20,
        heap_factor: float = 0.8,
    ) -> None:
        super().__init__(folder, "seismic")
        counts = {"n_postings": n_postings, "min_cluster_size": min_cluster_size, "doc_cut": doc_cut}
        for name, value in (counts | {"query_cut": query_cut}).items():
            whole_setting(name, value)
        shares = {"centroid_fraction": centroid_fraction, "summary_energy": summary_energy}
        for name, share in shares.items():
            if not 0 < share <= 1:
                raise ValueError(f"engine.{name}={share!r}: expected a number above 0, at most 1")
        if not max_fraction > 0:
            raise ValueError(f"engine.max_fraction={max_fraction!r}: expected a number above 0")
        if not heap_factor >= 0:
            raise ValueError(f"engine.heap_factor={heap_factor!r}: expected 0 or more")
        self.building = counts | shares | {"max_fraction": max_fraction}
        self.query_cut, self.heap_factor = query_cut, heap_factor

    def store(self, folder: Path) -> "SeismicStore":
        """Return the store of indexes in ``folder``."""
        return SeismicStore(folder, self.building, self.query_cut, self.heap_factor)


class SeismicStore(BatchStore):
    """An index is Seismic's file and the number of each of its documents. Building holds all vectors in memory."""

    name: ClassVar[str] = "seismic"

    def __init__(self, folder: Path, building: dict[str, Any], query_cut: int, heap_factor: float) -> None:
        super().__init__(folder)
        self.building, self.query_cut, self.heap_factor = building, query_cut, heap_factor

    def identity(self) -> dict[str, Any]:
        """The settings of the build."""
        return self.building

    def library(self) -> Any:
        """Return the package; InputError without it."""
        return installed("seismic", self.name, INSTALL)

    def kind(self, n_terms: int) -> Any:
        """The class of an index of so many terms."""
        return self.library().SeismicIndexRaw if n_terms <= SMALL else self.library().SeismicIndexRawLV

    def make(self, parts: Parts, folder: Path) -> dict[str, Any]:
        """Write the documents as the library reads them, and have it build."""
        numbers = [np.zeros(0, np.int64)]
        with scratch(folder) as inputs, output_into(folder / "build.log"):
            path = Path(inputs) / "documents.bin"
            with path.open("wb") as stream:
                np.array([parts.n_docs], np.uint32).tofile(stream)
                for part in parts:
                    counted(part.rows.offsets, part.rows.columns, part.rows.weights).tofile(stream)
                    numbers.append(part.numbers)
            if parts.n_docs:
                self.kind(parts.n_terms).build(str(path), **self.building).save(str(folder / "index.seismic"))
        np.save(folder / "numbers.npy", np.concatenate(numbers))
        return {}

    def opened(self, folder: Path, facts: dict[str, Any]) -> Searching:
        """Load the index into memory."""
        return SeismicSearching(self, folder, facts)


class SeismicSearching:
    """A loaded index."""

    most: int | None = None
    concurrent = True

    def __init__(self, store: SeismicStore, folder: Path, facts: dict[str, Any]) -> None:
        self._store, self._facts = store, facts
        self._numbers = np.load(folder / "numbers.npy")
        self._n_terms = int(facts["n_terms"])
        self._index = store.kind(self._n_terms).load(str(folder / "index.seismic")) if len(self._numbers) else None

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """Search query by query."""
        return [self._one(slice_rows(rows, row, row + 1), limit) for row in range(len(rows.offsets) - 1)]

    def _one(self, row: SparseRows, limit: int) -> Found:
        known = row.columns < self._n_terms  # the library ends at a term beyond those of its documents
        terms, weights = row.columns[known], row.weights[known]
        if self._index is None or not len(terms):
            return Found(np.empty(0, np.int64), np.empty(0, np.float32))
        pairs = self._index.search(terms, weights, limit, self._store.query_cut, self._store.heap_factor, 0, True)
        scores = np.array([score for score, _ in pairs], np.float32)
        found = self._numbers[np.array([place for _, place in pairs], np.int64)]
        return Found(found[scores > 0], scores[scores > 0])

    def facts(self) -> dict[str, Any]:
        """Say that the search is approximate, and how the weights are kept."""
        settings = self._store.building | {"query_cut": self._store.query_cut, "heap_factor": self._store.heap_factor}
        return {
            "strategy": "approximate",
            "strategy_options": settings,
            "version": version_of("pyseismic-lsr"),
            "quantization": "document weights are 16-bit floats, off by at most 0.05 % each; the search is approximate",
            "bytes": self._facts["bytes"],
        }
