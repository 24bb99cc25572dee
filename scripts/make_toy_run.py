"""Make ``data/toy/runs/bm25.trec``: BM25's best documents of the toy test queries, for the reranker configs.

python scripts/make_toy_run.py
"""

from pathlib import Path

from splade.data.collections.opening import open_collection, open_queries
from splade.engines.bm25 import rankings
from splade.evaluation.runs import write_trec

TOY = Path(__file__).resolve().parents[1] / "data" / "toy"
DEPTH = 20


def main() -> None:
    """Write the run."""
    found = rankings(open_collection(TOY / "collection"), open_queries(TOY / "queries" / "test"), DEPTH)
    run = {found.query_id: dict(zip(found.doc_ids, found.scores.tolist(), strict=True)) for found in found}
    (TOY / "runs").mkdir(exist_ok=True)
    write_trec(TOY / "runs" / "bm25.trec", run, tag="bm25")
    print(f"{TOY / 'runs' / 'bm25.trec'}: {len(run)} queries, at most {DEPTH} documents each")


if __name__ == "__main__":
    main()
