"""Queries looked up in a table, without torch: the same vectors as those of the model that the table belongs to."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from splade.encoding import Encoder
from splade.encoding.tables import TABLE, TableEncoder, table_in
from splade.files import InputError
from splade.models import Splade, SpladeDoc, SpladeIdf, SpladeTable, load_retriever, save_retriever
from splade.records import Text
from tests.conftest import ROOT

TOY = ROOT / "data/toy/encoder"
WORDS = [
    "heart",
    "Attack",
    "whales",
    "swim",
    "ARTERY",
    "é",
    "中文",
    "[MASK]",
    "[SEP]",
    "…",
    "123",
    "un-known",
    "\u200b",
    "\n",
]


def made(kind, folder):
    torch.manual_seed(0)
    if kind is SpladeIdf:
        (folder / "idf.json").write_text(json.dumps({"heart": 2.5, "attack": 0.25, "swim": 2.5, "a": 0}))
        return SpladeIdf(TOY, idf=folder / "idf.json", max_length=20, max_length_q=8)
    model = kind(TOY, max_length=20, max_length_q=8, top_q=3)
    if kind is SpladeTable:
        torch.nn.init.normal_(model.encoders["query"].projection.weight)
    return model


@pytest.fixture(scope="module", params=[SpladeDoc, SpladeIdf, SpladeTable], ids=lambda kind: kind.__name__)
def both(request, tmp_path_factory):
    """The encoder of queries of a saved model, and the same without torch."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    save_retriever(made(request.param, folder), folder / "model")
    table = table_in(folder / "model")
    assert table is not None
    return Encoder(load_retriever(folder / "model"), "query", device="cpu"), TableEncoder(table)


@settings(max_examples=25)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=6))
def test_a_table_gives_the_vectors_of_its_model(both, texts):
    of_model, of_table = both
    before = of_model.n_cut - of_table.n_cut
    texts = [Text(str(number), text) for number, text in enumerate(texts)]
    expected, found = of_model.encode_all(texts), of_table.encode_all(texts)
    assert found.ids == expected.ids
    np.testing.assert_array_equal(found.rows.offsets, expected.rows.offsets)
    np.testing.assert_array_equal(found.rows.columns, expected.rows.columns)
    np.testing.assert_allclose(found.rows.weights, expected.rows.weights, rtol=1e-6)
    assert of_model.n_cut - of_table.n_cut == before


def test_a_table_knows_its_model_by_name_and_terms(both):
    of_model, of_table = both
    assert of_table.fingerprint() == of_model.fingerprint()
    assert of_table.terms == of_model.terms
    assert of_table.readings(of_model.terms[:50]) == of_model.readings(of_model.terms[:50])
    assert (of_table.max_length, of_table.vocab_size) == (of_model.max_length, of_model.vocab_size)


def test_a_table_tells_where_its_terms_come_from_as_its_model_does(both):
    text = Text("q", "heart Attack heart whales")
    terms = both[1].encode_all([text]).rows.columns
    of_model, of_table = (encoder.provenance(text, terms) for encoder in both)
    np.testing.assert_array_equal(of_table.tokens.spans, of_model.tokens.spans)
    np.testing.assert_array_equal(of_table.tokens.own, of_model.tokens.own)
    for ours, theirs in zip(of_table.sources, of_model.sources, strict=True):
        assert ours.pooling == theirs.pooling
        np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-6)


def test_one_way_from_texts_to_tokens_reads_what_the_other_reads(both):
    texts = ["", "heart attack " * 10, "whales\tswim"]
    one, other = (encoder.reading().batch(texts) for encoder in both)
    np.testing.assert_array_equal(one.input_ids, other.input_ids)
    assert one.n_cut == other.n_cut == 1


def test_a_model_that_computes_its_queries_has_no_table(tmp_path):
    save_retriever(Splade(TOY, max_length=20), tmp_path / "model")
    assert table_in(tmp_path / "model") is None


def test_a_folder_that_was_saved_before_is_loaded_as_a_model(tmp_path):
    save_retriever(SpladeDoc(TOY, max_length=20), tmp_path / "model")
    path = tmp_path / "model/splade.json"
    about = json.loads(path.read_text())
    del about["query_table"]
    path.write_text(json.dumps(about))
    assert table_in(tmp_path / "model") is None
    assert isinstance(load_retriever(tmp_path / "model"), SpladeDoc)


def test_a_table_that_is_none_is_refused(tmp_path):
    save_retriever(SpladeDoc(TOY, max_length=20), tmp_path / "model")
    for weights in (np.full(3000, -1.0), np.full(3000, np.nan), np.ones(4000), np.ones((3, 3))):
        save_file({"weight": weights.astype(np.float32)}, tmp_path / "model" / TABLE)
        with pytest.raises(InputError, match=r"model\.safetensors: "):
            table_in(tmp_path / "model")


def test_tables_start_without_torch(run_python):
    assert run_python("import sys, splade.encoding.tables; print('torch' in sys.modules)").strip() == "False"
