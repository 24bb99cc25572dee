"""An experiment made by hand: two sets, a training, an index; every text that may hold markup holds some."""

import json

import numpy as np

from splade.files import write_json
from splade.indexing import InvertedIndex
from splade.records import SparseBatch, SparseRows
from splade.results import write_result

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(2)> & \"quoted\" 'too'"
TERMS = ["sun", "moon", HOSTILE, "unused"]
WEIGHTS = np.array([[2.0, 0, 1, 0], [1.0, 3, 0, 0], [0, 1.0, 0.5, 0]], np.float32)
CONDITIONS = {
    "command": "python -m splade.all",
    "seed": 7,
    "revision": "abc123",
    "versions": {"python": "3.12", "torch": "2.9"},
    "machine": {"cores": 8},
}
COSTS = {"search": {"seconds": 0.25, "peak_memory_mb": 512.0}, "build": {"encode_seconds": 3.5, "index_seconds": 0.5}}


def an_index():
    """Three documents over four terms, the last of which no document has."""
    from scipy.sparse import csr_matrix

    return InvertedIndex.from_csr(csr_matrix(WEIGHTS), ["d1", "d2", HOSTILE], vocabulary=TERMS)


def query_vectors():
    """q1 asks for sun (2) and moon (1), q2 for the term of markup (4)."""
    rows = SparseRows(np.array([0, 2, 3]), np.array([0, 1, 2], np.int32), np.array([2, 1, 4], np.float32))
    return SparseBatch(("q1", "q2"), rows, 4)


def a_training(folder):
    """A log of 1070 steps, which are no round number, with validation twice."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(1, 11):
        row = {"step": 107 * number, "loss": 1 / number, "total": 1.25 / number, "lr": 0.001, "L0_q": 30.0}
        row |= {"L0_d": 200 / number, "flops": 9.0, "FLOPS_query": 3.0, "lambda_FLOPS_query": number / 1e5}
        rows.append(row | {"dead_q": 0.0})
        if number % 5 == 0:
            rows.append({"step": 107 * number, "MRR@10": number / 20})
    (folder / "training_log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def a_result(folder, dataset="SETS & MORE", *, conditions=True):
    """Two judged queries: q1 finds its document second, q2 finds nothing relevant."""
    folder.mkdir(parents=True)
    run = {"q1": {"d2": 5.0, "d1": 4.0}, "q2": {HOSTILE: 2.0}}
    write_json(folder / "run.json", run)
    details = {
        "dataset": dataset,
        "queries": {"judged": 2, "answered": 2, "judged_at_10": 0.5},
        "conventions": {"unanswered": "count 0", "self_matches": HOSTILE},
        "q_stats": {"L0_q": 1.5},
        "search_stats": {
            "flops": 1.25,
            "index": {"L0_d": 1.67, "index_bytes": 12345},
            "latency_ms": {"n_threads": 2, "mean": 0.3, "p50": 0.2, "p95": 0.4, "p99": 4.5},
        },
    }
    if conditions:
        details |= {"conditions": CONDITIONS, "costs": COSTS}
    write_result(folder, {"mrr_10": 0.25, "ndcg_cut_10": 0.3}, details, {"mrr_10": {"q1": 0.5, "q2": 0.0}})
    return {"q1": {"d1": 1}, "q2": {"d1": 2, "d2": 1}}
