"""Bags and matches of every kind of model: they add up, and the tokens that they name are those that count."""

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splade.encoding import Encoder
from splade.explaining import Explainer, compare
from splade.explaining.forms import to_dict
from splade.explaining.lines import lines_of
from splade.files import InputError
from splade.indexing import InvertedIndex, Vocabulary
from splade.records import Text
from splade.search import Searcher
from tests.explaining.conftest import KINDS
from tests.tiny import WORDS

TEXT = "The heat of the fluviometer, and the water in the sun"
kinds = pytest.mark.parametrize("kind", KINDS)
words = st.lists(st.sampled_from([*WORDS, "fluviometer", "Water,", "(sun)"]), max_size=7).map(" ".join)


@kinds
@given(query=words, document=words)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_explanation_adds_up_to_the_score(kind, query, document, explainer_of):
    explainer = explainer_of(kind)
    match = explainer.match(query, document)
    vectors = [
        explainer.encoders[side].encode_all([Text("", text)]).rows
        for side, text in (("query", query), ("document", document))
    ]
    dense = np.zeros((2, 1000))
    for row, found in enumerate(vectors):
        dense[row, found.columns] = found.weights
    assert match.sum == pytest.approx(dense[0] @ dense[1], rel=1e-5, abs=1e-5)
    assert match.score == pytest.approx(match.sum, rel=1e-5, abs=1e-5)
    assert sum(line.value for line in lines_of(match)) == pytest.approx(match.sum, rel=1e-9)
    told = len(match.terms) + len(match.missing_in_document), len(match.terms) + len(match.missing_in_query)
    assert told == tuple(len(found.columns) for found in vectors)


@pytest.mark.thinned(3)
@kinds
@pytest.mark.parametrize("side", ["query", "document"])
def test_the_parts_of_a_term_add_up_to_its_weight(kind, side, explainer_of):
    for text in (TEXT, "sun", ""):
        bag = explainer_of(kind).bag(text, side)
        for term in bag.terms:
            assert sum(part.weight for part in term.parts) == pytest.approx(term.weight, rel=1e-5, abs=1e-6)


@pytest.mark.thinned(3)
@kinds
@pytest.mark.parametrize("side", ["query", "document"])
def test_removing_the_named_words_changes_the_weight_of_the_term(kind, side, explainer_of):
    explainer = explainer_of(kind)
    bag = explainer.bag(TEXT, side)
    named = [term for term in bag.terms if term.spans][:6]
    assert named
    shorter = []
    for term in named:
        kept = np.ones(len(TEXT), bool)
        for start, stop in term.spans:
            kept[start:stop] = False
        shorter.append("".join(letter for letter, keep in zip(TEXT, kept, strict=True) if keep))
    for term, without in zip(named, explainer.bags(shorter, side), strict=True):
        assert abs(without.weights().get(term.token, 0.0) - term.weight) > 1e-4 * term.weight, term


