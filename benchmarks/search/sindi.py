"""VSAG's SINDI, through pyvsag: exact without pruning, approximate with its own."""

import json
import time
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp

from benchmarks.search.engine import Answer, Engine, one_by_one
from benchmarks.search.vectors import Vectors

WINDOW = 50_000  # documents that are scored at a time, its default
MOST_TERMS = 4096  # of a vector


class Pruning(NamedTuple):
    """Shares that are left out; candidates are rescored where documents were pruned."""

    documents: float = 0.0  # of a document's terms, the lightest, at the build: doc_prune_ratio
    queries: float = 0.0  # of a query's terms, the lightest: query_prune_ratio
    lists: float = 0.0  # of a term's postings, the lightest: term_prune_ratio
    candidates: int = 1  # for each result: n_candidate over k


POINTS = (
    Pruning(queries=0.1),
    Pruning(queries=0.2),
    Pruning(queries=0.4),
    Pruning(lists=0.1),
    Pruning(0.2, 0.2, candidates=2),
    Pruning(0.2, 0.4, candidates=5),
    Pruning(0.4, 0.2, candidates=5),  # its documentation's "pruned high-accuracy index": .4, 8 bits, rescored
    Pruning(0.4, 0.4, candidates=5),
)


class Sindi(Engine):
    """One of its settings. An index of pruned documents has 8-bit weights, and all weights to rescore with."""

    package = "pyvsag"
    _loaded: ClassVar[dict[Path, Any]] = {}

    def __init__(self, pruning: Pruning = Pruning()) -> None:  # noqa: B008 - immutable
        self.pruning, self.exact = pruning, pruning == Pruning()
        shares = {"docs": pruning.documents, "query": pruning.queries, "lists": pruning.lists}
        said = [f"{name}={share:g}" for name, share in shares.items() if share]
        said += [f"candidates={pruning.candidates}k"] * (pruning.candidates > 1)
        self.name = " ".join(["SINDI", *said])
        self.index = "SINDI" + f"-docs-{pruning.documents:g}" * (pruning.documents > 0)

    def build(self, vectors: Vectors, inputs: Path, folder: Path, n_threads: int) -> None:
        documents = vectors.matrix()
        made = _made(documents.shape[1], self.pruning.documents)
        made.build(
            index_pointers=documents.indptr.astype(np.uint32), indices=documents.indices.astype(np.uint32),
            values=documents.data, ids=np.arange(documents.shape[0], dtype=np.int64),
        )  # fmt: skip
        made.save(str(folder / "index.bin"))
        np.save(folder / "vocab_size.npy", documents.shape[1])

    def open(self, folder: Path) -> float:
        start = time.perf_counter()
        if folder not in self._loaded:
            self._loaded[folder] = _made(int(np.load(folder / "vocab_size.npy")), self.pruning.documents)
            self._loaded[folder].load(str(folder / "index.bin"))
        self.made, self.folder = self._loaded[folder], folder
        return time.perf_counter() - start

    def close(self) -> None:
        self._loaded.pop(self.folder, None)
        self.made = None

    def search(self, queries: sp.csr_matrix, k: int) -> Answer:
        settings = {
            "query_prune_ratio": self.pruning.queries,
            "term_prune_ratio": self.pruning.lists,
            "n_candidate": self.pruning.candidates * k,
        }
        parameters = json.dumps({"sindi": settings})

        def answer(terms: Any, weights: Any) -> tuple[Any, float]:
            pointers, numbers = np.array([0, len(terms)], np.uint32), terms.astype(np.uint32)
            start = self.clock()
            found, _ = self.made.knn_search(pointers, numbers, weights, k, parameters)
            return np.asarray(found).ravel(), self.clock() - start

        return one_by_one(queries, k, answer)


def _made(vocab_size: int, pruned: float) -> Any:
    import pyvsag

    pyvsag.set_logger_off()
    settings = {
        "dtype": "sparse", "metric_type": "ip", "dim": MOST_TERMS,
        "index_param": {
            "term_id_limit": vocab_size, "window_size": WINDOW, "doc_prune_ratio": pruned,
            "use_quantization": pruned > 0, "use_reorder": pruned > 0, "avg_doc_term_length": 120,
        },
    }  # fmt: skip
    return pyvsag.Index("sindi", json.dumps(settings))
