"""Documents deleted, appended and merged by the command, beside what is searched afterwards."""

import json

import pytest

from splade.indexing import InvertedIndex, SegmentedIndex
from tests.commands.test_vectors_command import ASKED, DOCS, SETS
from tests.data.writing import jsonl, put

MORE = [{"id": "d5", "vector": {"ski": 4.0, "sea": 0.1}}, {"id": "d1", "vector": {"sea": 9.0}}]


@pytest.fixture
def run_command(tmp_path, splade, capsys):
    """A command in the test's folder; with ``fails``, what it says when it refuses."""

    def run(command, *arguments, fails=False):
        if not fails:
            return splade(command, *arguments, cwd=tmp_path)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            splade(command, *arguments, cwd=tmp_path)
        assert ended.value.code == 2
        return capsys.readouterr().err

    return run


@pytest.fixture
def place(tmp_path, run_command):
    jsonl(tmp_path / "docs.jsonl", DOCS)
    jsonl(tmp_path / "more.jsonl", MORE)
    jsonl(tmp_path / "asked.jsonl", ASKED)
    put(tmp_path / "qrels.tsv", "q1 0 d5 1\nq2 0 d2 1\n")
    put(tmp_path / "gone.txt", "d1\nd4\n")
    run_command("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=index")
    return tmp_path


def found(place, run_command, name):
    run_command(
        "retrieve", "data.Q_VECTORS_PATH=[asked.jsonl]", "data.EVAL_QREL_PATH=[qrels.tsv]", *SETS,
        "config.index_dir=index", f"config.out_dir={name}",
    )  # fmt: skip
    return json.loads((place / name / "NAME" / "run.json").read_text())


def test_a_document_is_replaced_and_others_come_and_go_in_one_command(place, run_command):
    run_command("update", "config.index_dir=index", "data.DELETE_PATH=gone.txt", "data.VECTORS_PATH=more.jsonl")
    index = InvertedIndex.open(place / "index")
    assert isinstance(index, SegmentedIndex)
    assert (index.n_docs, index.n_deleted) == (6, 2)
    parts = found(place, run_command, "parts")
    assert parts["q1"] == pytest.approx({"d5": 12.1, "d1": 9.0})
    assert parts["q2"] == pytest.approx({"d1": 18.0, "d2": 6.0, "d5": 0.2})
    run_command("update", "config.index_dir=index", "config.merge=true")
    merged = InvertedIndex.open(place / "index")
    assert isinstance(merged, InvertedIndex)
    assert list(merged.doc_ids) == ["d2", "d3", "d5", "d1"]
    assert found(place, run_command, "merged") == parts
    assert json.loads((place / "index" / "index_stats.json").read_text())["n_docs"] == 4
    run_command("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=index")  # not what it holds any more
    assert list(InvertedIndex.open(place / "index").doc_ids) == ["d1", "d2", "d3", "d4"]


def test_what_cannot_be_done_changes_nothing(place, run_command):
    before = found(place, run_command, "before")
    put(place / "wrong.txt", "d1\nnobody\n")
    told = run_command("update", "config.index_dir=index", "data.DELETE_PATH=wrong.txt", fails=True)
    assert "the first is 'nobody'" in told
    told = run_command("update", "config.index_dir=index", "data.VECTORS_PATH=more.jsonl", fails=True)
    assert "'d1' is in index already" in told
    assert "nothing to do" in run_command("update", "config.index_dir=index", fails=True)
    assert "there is no index here" in run_command("update", "config.index_dir=x", "config.merge=true", fails=True)
    assert found(place, run_command, "after") == before
    run_command("update", "config.index_dir=index", "data.DELETE_PATH=wrong.txt", "config.ignore_missing=true")
    assert InvertedIndex.open(place / "index").n_deleted == 1


def test_build_choices_are_those_of_the_config(place, run_command):
    choices = ("config.index_weights=uint8", "config.prune_top_terms=1", "config.index_threads=1")
    run_command("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=index", *choices)
    index = InvertedIndex.open(place / "index")
    assert (index.codec.name, index.n_postings) == ("uint8", 3)
    assert json.loads((place / "index" / "index_stats.json").read_text())["pruned_share"] == pytest.approx(2 / 5)
