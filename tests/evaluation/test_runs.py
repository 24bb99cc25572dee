"""Runs written and read again."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.evaluation.metrics import ordered
from splade.evaluation.runs import read_run, write_run
from splade.files import InputError
from splade.records import Ranking


def ranking(query_id, *results):
    doc_ids = [doc_id for doc_id, _ in results]
    return Ranking(query_id, doc_ids, np.array([score for _, score in results], np.float32))


@given(st.lists(st.floats(0, 100, width=32), max_size=30))
def test_both_files_give_back_order_and_scores(tmp_path_factory, scores):
    folder = tmp_path_factory.mktemp("run")
    # Ids fall while places rise, so that an order by id would show.
    results = [(f"d{99 - place}", score) for place, score in enumerate(sorted(scores, reverse=True))]
    write_run(folder, [ranking("q", *results)])
    expected = [doc_id for doc_id, _ in results]
    for name in ("run.json", "run.trec"):
        again = read_run(folder / name).get("q", {}) if results or name == "run.json" else {}
        assert ordered(again) == expected
        assert np.array_equal(np.array(list(again.values()), np.float32), np.array([s for _, s in results], np.float32))


def test_a_run_holds_every_query_and_trec_counts_ranks_from_1(tmp_path):
    run = write_run(tmp_path, [ranking("é 1".replace(" ", "_"), ("d2", 2.5), ("d1", 0.1)), ranking("none")], tag="mine")
    assert run == read_run(tmp_path / "run.json") == {"é_1": {"d2": 2.5, "d1": float(np.float32(0.1))}, "none": {}}
    assert (tmp_path / "run.trec").read_text().splitlines()[0] == "é_1 Q0 d2 1 2.5 mine"
    assert (tmp_path / "run.trec").read_text().split()[9] == "2"


def test_writing_again_replaces_the_file(tmp_path):
    for score in (1.0, 2.0):
        write_run(tmp_path, [ranking("q", ("d", score))])
    assert json.loads((tmp_path / "run.json").read_text()) == {"q": {"d": 2.0}}


def test_a_failure_while_rankings_come_leaves_the_old_files(tmp_path):
    write_run(tmp_path, [ranking("q", ("d", 1.0))])

    def broken():
        yield ranking("q", ("d", 3.0))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_run(tmp_path, broken())
    assert read_run(tmp_path / "run.json") == read_run(tmp_path / "run.trec") == {"q": {"d": 1.0}}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.json", "run.trec"]


def test_ids_with_spaces_stay_in_json_and_leave_no_stale_trec_file(tmp_path, caplog):
    write_run(tmp_path, [ranking("q", ("d", 1.0))])
    write_run(tmp_path, [ranking("q", ("a document", 1.0))])
    assert read_run(tmp_path / "run.json") == {"q": {"a document": 1.0}}
    assert not (tmp_path / "run.trec").exists()
    assert "'a document' contains white space" in caplog.text


@pytest.mark.parametrize(
    ("rankings", "kind", "said"),
    [
        ([ranking("q"), ranking("q")], InputError, "'q' comes twice"),
        ([ranking("q", ("d", 1.0), ("e", 2.0))], ValueError, "not sorted"),
        ([ranking("q", ("d", 1.0), ("d", 1.0))], ValueError, "a document twice"),
        ([ranking("q", ("d", np.inf))], ValueError, "not finite"),
    ],
)
def test_a_ranking_that_breaks_its_promise_is_not_written(tmp_path, rankings, kind, said):
    with pytest.raises(kind, match=said):
        write_run(tmp_path, rankings)
    assert list(tmp_path.iterdir()) == []


def test_gzipped_files_of_either_form_are_read(tmp_path):
    for name, text in {
        "a.json.gz": '{"q": {"d": 1}}',
        "b.trec.gz": "q Q0 d 1 1.0 t\n",
        "c.run.gz": ' {"q": {"d": 1}}',
    }.items():
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
        assert read_run(tmp_path / name) == {"q": {"d": 1.0}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("q Q0 d 1 1.0 t\nq Q0 d 1 1.0\n", r"run:2: 5 columns, expected 6"),
        ("q Q0 d 1 high t\n", r"run:1: the score is 'high'"),
        ("q Q0 d 1 nan t\n", r"run:1: the score is 'nan'"),
        ("q Q0 d 1 1 t\nq Q0 d 2 0 t\n", r"run:2: document 'd' comes twice"),
        ("q Q0 d 1 1 t\n\n", r"run:2: 0 columns"),
        ('{"q": {"d": "1"}}', "document 'd': the score is '1'"),
        ('{"q": {"d": true}}', "the score is True"),
        ('{"q": {"d": Infinity}}', "the score is inf"),
        ('{"q": [1]}', "query 'q' holds list"),
        ('{"q": {"d": 1}}{"q": {"d": 1}}', r"run:1: not valid JSON: Extra data"),
    ],
)
def test_a_damaged_run_is_an_error_with_its_place(tmp_path, text, said):
    (tmp_path / "run").write_text(text)
    with pytest.raises(InputError, match=said):
        read_run(tmp_path / "run")


def test_a_run_that_is_not_utf8_or_not_there_is_an_error(tmp_path):
    (tmp_path / "run").write_bytes(b"q Q0 d 1 1.0 t\nq Q0 \xff 2 0.5 t\n")
    with pytest.raises(InputError, match=r"run:2: not UTF-8"):
        read_run(tmp_path / "run")
    with pytest.raises(InputError, match="no such run file"):
        read_run(tmp_path / "absent")
