"""PISA in C++, by the compiled module of pyterrier-pisa: whole-number impacts and query weights, exact algorithms."""

import ctypes
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from splade.engines.places.kept import Kept
from splade.engines.places.libraries.batches import BatchStore, Parts, are_whole, counted, output_into, version_of
from splade.engines.places.libraries.impacts import (
    DOCUMENT,
    QUERY,
    Limits,
    Rounding,
    factor_setting,
    rint,
    said,
)
from splade.engines.places.store import Found, Searching
from splade.files import InputError
from splade.kernels.sparse import slice_rows, transpose_parts
from splade.records import SparseBatch, SparseRows

ALGORITHMS = ("maxscore", "block_max_maxscore", "block_max_wand", "wand", "ranked_or")
ENCODINGS = (
    "block_simdbp",
    "block_streamvbyte",
    "block_maskedvbyte",
    "block_interpolative",
    "block_qmx",
    "block_varintgb",
    "block_varintg8iu",
    "block_optpfor",
    "block_simple8b",
    "block_simple16",
)
FACTOR, LARGEST_IMPACT = 100.0, 65_535
ANSWERS = 1 << 20  # documents for which an answer has room
INSTALL = (
    "pip install 'tbb<=2020.3.254' and pip install --no-deps pyterrier-pisa==0.4.9 (PyTerrier itself is not needed)"
)


class Pisa(Kept):
    """Exact on its impacts, by ``algorithm``; lists are compressed by ``encoding``.

    Impacts are weights times ``quantization_factor_document``, rounded; without it, whole numbers stay as they are and
    others are taken times 100. The same holds for queries and ``quantization_factor_query``.
    """

    def __init__(
        self,
        folder: str | Path | None,
        *,
        algorithm: str = "maxscore",
        encoding: str = "block_simdbp",
        quantization_factor_document: float | None = None,
        quantization_factor_query: float | None = None,
    ) -> None:
        super().__init__(folder, "pisa")
        for name, value, known in (("algorithm", algorithm, ALGORITHMS), ("encoding", encoding, ENCODINGS)):
            if value not in known:
                raise ValueError(f"engine.{name}={value!r}: expected one of {', '.join(known)}")
        self.algorithm, self.encoding = algorithm, encoding
        self.document_factor = factor_setting(DOCUMENT, quantization_factor_document)
        self.query_factor = factor_setting(QUERY, quantization_factor_query)

    def store(self, folder: Path) -> "PisaStore":
        """Return the store of indexes in ``folder``."""
        return PisaStore(folder, self.algorithm, self.encoding, self.document_factor, self.query_factor)


class PisaStore(BatchStore):
    """An index is a folder of PISA. Building holds 24 bytes for each posting in memory."""

    name: ClassVar[str] = "pisa"

    def __init__(
        self, folder: Path, algorithm: str, encoding: str, factor: float | None, query_factor: float | None
    ) -> None:
        super().__init__(folder)
        self.algorithm, self.encoding, self.query_factor = algorithm, encoding, query_factor
        self.limits = Limits(self.name, LARGEST_IMPACT, factor)

    def identity(self) -> dict[str, Any]:
        """The settings of the build."""
        return {"encoding": self.encoding, DOCUMENT: self.limits.given}

    def library(self) -> Any:
        """Return the compiled module; InputError without it."""
        return native()

    def refuse(self, batch: SparseBatch) -> None:
        """InputError where the factor makes impacts that are too large."""
        self.limits.refuse(batch)

    def make(self, parts: Parts, folder: Path) -> dict[str, Any]:
        """Write PISA's plain collection, and have it compressed."""
        module = self.library()
        rounding = Rounding(self.limits.factor(parts, FACTOR))
        read = [(part.numbers, rounding.impacts(part.rows)) for part in parts]
        if rounding.n_postings > rounding.n_dropped:
            _write_collection(folder, read, parts.n_terms)
            with output_into(folder / "build.log"):
                for name, lexicon in (("documents", "doclex"), ("terms", "termlex")):
                    module.build_binlex(str(folder / f"fwd.{name}"), str(folder / f"fwd.{lexicon}"))
                context(module, folder, self.encoding)
            for file in folder.glob("inv.*"):
                file.unlink()
        return rounding.facts()

    def opened(self, folder: Path, facts: dict[str, Any]) -> Searching:
        """Map the index."""
        return PisaSearching(self, folder, facts)


