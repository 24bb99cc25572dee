"""BM25 inside, of vectors that the head has made before: another weight needs no second encoding."""

import json

import numpy as np
import pytest
import torch

from splade.data.collections.opening import open_collection
from splade.data.vectors.shards import Shard
from splade.data.vectors.vectors import open_vectors
from splade.encoding import Encoder
from splade.files import InputError
from splade.models import Splade, load_retriever, save_retriever
from splade.models.encoders.mlm import MlmEncoder
from splade.models.saving.lexical_addition import with_bm25
from splade.workflow.encoding import encode_shard
from splade.workflow.head_vectors import documents_from_head
from tests.encoding.test_encoder import WORDS, dense
from tests.tiny import tiny_mlm

IDF = {"heat": 4.0, "water": 3.0, "king": 2.5, "the": 0.2, "iron": 5.0}
N = 300  # more than are weighed at once


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model before and after, the collection, and the vectors of the first in two shards."""
    place = tmp_path_factory.mktemp("place")
    lines = [f"d{n}\t{WORDS[n % len(WORDS)] or 'sea'}{' heat' * (n % 4)}\n" for n in range(N)]
    (place / "raw.tsv").write_text("".join(lines))
    (place / "idf.json").write_text(json.dumps(IDF))
    save_retriever(Splade(tiny_mlm(place / "mlm"), max_length=16), place / "before")
    encoder = Encoder(load_retriever(place / "before"), "document")
    for number in (1, 2):
        encode_shard(encoder, open_collection(place), Shard(number, 2), place / "vectors")
    return place


def with_weight(place, expansion, **settings):
    return with_bm25(place / "before", idf=place / "idf.json", mean_length=5.0, expansion=expansion, **settings)


def given(place, model, start=0):
    documents = documents_from_head(Encoder(model, "document"), open_collection(place), open_vectors(place / "vectors"))
    batches = list(documents.batches(start))
    return documents, [id for batch in batches for id in batch.ids], np.concatenate([dense(batch) for batch in batches])


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    "settings", [{"expansion": 0.0}, {"expansion": 0.6}, {"expansion": 1.0, "k1": 0.4, "top_d": 5}]
)
def test_vectors_are_the_models_own_and_its_transformer_is_not_asked(place, settings, monkeypatch):
    folder = place / "after"
    model = with_weight(place, settings["expansion"], **({"k1": settings["k1"]} if "k1" in settings else {}))
    model.tops["document"] = settings.get("top_d", -1)
    save_retriever(model, folder)
    model = load_retriever(folder)
    expected = Encoder(model, "document").encode_all(open_collection(place))

    def refuse(*_, **__):
        raise AssertionError("the transformer was asked")

    monkeypatch.setattr(MlmEncoder, "forward", refuse)
    monkeypatch.setattr(MlmEncoder, "rows", refuse)
    documents, ids, vectors = given(place, model)
    assert ids == list(expected.ids)
    np.testing.assert_allclose(vectors, dense(expected), rtol=1e-5, atol=1e-5)
    assert documents.fingerprint == model.fingerprint()


def test_an_interrupted_build_goes_on_from_any_document(place):
    model = with_weight(place, 0.5)
    _, ids, vectors = given(place, model)
    _, later, rest = given(place, model, 211)
    assert later == ids[211:]
    np.testing.assert_array_equal(rest, vectors[211:])


def test_weighing_again_is_told_from_the_weighing_before(place):
    origins = [given(place, with_weight(place, weight))[0] for weight in (0.2, 0.6)]
    assert origins[0].fingerprint != origins[1].fingerprint
    assert origins[0].origin == origins[1].origin


def test_vectors_of_another_head_collection_or_length_are_refused(place, tmp_path):
    model = with_weight(place, 0.5)
    other = load_retriever(place / "before")
    next(other.parameters()).data.add_(1)
    encode_shard(Encoder(other, "document"), open_collection(place), Shard(1, 1), tmp_path / "vectors")
    vectors, collection = open_vectors(place / "vectors"), open_collection(place)
    with pytest.raises(InputError, match=r"HEAD_VECTORS_PATH=.*other fingerprint"):
        documents_from_head(Encoder(model, "document"), collection, open_vectors(tmp_path / "vectors"))
    with pytest.raises(InputError, match="other max_length"):
        documents_from_head(Encoder(model, "document", max_length=9), collection, vectors)
    (tmp_path / "raw.tsv").write_text("d0\tsea\n")
    with pytest.raises(InputError, match="other collection_crc32, collection_docs"):
        documents_from_head(Encoder(model, "document"), open_collection(tmp_path), vectors)
    with pytest.raises(InputError, match="read with a model that has BM25's weights"):
        documents_from_head(Encoder(other, "document"), collection, vectors)


def test_vectors_that_no_shard_says_the_origin_of_are_refused(place, tmp_path):
    (tmp_path / "v.jsonl").write_text('{"id": "d0", "vector": {"3": 1.0}}\n')
    with pytest.raises(InputError, match="not the vectors of this model's head"):
        documents_from_head(
            Encoder(with_weight(place, 0.5), "document"), open_collection(place), open_vectors(tmp_path / "v.jsonl")
        )


def test_the_head_is_named_as_the_model_before_it_was_given_bm25(place):
    model = with_weight(place, 0.5)
    assert model.head_fingerprint() == load_retriever(place / "before").fingerprint() != model.fingerprint()
    with torch.no_grad():
        model.lexical.expansion.fill_(9.0)
    assert model.head_fingerprint() == load_retriever(place / "before").fingerprint()
