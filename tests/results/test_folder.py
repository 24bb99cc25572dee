import json

import pytest

from splade.evaluation.runs import write_run
from splade.files import InputError
from splade.records import Ranking
from splade.results import read_result, write_result

METRICS = {"mrr_10": 0.5}
PER_QUERY = {"mrr_10": {"q1": 1.0, "q2": 0.0}}
DETAILS = {
    "system": "splade",
    "dataset": "toy",
    "search_stats": {"flops": 2.5, "latency_ms": {"mean": 1.5, "p99": 4}, "index": {"index_bytes": 1000}},
}


def test_what_is_written_is_read(tmp_path):
    write_run(tmp_path, [Ranking("q1", ["d1"], [2.0])])
    write_result(tmp_path, METRICS, DETAILS, PER_QUERY)
    result = read_result(tmp_path)
    assert result[1:] == ("splade", "toy", METRICS, PER_QUERY, DETAILS)
    assert (result.flops, result.index_bytes, result.latency_ms(), result.latency_ms("p99")) == (2.5, 1000, 1.5, 4)
    assert result.latency_ms("p50") is None
    assert result.fact("search_stats.flops.more") is None
    assert result.run() == {"q1": {"d1": 2.0}}


def test_a_folder_with_metrics_alone_is_a_result_named_as_the_folder(tmp_path):
    (tmp_path / "DEV").mkdir()
    (tmp_path / "DEV" / "perf.json").write_text('{"mrr_10": 0.5}')
    result = read_result(tmp_path / "DEV")
    assert (result.system, result.dataset, result.per_query, result.flops) == ("DEV", "DEV", {}, None)
    with pytest.raises(InputError, match=r"there is no run\.json or run\.trec"):
        result.run()


def test_a_result_that_is_written_again_keeps_nothing_of_the_one_before(tmp_path):
    write_result(tmp_path, METRICS, DETAILS, PER_QUERY)
    write_result(tmp_path, {"map": 0.25}, {})
    assert read_result(tmp_path).per_query == {}
    assert read_result(tmp_path).metrics == {"map": 0.25}


def test_a_result_that_cannot_be_completed_is_none(tmp_path):
    write_result(tmp_path, METRICS, DETAILS, PER_QUERY)
    with pytest.raises(TypeError):
        write_result(tmp_path, METRICS, {"not json": object()})
    with pytest.raises(InputError, match=r"no perf\.json"):
        read_result(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [("perf.json", {"mrr_10": "high"}), ("perf.json", [1]), ("details.json", [1]), ("per_query.json", {"mrr_10": 3})],
)
def test_a_file_that_holds_something_else_is_named(tmp_path, file, content):
    write_result(tmp_path, METRICS, DETAILS, PER_QUERY)
    (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(InputError, match=file):
        read_result(tmp_path)