class PisaSearching:
    """An index that is mapped; one call of the library for several queries, on one thread."""

    most: int | None = None
    concurrent = False

    def __init__(self, store: PisaStore, folder: Path, facts: dict[str, Any]) -> None:
        self._store, self._facts, self._module = store, facts, store.library()
        filled = facts["n_rounded"] > facts["n_dropped"]
        self._context = context(self._module, folder, store.encoding) if filled else None

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """Search for all of ``rows``, in whole-number weights."""
        n = len(rows.offsets) - 1
        if n > 1 and n * limit > ANSWERS:
            return [found for row in range(n) for found in self.search(slice_rows(rows, row, row + 1), limit)]
        if self._context is None:
            return [Found(np.empty(0, np.int64), np.empty(0, np.float32))] * n
        asked, factors = self._asked(rows)
        queries, names = np.empty(n * limit, np.int32), np.empty(n * limit, object)
        ranks, scores = np.empty(n * limit, np.int32), np.empty(n * limit, np.float32)
        size = self._module.retrieve(
            self._context, self._store.algorithm, asked, k=limit, threads=1, query_weighted=1, pretokenised=True,
            result_qidxs=queries, result_docnos=names, result_ranks=ranks, result_scores=scores,
        )  # fmt: skip
        ends = np.searchsorted(queries[:size], np.arange(n + 1))
        return [
            self._found(names[start:stop], scores[start:stop], factor)
            for start, stop, factor in zip(ends[:-1], ends[1:], factors, strict=True)
        ]

    def _asked(self, rows: SparseRows) -> tuple[list[tuple[int, dict[str, float]]], list[float]]:
        """The queries as the library takes them, and the factor of each."""
        asked, factors = [], []
        for row in range(len(rows.offsets) - 1):
            own = slice(*rows.offsets[row : row + 2])
            terms, weights = rows.columns[own].tolist(), rows.weights[own]
            factor = self._store.query_factor or (1.0 if are_whole(weights) else FACTOR)
            whole = rint(weights, factor).tolist()
            asked.append((row, {f"t{term:010d}": weight for term, weight in zip(terms, whole, strict=True) if weight}))
            factors.append(factor)
        return asked, factors

    def _found(self, names: NDArray[Any], scores: NDArray[np.float32], factor: float) -> Found:
        back = scores / np.float64(factor * self._facts["factor"])
        return Found(names.astype(np.int64)[scores > 0], back[scores > 0].astype(np.float32))

    def facts(self) -> dict[str, Any]:
        """Say what rounding loses."""
        factor = self._store.query_factor
        queries = f"times {factor:g}" if factor else "that are whole numbers stay, others times 100"
        return {
            "strategy": self._store.algorithm,
            "strategy_options": {"encoding": self._store.encoding},
            "version": version_of("pyterrier-pisa"),
            "quantization": f"{said(self._facts)}; query weights {queries}, rounded to whole numbers",
            "weight_error": self._facts["weight_error"],
            "bytes": self._facts["bytes"],
        }


def native() -> Any:
    """The compiled module alone: the package around it wants all of PyTerrier. InputError where it is missing."""
    if "_pisathon" in sys.modules:
        return sys.modules["_pisathon"]
    found = find_spec("pyterrier_pisa")
    if found is None or not found.submodule_search_locations:
        raise InputError(f"engine=pisa needs the package pyterrier-pisa, which is not installed: {INSTALL}")
    threading_library = Path(sys.prefix) / "lib" / "libtbb.so.2"  # where the package tbb puts it
    try:
        if threading_library.exists():
            ctypes.CDLL(str(threading_library))
        path = next(Path(found.submodule_search_locations[0]).glob("_pisathon*.so"))
        loader = ExtensionFileLoader("_pisathon", str(path))
        spec = spec_from_loader("_pisathon", loader)
        assert spec
        module = module_from_spec(spec)
        loader.exec_module(module)
    except (ImportError, OSError, StopIteration) as error:
        raise InputError(f"engine=pisa: the module of pyterrier-pisa does not load ({error}): {INSTALL}") from error
    sys.modules["_pisathon"] = module
    return module


def context(module: Any, folder: Path, encoding: str) -> Any:
    """An index ready to search; its bounds and compressed lists are made where they are not there."""
    made = module.RetrievalContext()
    module.prepare_index(made, str(folder), encoding, "quantized", "", quantize=0, stop_fname="")
    return made


def _write_collection(folder: Path, parts: list[tuple[NDArray[np.int64], SparseRows]], n_terms: int) -> None:
    """PISA's plain binary collection: lists of documents and impacts by term, then names.

    Names of terms are in order of their letters, as a lexicon has to be.
    """
    n_docs = sum(len(numbers) for numbers, _ in parts)
    postings = transpose_parts([rows for _, rows in parts], n_terms)
    lengths = np.diff(postings.offsets)
    offsets = postings.offsets[np.concatenate([[True], lengths > 0])]  # of the terms that some document has
    with (folder / "inv.docs").open("wb") as docs, (folder / "inv.freqs").open("wb") as freqs:
        np.array([1, n_docs], np.uint32).tofile(docs)
        counted(offsets, postings.columns).tofile(docs)
        counted(offsets, postings.weights.astype(np.uint32)).tofile(freqs)
    sums = np.bincount(postings.columns, postings.weights, n_docs).astype(np.uint32)
    with (folder / "inv.sizes").open("wb") as sizes:
        np.array([n_docs], np.uint32).tofile(sizes)
        sums.tofile(sizes)
    (folder / "fwd.terms").write_text("".join(f"t{term:010d}\n" for term in np.flatnonzero(lengths)))
    (folder / "fwd.documents").write_text("".join(f"{doc}\n" for numbers, _ in parts for doc in numbers.tolist()))
