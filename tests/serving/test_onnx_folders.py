"""A server of a model that was exported as ONNX graphs answers as the server of the model does."""

import pytest

from splade.config import configure
from splade.encoding import Encoder
from splade.exporting.models import export_model
from splade.indexing import InvertedIndex, Vocabulary
from splade.models import Splade, save_retriever
from splade.onnx.encoder import onnx_encoder
from splade.onnx.folder import OnnxModel
from splade.onnx.target import Onnx
from splade.records import Text
from splade.workflow.serving.building import serving_from
from tests.serving.parts import DOCUMENTS, ask
from tests.tiny import tiny_mlm

pytest.importorskip("onnxruntime")

MODELS = {"own": "checkpoint", "float32": "onnx", "int8": "small"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, its exports, and an index of its documents."""
    folder = tmp_path_factory.mktemp("exports")
    model = Splade(tiny_mlm(folder / "source"), max_length=24)
    save_retriever(model, folder / "checkpoint/model")
    for name, int8 in (("onnx", False), ("small", True)):
        export_model(Onnx(int8), "onnx", {"int8": int8}, model, [], folder / name)
    encoder = Encoder(model, "document")
    batch = encoder.encode_all([Text(id, text) for id, text in DOCUMENTS.items()])
    (folder / "raw.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in DOCUMENTS.items()))
    index = InvertedIndex.from_csr(
        batch,
        fingerprint=model.fingerprint(),
        metadata={"collection": str(folder / "raw.tsv")},
        vocabulary=Vocabulary(encoder.terms),
    )
    index.save(folder / "index")
    return folder


@pytest.fixture(scope="module")
def servings(place):
    made = {name: serving_from(config(place, folder)) for name, folder in MODELS.items()}
    yield made
    for serving in made.values():
        serving.close()


def config(place, folder):
    own = [f"config.index_dir={place}/index", f"config.checkpoint_dir={place / folder}"]
    return configure("serve", [*own, "serve.search_threads=1"])


def vector(serving, text, side):
    (entries,) = ask(serving, "/embed_sparse", {"inputs": text, "prompt_name": side}).json()
    return {entry["index"]: entry["value"] for entry in entries}


def hits(serving, query):
    return ask(serving, "/search", {"query": query, "explain": True}).json()["hits"]


@pytest.mark.parametrize("side", ["query", "document"])
def test_vectors_of_the_graphs_are_those_of_the_model(servings, side):
    expected = vector(servings["own"], "the heart of a whale", side)
    assert expected
    assert vector(servings["float32"], "the heart of a whale", side) == pytest.approx(expected, abs=1e-4)


def test_hits_of_the_graphs_are_those_of_the_model(servings):
    expected, found = (
        {hit["id"]: hit["score"] for hit in hits(servings[name], "heart of a cat")} for name in ("own", "float32")
    )
    assert expected
    assert found == pytest.approx(expected, abs=1e-4)


def test_in_8_bits_the_vectors_are_those_of_the_graph_and_search_the_models_index(servings, place):
    text = "the heart of a whale"
    rows = onnx_encoder(OnnxModel(place / "small"), "query").encode_all([Text("", text)]).rows
    own = dict(zip(rows.columns.tolist(), rows.weights.tolist(), strict=True))
    assert vector(servings["int8"], text, "query") == pytest.approx(own, abs=1e-6)
    assert ask(servings["int8"], "/info", method="GET").json()["model_dtype"] == "int8"
    documents = InvertedIndex.open(place / "index").vectors(range(len(DOCUMENTS)))
    for hit in hits(servings["int8"], text):
        span = slice(*documents.offsets[list(DOCUMENTS).index(hit["id"]) :][:2])
        held = zip(documents.columns[span].tolist(), documents.weights[span].tolist(), strict=True)
        assert hit["score"] == pytest.approx(sum(own.get(term, 0) * weight for term, weight in held), abs=1e-4)


def test_hits_have_the_terms_of_the_model_their_own_words_told_apart(servings):
    """Which position gave a weight a graph does not tell."""
    expected, found = (
        {
            hit["id"]: {term["token"]: (term["query_own"], term["document_own"]) for term in hit["terms"]}
            for hit in hits(servings[name], "heart of a cat")
        }
        for name in ("own", "float32")
    )
    assert any((True, True) in terms.values() for terms in expected.values())
    assert found == expected
    for hit in hits(servings["float32"], "heart of a cat"):
        assert sum(term["product"] for term in hit["terms"]) == pytest.approx(hit["score"], abs=1e-4)
        assert not any(term["document_spans"] for term in hit["terms"])


@pytest.mark.slow
def test_graphs_are_served_without_torch(place, run_python):
    overrides = [f"config.index_dir={place}/index", f"config.checkpoint_dir={place}/onnx"]
    told = run_python(
        "import sys\n"
        "from splade.config import configure\n"
        "from splade.workflow.serving.building import serving_from\n"
        f"serving_from(configure('serve', {overrides!r})).close()\n"
        "print('torch' in sys.modules)"
    )
    assert told.split()[-1] == "False"
