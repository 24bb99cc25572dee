"""Vectors of a model on a set, encoded once: with BM25's weights, cut to a number of FLOPS, searched and judged."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.head_to_head.recipes import splade
from splade import InvertedIndex, Searcher
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.data.tokens.tokenize import tokenize
from splade.encoding import Encoder
from splade.evaluation.metrics import evaluate_per_query
from splade.files import whole_file
from splade.models import load_retriever
from splade.models.heads.tops import largest_entries
from splade.models.retrievers.bm25 import SpladeBm25
from splade.records import SparseBatch, SparseRows, Text

METRICS = ("ndcg_cut_10", "mrr_10", "recall_100")
FLOPS_TOLERANCE = 1.002
SIDES = ("query", "document")
BATCH = 64  # texts whose lexical weights are made at once


class Source(NamedTuple):
    """A set in the BEIR layout, and the split of its questions."""

    folder: Path
    split: str

    def texts(self, side: str) -> list[Text]:
        """The questions of the split, or the documents."""
        if side == "document":
            return list(open_collection(self.folder))
        judged = read_qrels(self.folder, split=self.split)
        return [query for query in open_queries(self.folder, split=self.split) if query.id in judged]


class Vectors(NamedTuple):
    """Both sides of a set, CSR [texts, V] float32."""

    query: Any
    document: Any

    @property
    def flops(self) -> float:
        """The expected number of terms that a query and a document share, over the whole vocabulary."""
        shares = [np.diff(side.tocsc().indptr) / side.shape[0] for side in self]
        return float(shares[0] @ shares[1])

    @property
    def terms(self) -> tuple[float, float]:
        """Mean non-zeros of a query and of a document."""
        return self.query.nnz / self.query.shape[0], self.document.nnz / self.document.shape[0]


def encoded(model: Path, source: Source, kept: Path, max_length: int) -> Vectors:
    """A model's vectors of a set; made once and kept in the folder ``kept``."""
    paths = {side: kept / f"{side}.npz" for side in SIDES}
    if not all(path.is_file() for path in paths.values()):
        retriever: Any = load_retriever(model)
        for side, path in paths.items():
            found = Encoder(retriever, side, max_length=max_length).encode_all(source.texts(side))
            _keep(path, _matrix(found.rows, retriever.vocab_size))
    return Vectors(*(sparse.load_npz(paths[side]) for side in SIDES))


def lexical(start: Path, source: Source, kept: Path, max_length: int) -> Vectors:
    """BM25's part of the vectors that ``splade.add_bm25`` gives, of any model with the tokenizer of ``start``."""
    paths = {side: kept / f"{side}.npz" for side in SIDES}
    if not all(path.is_file() for path in paths.values()):
        idf = kept / "idf.json"
        kept.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            splade(
                "idf",
                f"init_dict.model_type_or_dir={start}",
                f"init_dict.idf={idf}",
                f"config.max_length={max_length}",
                f"data.COLLECTION_PATH={source.folder}",
            ),
            check=True,
        )
        model = SpladeBm25(start, idf=idf, expansion=0)
        for side, path in paths.items():
            _keep(path, _own_weights(model, side, source.texts(side), max_length))
    return Vectors(*(sparse.load_npz(paths[side]) for side in SIDES))


@torch.no_grad()
def _own_weights(model: SpladeBm25, side: str, texts: list[Text], max_length: int) -> Any:
    parts = []
    for first in range(0, len(texts), BATCH):
        tokens = tokenize(model.tokenizer(side), texts[first : first + BATCH], max_length)
        ids, mask = torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
        nothing = torch.zeros(len(ids), model.vocab_size)  # [B, V]
        parts.append(sparse.csr_matrix(model.lexical(side, nothing, ids, mask).numpy()))
    return sparse.vstack(parts, format="csr")


def with_bm25(expanded: Vectors, own: Vectors, expansion: float) -> Vectors:
    """What a model with BM25 inside makes: ``expansion`` times the head's weights, and the own tokens'."""
    mixed = ((expansion * one + other).astype(np.float32) for one, other in zip(expanded, own, strict=True))
    return Vectors(*(_sorted(one) for one in mixed))


def cut_to(vectors: Vectors, flops: float) -> Vectors:
    """The vectors with their heaviest terms only, as many as ``flops`` allows.

    One share of the mean number of terms caps both sides (``top_q`` and ``top_d`` of a model); the largest share that
    fits is found by halving. No label is looked at. Vectors that fit are left as they are.
    """
    if vectors.flops <= flops * FLOPS_TOLERANCE:
        return vectors
    low, high = 0.0, 4.0  # of the mean: above 1, since some texts have more terms than the mean
    for _ in range(20):
        middle = (low + high) / 2
        fits = _capped(vectors, middle).flops <= flops * FLOPS_TOLERANCE
        low, high = (middle, high) if fits else (low, middle)
    return _capped(vectors, low)


def _capped(vectors: Vectors, share: float) -> Vectors:
    caps = [max(1, round(share * terms)) for terms in vectors.terms]
    return Vectors(*(_largest(side, cap) for side, cap in zip(vectors, caps, strict=True)))


def _largest(matrix: Any, k: int) -> Any:
    rows = SparseRows(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
    return _matrix(largest_entries(rows, k), matrix.shape[1])


@cache
def _texts(source: Source) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, dict[str, int]]]:
    ids = [tuple(text.id for text in source.texts(side)) for side in SIDES]
    return ids[0], ids[1], read_qrels(source.folder, split=source.split)


def judged(vectors: Vectors, source: Source, k: int = 100) -> dict[str, NDArray[np.float64]]:
    """Each metric of every judged query, float64 [queries] in the order of the qrels; none looks below the best 100."""
    query_ids, doc_ids, qrels = _texts(source)
    searcher = Searcher(InvertedIndex.from_csr(vectors.document, list(doc_ids)))
    rows = SparseRows(vectors.query.indptr.astype(np.int64), vectors.query.indices.astype(np.int32), vectors.query.data)
    batch = SparseBatch(query_ids, rows, vectors.query.shape[1])
    run = {
        found.query_id: dict(zip(found.doc_ids, found.scores.tolist(), strict=True))
        for found in searcher.search(batch, k=min(k, len(doc_ids)))
    }
    found = evaluate_per_query(run, qrels, METRICS)
    return {metric: np.array([values[query] for query in qrels]) for metric, values in found.items()}


def _matrix(rows: SparseRows, width: int) -> Any:
    return sparse.csr_matrix((rows.weights, rows.columns, rows.offsets), shape=(len(rows.offsets) - 1, width))


def _sorted(matrix: Any) -> Any:
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _keep(path: Path, matrix: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "wb") as file:
        sparse.save_npz(file, matrix)
