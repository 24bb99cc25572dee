"""Latency, term counts, result files, the table and the figure."""

import json

import numpy as np
import pytest

from splade.evaluation.efficiency import latency_summary, term_counts
from splade.evaluation.plots import posting_figure
from splade.evaluation.report import stored_facts, table, write_summary
from splade.records import SparseBatch, SparseRows
from splade.results import write_result


def test_latency_is_in_milliseconds_with_the_thread_count():
    summary = latency_summary([number / 1000 for number in range(101)], n_threads=3)
    assert summary == pytest.approx({"n_threads": 3, "n_queries": 101, "mean": 50, "p50": 50, "p95": 95, "p99": 99})


def test_no_queries_give_no_latency():
    assert latency_summary([]) == {"n_threads": 1, "n_queries": 0}


def batch(ids, offsets, columns, vocab_size=5):
    rows = SparseRows(np.array(offsets), np.array(columns, np.int32), np.ones(len(columns), np.float32))
    return SparseBatch(ids, rows, vocab_size)


def test_terms_are_counted_once_per_text_over_the_whole_vocabulary():
    counts, n_texts = term_counts([batch(("a", "b"), [0, 2, 3], [0, 4, 4]), batch(("c",), [0, 0], [])], 5)
    assert counts.tolist() == [1, 0, 0, 0, 2]
    assert n_texts == 3


def test_vectors_of_another_vocabulary_are_refused():
    with pytest.raises(ValueError, match="over 6 terms where 5"):
        term_counts([batch(("a",), [0, 0], [], vocab_size=6)], 5)


def test_result_files_are_valid_json_however_often_they_are_written(tmp_path):
    for value in (0.5, 0.25):
        write_result(tmp_path / "DEV", {"mrr_10": value}, {"queries": {"judged": 2}})
        write_summary(tmp_path, {"DEV": {"mrr_10": value}})
    assert json.loads((tmp_path / "DEV" / "perf.json").read_text()) == {"mrr_10": 0.25}
    assert json.loads((tmp_path / "DEV" / "details.json").read_text()) == {"queries": {"judged": 2}}
    assert json.loads((tmp_path / "perf_all_datasets.json").read_text()) == {"DEV": {"mrr_10": 0.25}}


def test_facts_of_the_search_are_gathered_by_file_name(tmp_path):
    (tmp_path / "stats").mkdir()
    (tmp_path / "stats" / "q_stats.json").write_text('{"L0_q": 3.5}')
    assert stored_facts(tmp_path) == {"q_stats": {"L0_q": 3.5}}
    assert stored_facts(tmp_path / "stats") == {}


def test_the_table_aligns_figures_under_each_set():
    assert table({"DEV": {"mrr_10": 0.5, "recall_1000": 1.0}}) == "DEV\n  mrr_10       0.5000\n  recall_1000  1.0000"
    assert table({}) == ""


@pytest.mark.parametrize("counts", [[0, 3, 1, 900, 0], [0, 0], []])
def test_a_figure_is_drawn_of_any_index(tmp_path, counts):
    posting_figure(np.array(counts, np.int64), tmp_path / "sizes.png")
    assert (tmp_path / "sizes.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["sizes.png"]
