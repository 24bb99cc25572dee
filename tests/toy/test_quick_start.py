"""What every new user runs first."""

import pytest

from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.engines.bm25 import rankings
from splade.evaluation.metrics import evaluate
from splade.files import read_json
from tests.commands.conftest import splade  # noqa: F401 - a fixture
from tests.toy.test_toy_data import TOY


@pytest.mark.slow
def test_the_quick_start_ends_above_bm25_on_held_out_questions(splade, tmp_path):  # noqa: F811
    splade("all", cwd=tmp_path)
    found = read_json(tmp_path / "experiments/default/out/TOY/perf.json")["mrr_10"]
    queries = open_queries(TOY / "queries" / "test")
    run = {
        ranking.query_id: dict(zip(ranking.doc_ids, ranking.scores.tolist(), strict=True))
        for ranking in rankings(open_collection(TOY / "collection"), queries, 100)
    }
    assert found > evaluate(run, read_qrels(TOY / "qrels" / "test.json"), ["mrr_10"])["mrr_10"] + 0.05
