"""BM25 by hand, against another implementation, and against published figures."""

import math
from pathlib import Path

import numpy as np
import pytest

from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.engines import Bm25, Documents, Queries
from splade.engines.analysis import LONGEST, analyzer, plain, split
from splade.engines.bm25 import rankings
from splade.engines.folders import engines_in
from splade.engines.protocol import texts_of
from splade.evaluation.metrics import evaluate
from splade.files import InputError
from splade.records import Text

DOCUMENTS = [Text("a", "red fox"), Text("b", "red red dog"), Text("c", "blue whale in the sea")]
SCIFACT = Path(__file__).resolve().parents[3] / "shared" / "data" / "scifact"


def test_scores_worked_by_hand():
    (ranking,) = rankings(DOCUMENTS, [Text("q", "red")], 3, k1=1.0, b=0.0)
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    assert list(ranking.doc_ids) == ["b", "a"]  # tf 2 / (2 + 1), tf 1 / (1 + 1)
    np.testing.assert_allclose(ranking.scores, [idf * 2 / 3, idf / 2], rtol=1e-6)


def test_longer_documents_weigh_less_where_b_is_one():
    documents = [Text("short", "red fox"), Text("long", "red fox and many other words that dilute it")]
    (ranking,) = rankings(documents, [Text("q", "red")], k1=1.0, b=1.0)
    assert list(ranking.doc_ids) == ["short", "long"]


def test_unknown_words_count_nothing_and_an_empty_query_finds_nothing():
    found = rankings(DOCUMENTS, [Text("q1", "zebra"), Text("q2", ""), Text("q3", "zebra whale")])
    assert [list(ranking.doc_ids) for ranking in found] == [[], [], ["c"]]


def test_a_repeated_query_word_counts_twice():
    once, twice = rankings(DOCUMENTS, [Text("1", "whale"), Text("2", "whale whale")])
    np.testing.assert_allclose(twice.scores, 2 * once.scores, rtol=1e-6)


def test_words_are_those_of_lucenes_standard_tokenizer():
    text = "U.S.A. isn't e-mail foo_bar 3.14 1,000,000 a.b c:d 1;2 _ __ «été» 日本 wi-fi x."
    assert split(text) == (
        [
            "U.S.A",
            "isn't",
            "e",
            "mail",
            "foo_bar",
            "3.14",
            "1,000,000",
            "a.b",
            "c:d",
            "1;2",
            "été",
            "日",
            "本",
            "wi",
            "fi",
            "x",
        ]
    )
    assert [len(word) for word in split("y" * (2 * LONGEST + 3))] == [LONGEST, LONGEST, 3]


def test_terms_are_those_of_lucenes_english_analyzer():
    assert analyzer("english")("The cats' running DOGS were John's, and the Hosts\u2019S relational happiness!") == (
        ["cat", "run", "dog", "were", "john", "host", "relat", "happi"]
    )
    assert plain("The Red-Fox, 2nd") == ["the", "red", "fox", "2nd"]


def test_a_stem_finds_its_other_forms():
    (ranking,) = rankings([Text("d", "Engines are tested"), Text("e", "the and of")], [Text("q", "testing an engine")])
    assert list(ranking.doc_ids) == ["d"]


def test_an_unknown_analyzer_and_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match="analyzer=german: accepted are english, plain"):
        Bm25(None, analyzer="german")
    with pytest.raises(ValueError, match="k1=-1"):
        Bm25(None, k1=-1)


def test_the_index_of_a_model_is_no_bm25_index(tmp_path):
    from splade.engines import Inverted
    from splade.engines.conformance import sample_for

    Inverted(tmp_path).build(sample_for("sparse").as_documents())
    assert not Bm25(tmp_path).exists()
    with pytest.raises(InputError, match="not BM25's"):
        Bm25(tmp_path).open()


def test_a_damaged_index_is_not_taken_for_bm25s_and_stops_nobody_who_asks(tmp_path):
    held = Documents(lambda _: [texts_of(DOCUMENTS)], None, None, "", {})
    Bm25(tmp_path).build(held)
    assert engines_in(tmp_path) == ["bm25"]
    (tmp_path / "inverted_index" / "header.json").write_text("{")
    assert engines_in(tmp_path) == ["inverted"]
    assert Bm25(tmp_path).build(held).n_docs == 3


def test_scores_equal_those_of_bm25s():
    bm25s = pytest.importorskip("bm25s")
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{t}" for t in rng.integers(0, 40, rng.integers(3, 30))) for _ in range(60)]
    theirs = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    theirs.index([plain(text) for text in texts], show_progress=False)
    query = "w1 w5 w7 w9"
    expected = theirs.get_scores(plain(query))
    documents = [Text(str(number), text) for number, text in enumerate(texts)]
    (ranking,) = rankings(documents, [Text("q", query)], 60, k1=1.2, b=0.75, analyzer="plain")
    ours = np.zeros(60, np.float32)
    ours[[int(id) for id in ranking.doc_ids]] = ranking.scores
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not SCIFACT.is_dir(), reason="SciFact is not at hand")
def test_scifact_gives_the_published_figure():
    """Pyserini's BEIR page, BM25 over title and text in one field: nDCG@10 .6789, recall@100 .9253."""
    qrels = read_qrels(SCIFACT, split="test")
    documents = texts_of(open_collection(SCIFACT))
    opened = Bm25(None).build(Documents(lambda _: [documents], None, None, "", {}))
    asked = texts_of(query for query in open_queries(SCIFACT) if query.id in qrels)
    run = {
        ranking.query_id: dict(zip(ranking.doc_ids, ranking.scores.tolist(), strict=True))
        for ranking in opened.search(Queries(asked), 100)
    }
    found = evaluate(run, qrels, ["ndcg_cut_10", "recall_100"])
    assert found["ndcg_cut_10"] == pytest.approx(0.6789, abs=0.01)
    assert found["recall_100"] == pytest.approx(0.9253, abs=0.01)
