"""Make ``data/toy/runs/bm25.trec``: BM25's best documents of the toy test queries, for the reranker configs.

python scripts/make_toy_run.py
"""

from pathlib import Path

from splade.data.collections.opening import open_collection, open_queries
from splade.evaluation.runs import write_trec
from splade.search.bm25 import BM25

TOY = Path(__file__).resolve().parents[1] / "data" / "toy"
DEPTH = 20


def main() -> None:
    """Write the run."""
    bm25 = BM25(open_collection(TOY / "collection"))
    run = {
        ranking.query_id: dict(zip(ranking.doc_ids, ranking.scores.tolist(), strict=True))
        for ranking in bm25.search(open_queries(TOY / "queries" / "test"), k=DEPTH)
    }
    (TOY / "runs").mkdir(exist_ok=True)
    write_trec(TOY / "runs" / "bm25.trec", run, tag="bm25")
    print(f"{TOY / 'runs' / 'bm25.trec'}: {len(run)} queries, at most {DEPTH} documents each")


if __name__ == "__main__":
    main()
