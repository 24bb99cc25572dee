"""PISA in C++, by the compiled module of pyterrier-pisa: impacts as whole numbers, one retrieval algorithm each."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.search.engine import Answer, Engine, shared
from benchmarks.search.impacts import impacts
from benchmarks.search.orders import CLUSTERED, GIVEN, order_of, suffix
from benchmarks.search.vectors import Vectors
from splade.engines.places.libraries.pisa import native

ENCODING = "block_simdbp"  # its default, the fastest to decode
COLLECTION = "inv.*"  # what the index is made of and a search does not need


class Pisa(Engine):
    """One retrieval algorithm; all queries in one native call, in threads of its own where there are several."""

    package = "pyterrier-pisa"
    one_call = True

    def __init__(self, algorithm: str, threads: int | None = None, order: str = GIVEN) -> None:
        self.algorithm, self.threads, self.order = algorithm, threads, order
        self.name = f"PISA {algorithm}{suffix(order)}"
        self.index = "PISA" + f"-{order}" * (order == CLUSTERED)

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        module = native()
        _write_collection(vectors, folder, module, order_of(self.order, vectors))
        _context(module, folder)
        for file in folder.glob(COLLECTION):
            file.unlink()

    def open(self, folder: Path) -> float:
        self.native = native()
        start = time.perf_counter()
        self.context = _context(self.native, folder)
        return time.perf_counter() - start

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        n, whole = queries.shape[0], impacts(queries.data).astype(float)
        asked = []
        for q in range(n):
            part = slice(queries.indptr[q], queries.indptr[q + 1])
            asked.append((q, {f"t{t:05d}": w for t, w in zip(queries.indices[part], whole[part], strict=True)}))
        numbers, names = np.empty(n * k, np.int32), np.empty(n * k, object)
        ranks, scores = np.empty(n * k, np.int32), np.empty(n * k, np.float32)
        start = self.clock()
        size = self.native.retrieve(
            self.context, self.algorithm, asked, k=k, threads=self.threads or 1, query_weighted=1, pretokenised=True,
            result_qidxs=numbers, result_docnos=names, result_ranks=ranks, result_scores=scores,
        )  # fmt: skip
        spent = self.clock() - start
        docs = np.full((n, k), -1, np.int64)
        docs[numbers[:size], ranks[:size]] = names[:size].astype(np.int64)
        return docs, shared(spent, n)


def _context(module: Any, folder: Path) -> Any:
    """An index ready to search; its bounds and compressed lists are made where they are not there."""
    context = module.RetrievalContext()
    module.prepare_index(context, str(folder), ENCODING, "quantized", "", quantize=0, stop_fname="")
    return context


def _write_collection(vectors: Vectors, folder: Path, module: Any, order: NDArray[np.int64]) -> None:
    """PISA's plain binary collection: lists of documents and impacts by term, then names and lexicons."""
    documents = vectors.matrix()[order]
    n_docs = vectors.n_docs
    whole = sp.csr_matrix((impacts(documents.data), documents.indices, documents.indptr), shape=documents.shape)
    columns = whole.tocsc()
    terms = np.flatnonzero(np.diff(columns.indptr))
    with (folder / "inv.docs").open("wb") as docs, (folder / "inv.freqs").open("wb") as freqs:
        np.array([1, n_docs], np.uint32).tofile(docs)
        for term in terms:
            part = slice(columns.indptr[term], columns.indptr[term + 1])
            length = np.array([part.stop - part.start], np.uint32)
            for stream, values in ((docs, columns.indices[part]), (freqs, columns.data[part])):
                length.tofile(stream)
                values.astype(np.uint32).tofile(stream)
    with (folder / "inv.sizes").open("wb") as sizes:
        np.array([n_docs], np.uint32).tofile(sizes)
        np.asarray(whole.sum(1)).ravel().astype(np.uint32).tofile(sizes)
    (folder / "fwd.terms").write_text("".join(f"t{term:05d}\n" for term in terms))
    (folder / "fwd.documents").write_text("".join(f"{doc}\n" for doc in order.tolist()))
    for name, lexicon in (("documents", "doclex"), ("terms", "termlex")):
        module.build_binlex(str(folder / f"fwd.{name}"), str(folder / f"fwd.{lexicon}"))