def test_the_position_is_the_largest_logit_of_transformers_own_model(model_of, explainer_of):
    bag = explainer_of("shared").bag(TEXT)
    model = model_of("shared")
    read = model.tokenizer("document")(TEXT, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        logits = model.encoders["document"].mlm(**read).logits[0]
    assert [token.token for token in bag.tokens] == read.tokens()
    assert [term.position for term in bag.terms] == logits[:, [term.term for term in bag.terms]].argmax(0).tolist()
    own = set(read.tokens()) - {"[CLS]", "[SEP]"}
    assert {term.token for term in bag.terms if term.own} == own & {term.token for term in bag.terms}


def test_a_head_that_is_not_known_tells_the_same_through_its_full_logits(explainer_of, monkeypatch):
    known = explainer_of("shared").bag(TEXT)
    monkeypatch.setattr("splade.models.encoders.mlm.find_head", lambda mlm: None)
    through = explainer_of("shared").bag(TEXT)
    assert [(term.token, term.spans) for term in through.terms] == [(term.token, term.spans) for term in known.terms]


def test_pooling_by_sum_names_all_positions_and_no_maximum(explainer_of):
    term = next(term for term in explainer_of("sum", n_positions=3).bag(TEXT).terms if term.token == "the")
    (part,) = term.parts
    assert (part.pooling, part.peaks, term.position) == ("sum", (), None)
    assert len(part.positions) == 3 <= part.n_positions
    assert [each.weight for each in part.positions] == sorted((each.weight for each in part.positions), reverse=True)
    start, stop = term.spans[0]
    assert TEXT[start:stop].lower() == "the"


def test_bm25_inside_is_told_apart_from_the_head_and_names_every_occurrence(explainer_of):
    heat, the = (
        next(term for term in explainer_of("bm25").bag(TEXT).terms if term.token == token) for token in ("heat", "the")
    )
    assert {part.name for part in heat.parts} == {"head", "bm25"}
    (lexical,) = (part for part in the.parts if part.name == "bm25")
    assert [TEXT[slice(*explained)] for explained in the.spans] == ["The", "the", "the", "the"]
    assert len(lexical.peaks) == 4


def test_characters_of_the_text_are_counted_without_the_prompt(explainer_of):
    bag = explainer_of("sum of queries, with a prompt").bag("heat", "query")
    assert [(token.token, token.span) for token in bag.tokens] == [
        ("[CLS]", None),
        ("search", None),
        ("for", None),
        ("heat", (0, 4)),
        ("[SEP]", None),
    ]
    assert {term.token for term in bag.terms if term.own} == {"heat"}


@pytest.mark.parametrize("kind", ["shared", "decoder"])
def test_the_pieces_of_a_word_are_joined_for_reading(kind, explainer_of):
    text = "water, fluviometer 水水 it's"
    bag = explainer_of(kind).bag(text)
    read = [word.text for word in bag.words]
    assert read[:3] == ["water", ",", "fluviometer"]
    assert read[3] == "水"
    assert all(text[slice(*word.span)] == word.text for word in bag.words)
    (line,) = (line for line in lines_of(bag) if line.reading == "fluviometer")
    assert len(line.terms) > 1
    assert line.value == pytest.approx(sum(term.weight for term in line.terms))
    assert sum(line.value for line in lines_of(bag)) == pytest.approx(sum(term.weight for term in bag.terms))


def test_terms_are_read_without_the_marks_of_their_tokenizer(explainer_of):
    decoder, wordpiece = (explainer_of(kind).encoders["document"] for kind in ("decoder", "shared"))
    assert decoder.readings(["Ġthe", "Ġ", "Ã", "[term_9]"]) == ["the", "Ġ", "Ã", "[term_9]"]
    assert wordpiece.readings(["water", "##s"]) == ["water", "##s"]


@pytest.mark.thinned(3)
@pytest.mark.parametrize("weights", ["float32", "uint8"])
@pytest.mark.parametrize("kind", ["shared", "bm25", "doc", "decoder"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_hit_is_explained_by_the_weights_of_the_index_to_the_last_bit(kind, weights, whole, explainer_of):
    explainer = explainer_of(kind)
    texts = [Text("a", "the sun heats the sea"), Text("b", "water and iron"), Text("c", TEXT)]
    documents = explainer.encoders["document"].encode_all(texts)
    index = InvertedIndex.from_csr(documents, vocabulary=explainer.encoders["document"].terms, weights=weights)
    query = explainer.bag("heat of the sun", "query")
    (ranking,) = Searcher(index).search(explainer.encoders["query"].encode_all([Text("q", "heat of the sun")]))
    for doc_id, score in zip(ranking.doc_ids, ranking.scores.tolist(), strict=True):
        text = next(text.text for text in texts if text.id == doc_id)
        match = explainer.hit(query, index, doc_id, text, whole=whole)
        assert match.score == score
        assert match.sum == pytest.approx(score, rel=1e-5)
        assert all(term.document.own is not None for term in match.terms)
        unknown = explainer.hit(query, index, doc_id, whole=whole)
        assert (unknown.score, {term.document.own for term in unknown.terms}) == (score, {None})
    with pytest.raises(InputError, match="there is no document 'x' in it"):
        explainer.hit(query, index, "x")


def test_an_index_that_numbers_its_terms_otherwise_is_explained_by_their_names(explainer_of):
    explainer = explainer_of("shared")
    batch = explainer.encoders["document"].encode_all([Text("a", "the sun heats the sea")])
    names = explainer.encoders["document"].terms
    order = sorted(range(len(names)), key=lambda term: names[term])
    place = {term: number for number, term in enumerate(order)}
    columns = np.array([place[term] for term in batch.rows.columns.tolist()], np.int32)
    by_number = np.argsort(columns)
    rows = batch.rows._replace(columns=columns[by_number], weights=batch.rows.weights[by_number])
    vocabulary = Vocabulary(names[term] for term in order)
    index = InvertedIndex.from_csr(batch._replace(rows=rows), vocabulary=vocabulary)
    match = explainer.hit("heat of the sun", index, "a")
    expected = explainer.match("heat of the sun", "the sun heats the sea")
    assert match.score == pytest.approx(expected.score, rel=1e-6)
    assert {term.token for term in match.terms} == {term.token for term in expected.terms}


def test_two_models_stand_side_by_side_term_by_term(explainer_of):
    first, second = explainer_of("shared"), explainer_of("idf")
    pair = first.compare(second, "heat of the sun", side="query")
    assert {each.token: each.second for each in pair.terms if each.second} == pytest.approx(
        {"sun": 3.0, "heat": 2.5, "the": 0.1}
    )
    scores = first.compare(second, "heat of the sun", "the sun")
    assert sum(each.difference for each in scores.terms) == pytest.approx(scores.first.sum - scores.second.sum)
    with pytest.raises(ValueError, match="a bag and a match have nothing to compare"):
        compare(pair.first, scores.first)


def test_the_json_of_a_match_has_what_each_term_needs(explainer_of):
    match = explainer_of("shared").match("heat of the sun", "The sun heats <water>")
    told = json.loads(json.dumps(to_dict(match)))
    assert (told["kind"], told["score"]) == ("match", match.score)
    sun = next(term for term in told["terms"] if term["token"] == "sun")
    assert sun["product"] == pytest.approx(sun["query_weight"] * sun["document_weight"])
    assert (sun["query_own"], sun["document_own"]) == (True, True)
    assert (sun["query_spans"], sun["document_spans"]) == ([[12, 15]], [[4, 7]])
    assert {"token", "reading", "weight", "own", "spans"} == told["missing_in_query"][0].keys()
    bag = json.loads(json.dumps(to_dict(match.document)))
    assert (bag["kind"], bag["side"], bag["terms"][0]["parts"][0]["pooling"]) == ("bag", "document", "max")


def test_an_explainer_refuses_what_it_cannot_use(model_of, explainer_of):
    model = model_of("shared")
    with pytest.raises(ValueError, match="the query encoder of an Explainer encodes each document"):
        Explainer(Encoder(model, "document"), Encoder(model, "query"))
    with pytest.raises(ValueError, match="n_positions must be at least 1"):
        explainer_of("shared", n_positions=0)
    with pytest.raises(ValueError, match="side must be 'query' or 'document', got 'left'"):
        explainer_of("shared").bag("sun", "left")
    with pytest.raises(ValueError, match="expected the bag of a query, got that of a document"):
        explainer_of("shared").match(explainer_of("shared").bag("sun"), "sun")


def test_a_model_that_does_not_tell_its_parts_is_explained_without_positions(explainer_of, monkeypatch):
    known = explainer_of("shared").bag(TEXT)
    monkeypatch.delattr("splade.models.retrievers.sparse.SparseRetriever.sources")
    bag = explainer_of("shared").bag(TEXT)
    assert [(term.token, term.weight, term.own) for term in bag.terms] == [
        (term.token, term.weight, term.own) for term in known.terms
    ]
    assert {(term.parts, term.spans, term.position) for term in bag.terms} == {((), (), None)}
