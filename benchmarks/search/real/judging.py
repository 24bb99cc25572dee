"""Says whether a training helped: questions that no model has learnt from, and the sentences that answer them."""

from pathlib import Path

import scipy.sparse as sp

from benchmarks.search.real.pairs import DEV_DOCUMENTS
from benchmarks.search.real.vectors import Side, encode
from splade import InvertedIndex, Searcher
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.evaluation.metrics import evaluate
from splade.files import read_json, write_json
from splade.records import SparseBatch, SparseRows

METRICS = ("mrr_10", "recall_10")


def judge(kept: Path, model: Path, pairs: Path, *, workers: int = 1) -> dict[str, float]:
    """MRR@10, recall@10 and terms of the dev questions of ``pairs`` among the dev windows.

    Vectors and ``dev.json`` stay in ``kept``, which must be of this model.
    """
    told = kept / "dev.json"
    if told.exists():
        found: dict[str, float] = read_json(told)
        return found
    qrels = read_qrels(pairs, split="dev")
    queries = [query for query in open_queries(pairs, split="dev") if query.id in qrels]
    searched = set(read_json(pairs / DEV_DOCUMENTS))
    documents = [text for text in open_collection(pairs) if text.id in searched]
    asked = encode(kept / "dev-query", Side(model, "query"), [query.text for query in queries], workers=workers)
    answers = encode(kept / "dev-document", Side(model, "document"), [text.text for text in documents], workers=workers)
    searcher = Searcher(InvertedIndex.from_csr(answers, [document.id for document in documents]))
    batch = SparseBatch(tuple(query.id for query in queries), _rows(asked), asked.shape[1])
    run = {
        ranking.query_id: dict(zip(ranking.doc_ids, ranking.scores.tolist(), strict=True))
        for ranking in searcher.search(batch, k=min(100, len(documents)))
    }
    terms = {"terms_q": asked.nnz / len(queries), "terms_d": answers.nnz / len(documents)}
    write_json(told, figures := {**evaluate(run, qrels, METRICS), **terms})
    return figures


def _rows(matrix: sp.csr_matrix) -> SparseRows:
    return SparseRows(matrix.indptr.astype("int64"), matrix.indices.astype("int32"), matrix.data)
