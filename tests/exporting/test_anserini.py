"""Documents and queries for Lucene, by hand-made vectors."""

import json

import numpy as np
import pytest

from splade.exporting.anserini import (
    NO_DOCUMENT_TERMS,
    NO_QUERY_TERMS,
    Anserini,
    impacts,
    term_words,
    write_queries,
)
from splade.files import InputError
from splade.records import SparseBatch, SparseRows

WORDS = ["cat", "##s", "dog"]


def batch(*texts):
    """A batch of (id, {term: weight})."""
    vectors = [vector for _, vector in texts]
    offsets = np.cumsum([0, *map(len, vectors)])
    columns = np.array([term for vector in vectors for term in vector], np.int32)
    weights = np.array([weight for vector in vectors for weight in vector.values()], np.float32)
    return SparseBatch(tuple(text_id for text_id, _ in texts), SparseRows(offsets, columns, weights), len(WORDS))


def test_impacts_are_rounded_products_without_zeros():
    rounded = dict(impacts(batch(("a", {0: 1.234, 1: 0.004, 2: 0.006}), ("b", {})), WORDS, 100))
    assert rounded == {"a": {"cat": 123, "dog": 1}, "b": {}}


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
def test_a_factor_must_be_a_positive_number(factor):
    with pytest.raises(ValueError, match="above 0"):
        list(impacts(batch(), WORDS, factor))


def test_documents_are_json_lines_and_empty_ones_keep_their_id(tmp_path):
    batches = [(batch(("1", {0: 0.5, 2: 2.0})), ["a “cat”"]), (batch(("2", {1: 0.001}), ("3", {})), ["", "x"])]
    assert Anserini(10, 10).write_documents(tmp_path, batches, WORDS) == (3, 2)
    lines = [json.loads(line) for line in (tmp_path / "docs_anserini.jsonl").read_text().splitlines()]
    assert lines == [
        {"id": "1", "content": "a “cat”", "vector": {"cat": 5, "dog": 20}},
        {"id": "2", "content": "", "vector": {NO_DOCUMENT_TERMS: 1}},
        {"id": "3", "content": "x", "vector": {NO_DOCUMENT_TERMS: 1}},
    ]


def test_queries_repeat_each_token_by_its_weight(tmp_path):
    written = write_queries(tmp_path / "q.tsv", [batch(("q1", {0: 0.2, 1: 0.3}), ("q2", {}))], WORDS, 10)
    assert written == (2, 1)
    assert (tmp_path / "q.tsv").read_text() == f"q1\tcat cat ##s ##s ##s\nq2\t{NO_QUERY_TERMS}\n"


def test_pseudo_documents_score_as_the_impacts_do(tmp_path):
    rng = np.random.default_rng(0)
    draw = rng.random((4, 3)).astype(np.float32)
    vectors = [(str(row), dict(enumerate(weights.tolist()))) for row, weights in enumerate(draw)]
    Anserini().write_documents(tmp_path, [(batch(*vectors), [""] * 4)], WORDS)
    write_queries(tmp_path / "q", [batch(("q", {0: 0.25, 2: 0.5}))], WORDS, 100)
    query = (tmp_path / "q").read_text().rstrip("\n").split("\t")[1].split(" ")
    scores = [
        sum(json.loads(line)["vector"].get(word, 0) for word in query)
        for line in (tmp_path / "docs_anserini.jsonl").read_text().splitlines()
    ]
    assert scores == (np.rint(draw * 100) @ [25, 0, 50]).tolist()


def test_a_failure_midway_leaves_no_file(tmp_path):
    def broken():
        yield batch(("q", {0: 1.0})), ["text"]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Anserini().write_documents(tmp_path, broken(), WORDS)
    assert list(tmp_path.iterdir()) == []


def test_a_query_id_that_would_break_the_columns_is_refused(tmp_path):
    with pytest.raises(InputError, match="tab or line end"):
        write_queries(tmp_path / "q.tsv", [batch(("a\tb", {0: 1.0}))], WORDS, 100)


def test_every_term_has_one_word_that_lucene_keeps_whole():
    tokens = ["cat", "two words", "", "cat", None, "\n", "x" * 300, NO_QUERY_TERMS, "##s"]
    words = term_words(tokens, 11)
    assert words == ["cat", *(f"[term_{term}]" for term in range(1, 8)), "##s", "[term_9]", "[term_10]"]
    assert len(set(words)) == 11


def test_a_token_that_looks_like_a_stand_in_does_not_take_its_word():
    words = term_words(["[term_1]", ""], 2)
    assert len(set(words)) == 2
