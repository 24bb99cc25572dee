"""The shipped first-stage run that the toy reranker config reranks."""

from pathlib import Path

from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.engines.bm25 import rankings
from splade.evaluation.runs import read_run

TOY = Path(__file__).parents[2] / "data" / "toy"


def test_the_toy_run_is_bm25_of_the_toy_data_as_it_is():
    run = read_run(TOY / "runs" / "bm25.trec")
    queries = open_queries(TOY / "queries" / "test")
    assert {
        ranking.query_id: list(ranking.doc_ids)
        for ranking in rankings(open_collection(TOY / "collection"), queries, 20)
    } == {query: list(results) for query, results in run.items()}, "the toy data changed: run scripts/make_toy_run.py"
    assert set(read_qrels(TOY / "qrels" / "test.json")) == set(run)
