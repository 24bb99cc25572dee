import builtins
import json
import pickle

import numpy as np
import pytest

from splade.data import HardNegatives, read_scores
from splade.data.examples.candidates import iterate_candidates
from splade.files import InputError
from tests.data.writing import jsonl, put, tsv

LISTS = [
    {"qid": 1, "pos": ["a"], "neg": {"bm25": ["b", "c"], "dense": ["c", "d", "a"]}},
    {"qid": 2, "pos": ["c", "d"], "neg": {"bm25": ["e"], "dense": []}},
]
TEACHER = {1: {"a": 9.0, "b": 8.5, "c": 2.0}, 2: {"c": 7.0, "d": 6.0, "e": 1.0}}


@pytest.fixture
def world(tmp_path):
    tsv(tmp_path / "q/raw.tsv", [("1", "one"), ("2", "two")])
    tsv(tmp_path / "d/raw.tsv", [(id, f"text {id}") for id in "abcdef"])
    jsonl(tmp_path / "lists.jsonl.gz", LISTS)
    put(tmp_path / "ce.pkl.gz", pickle.dumps(TEACHER))
    return tmp_path


def build(world, **options):
    return HardNegatives(world / "lists.jsonl.gz", world / "q", world / "d", **options)


def documents(source, index):
    """Positives and negatives that examples of a query ever have."""
    examples = [source.example(index, np.random.default_rng(seed)) for seed in range(60)]
    return {e.documents[0].id for e in examples}, {document.id for e in examples for document in e.documents[1:]}


def test_negatives_by_system_are_read_with_positives_first_and_each_document_once(world):
    first, second = iterate_candidates(world / "lists.jsonl.gz")
    assert (first.query, list(first.scores), first.positives) == ("1", ["a", "b", "c", "d"], {"a"})
    assert (list(second.scores), second.positives) == (["c", "d", "e"], {"c", "d"})
    assert all(score != score for score in first.scores.values())  # none is known


def test_negatives_of_chosen_systems_and_the_scores_of_a_teacher(world):
    first, second = iterate_candidates(world / "lists.jsonl.gz", ["bm25"], world / "ce.pkl.gz")
    assert first.scores == {"a": 9.0, "b": 8.5, "c": 2.0}
    assert second.scores == {"c": 7.0, "d": 6.0, "e": 1.0}


def test_entries_may_bring_their_scores(tmp_path):
    record = {"qid": 1, "pos": [{"pid": 5, "ce-score": 9}], "neg": {"bm25": [{"pid": 6, "ce-score": -1.5}]}}
    (found,) = iterate_candidates(jsonl(tmp_path / "l.jsonl", [record]))
    assert found.scores == {"5": 9.0, "6": -1.5}


def test_examples_take_the_files_own_positives_and_only_what_the_teacher_scored(world, caplog):
    source = build(world, scores_of=world / "ce.pkl.gz")
    assert documents(source, 0) == ({"a"}, {"b", "c"})
    assert documents(source, 1) == ({"c", "d"}, {"e"})
    assert "1 candidates without a score (as 'd')" in caplog.text
    example = source.example(1, np.random.default_rng(0))
    assert example.teacher == tuple(TEACHER[2][document.id] for document in example.documents)


def test_without_a_teacher_no_scores_are_needed(world):
    source = build(world, with_teacher=False)
    assert documents(source, 0) == ({"a"}, {"b", "c", "d"})
    assert documents(build(world, with_teacher=False, systems=["dense"]), 0) == ({"a"}, {"c", "d"})


@pytest.mark.parametrize("rule", [{"margin": 1.0}, {"share": 0.9}])
def test_false_negatives_are_left_out_of_the_examples(world, caplog, rule):
    assert documents(build(world, scores_of=world / "ce.pkl.gz", **rule), 0) == ({"a"}, {"c"})
    assert "1 false negatives (as 'b')" in caplog.text


def test_a_system_that_nothing_found_is_an_error(world):
    with pytest.raises(InputError, match=r"no query has negatives of 'splade' .*there are bm25, dense"):
        build(world, with_teacher=False, systems=["splade"])
    put(world / "run.trec", "1 Q0 a 1 3 x\n")
    with pytest.raises(InputError, match="negative_systems is for files of hard negatives by system"):
        next(iter(iterate_candidates(world / "run.trec", ["bm25"])))


def test_positive_first_does_not_go_with_a_file_that_says_what_is_positive(world):
    with pytest.raises(InputError, match="positive_first"):
        build(world, positive_first=True)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"qid": 1, "pos": ["a"]}, r"lists\.jsonl:2: a line is"),
        ({"qid": 1, "pos": ["a"], "neg": ["b"]}, r"lists\.jsonl:2: a line is"),
        ({"qid": 2, "pos": ["a"], "neg": {}}, r"lists\.jsonl:2: query '2' is there twice"),
        ({"qid": 1, "pos": [None], "neg": {}}, r"lists\.jsonl:2: an id must be"),
        ({"qid": 1, "pos": [{"pid": 1, "ce-score": "x"}], "neg": {}}, r"lists\.jsonl:2: the score must be a number"),
    ],
)
def test_malformed_lines_are_told_with_file_and_line(tmp_path, line, problem):
    path = jsonl(tmp_path / "lists.jsonl", [LISTS[1], line])
    with pytest.raises(InputError, match=problem):
        list(iterate_candidates(path))


EXPECTED = {"1": {"a": 1.5, "7": -2.0}, "q": {"b": 3.0}}


@pytest.mark.parametrize(
    "columns",
    [
        {"query_id": ["1", "q"], "doc_ids": [["a", "7"], ["b"]], "scores": [[1.5, -2.0], [3.0]]},
        {"qid": ["1", "1", "q"], "doc_id": ["a", "7", "b"], "score": [1.5, -2, 3.0], "rank": [1, 2, 1]},
    ],
)
def test_parquet_is_read_by_query_or_by_document(tmp_path, columns):
    pytest.importorskip("pyarrow")
    from pyarrow import table
    from pyarrow.parquet import write_table

    write_table(table(columns), tmp_path / "s.parquet")
    assert read_scores(tmp_path / "s.parquet") == EXPECTED


def test_parquet_that_cannot_be_used_is_told_in_words(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow import table
    from pyarrow.parquet import write_table

    write_table(table({"query": ["1"], "text": ["x"]}), tmp_path / "s.parquet")
    with pytest.raises(InputError, match=r"expected the columns query_id, doc_ids and scores .* it has query, text"):
        read_scores(tmp_path / "s.parquet")
    write_table(table({"qid": ["1"], "doc_ids": [["a", "b"]], "scores": [[1.0]]}), tmp_path / "s.parquet")
    with pytest.raises(InputError, match="row 0: 2 documents and 1 scores"):
        read_scores(tmp_path / "s.parquet")
    put(tmp_path / "s.parquet", json.dumps({}))
    with pytest.raises(InputError, match="not a Parquet file"):
        read_scores(tmp_path / "s.parquet")


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments)

    put(tmp_path / "s.parquet", b"x")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"needs pyarrow: pip install 'splade\[parquet\]'"):
        read_scores(tmp_path / "s.parquet")
