"""BM25 by hand, and against another implementation where it is installed."""

import math

import numpy as np
import pytest

from splade.records import Text
from splade.search.bm25 import BM25, words

DOCUMENTS = [Text("a", "red fox"), Text("b", "red red dog"), Text("c", "blue whale in the sea")]


def test_scores_worked_by_hand():
    ranking = next(BM25(DOCUMENTS, k1=1.0, b=0.0).search([Text("q", "red")], k=3))
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert list(ranking.doc_ids) == ["b", "a"]  # tf 2 / (2 + 1), tf 1 / (1 + 1)
    np.testing.assert_allclose(ranking.scores, [idf * 2 / 3, idf / 2], rtol=1e-6)


def test_longer_documents_weigh_less_where_b_is_one():
    documents = [Text("short", "red fox"), Text("long", "red fox and many other words that dilute it")]
    ranking = next(BM25(documents, k1=1.0, b=1.0).search([Text("q", "red")]))
    assert list(ranking.doc_ids) == ["short", "long"]


def test_unknown_words_count_nothing_and_an_empty_query_finds_nothing():
    found = list(BM25(DOCUMENTS).search([Text("q1", "zebra"), Text("q2", ""), Text("q3", "zebra whale")]))
    assert [list(ranking.doc_ids) for ranking in found] == [[], [], ["c"]]


def test_a_repeated_query_word_counts_twice():
    bm25 = BM25(DOCUMENTS)
    once, twice = bm25.search([Text("1", "whale"), Text("2", "whale whale")])
    np.testing.assert_allclose(twice.scores, 2 * once.scores, rtol=1e-6)


def test_words_are_lower_cased():
    assert words("The Red-Fox, 2nd") == ["the", "red", "fox", "2nd"]


def test_scores_equal_those_of_bm25s():
    bm25s = pytest.importorskip("bm25s")
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{t}" for t in rng.integers(0, 40, rng.integers(3, 30))) for _ in range(60)]
    theirs = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    theirs.index([words(text) for text in texts], show_progress=False)
    query = "w1 w5 w7 w9"
    expected = theirs.get_scores(words(query))
    ranking = next(
        BM25([Text(str(i), t) for i, t in enumerate(texts)], k1=1.2, b=0.75).search([Text("q", query)], k=60)
    )
    ours = np.zeros(60, np.float32)
    ours[[int(i) for i in ranking.doc_ids]] = ranking.scores
    np.testing.assert_allclose(ours, expected, rtol=1e-4)
