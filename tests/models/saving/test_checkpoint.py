"""Model folders: what is saved comes back, whole or not at all; plain models and broken folders."""

import json

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from splade.files import InputError
from splade.models import (
    Dense,
    Splade,
    SpladeBm25,
    SpladeDoc,
    SpladeIdf,
    SpladeLexical,
    SpladeMlp,
    SpladeTable,
    SpladeTopK,
    load_retriever,
    save_retriever,
)
from tests.models.support import TEXTS, vectors


class Doubled(Splade):
    """A retriever of a user's own."""

    def refine(self, side, weights, input_ids, attention_mask):
        return 2 * weights


VARIANTS = {
    "shared": (Splade, {"max_length": 40, "max_length_q": 10}),
    "sum": (Splade, {"agg": "sum", "activation": "log1p_log1p_relu", "pool_special_tokens": False}),
    "bag": (SpladeDoc, {"max_length": 64}),
    "lexical": (SpladeLexical, {"lexical_type": "both"}),
    "top k": (SpladeTopK, {"top_d": 7, "top_q": 3}),
    "dense": (Dense, {"pooling": "cls"}),
    "dense of unit length": (Dense, {"normalize": True, "prompt_q": "find "}),
    "by side": (Splade, {"agg_q": "sum", "activation_q": "relu", "top_q": 9, "prompt_d": "a ", "max_length_q": 8}),
    "idf": (SpladeIdf, {"idf": {"bee": 2.0, "king": 0.5}, "top_d": 6}),
    "trained idf": (SpladeIdf, {"idf": {"bee": 2.0, "king": 0.5}, "train_idf": True, "max_length_q": 9}),
    "learned table": (SpladeTable, {"activation_q": "log1p_log1p_relu"}),
    "mlp": (SpladeMlp, {"activation_q": "log1p_relu", "freeze_d_model": True, "prompt_d": "a "}),
    "bm25": (SpladeBm25, {"idf": {"bee": 2.0, "king": 1.75}, "mean_length": 5.0, "max_length_q": 9}),
    "of a user": (Doubled, {}),
}


@pytest.mark.thinned(3)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_saved_retriever_comes_back_with_the_same_vectors_and_fingerprint(mlm, tmp_path, variant, json_file):
    kind, options = VARIANTS[variant]
    if "idf" in options:
        options = options | {"idf": json_file(options["idf"])}
    model = kind(mlm, **options)
    for weight in model.parameters():
        weight.data.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)), alpha=0.01)
    save_retriever(model, tmp_path / "model", extra={"step": 12})
    again = load_retriever(tmp_path / "model")
    assert type(again) is kind
    assert again.settings() == model.settings()
    assert again.extra == {"step": 12}
    assert not again.training
    for side in ("query", "document"):
        assert vectors(again, TEXTS, side).equal(vectors(model, TEXTS, side))
        assert again.max_length(side) == model.max_length(side)
    assert again.fingerprint() == model.fingerprint()


def test_two_encoders_are_saved_apart_and_each_comes_back_on_its_side(mlm, other_mlm, tmp_path):
    model = Splade(mlm, model_type_or_dir_q=other_mlm, freeze_d_model=True)
    save_retriever(model, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    for side in ("query", "document"):
        assert vectors(again, TEXTS, side).equal(vectors(model, TEXTS, side))
    assert not vectors(again, TEXTS, "query").equal(vectors(again, TEXTS, "document"))
    assert not again.train().encoders["document"].training
    queries = Splade(tmp_path / "model" / "query")
    assert vectors(queries, TEXTS).equal(vectors(model, TEXTS, "query"))


def test_the_root_is_a_plain_masked_language_model(mlm, other_mlm, tmp_path):
    model = Splade(mlm, model_type_or_dir_q=other_mlm)
    save_retriever(model, tmp_path / "model")
    plain, report = AutoModelForMaskedLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    batch = AutoTokenizer.from_pretrained(tmp_path / "model")(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = plain.eval()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    weights = (torch.log1p(torch.relu(logits)) * batch["attention_mask"].unsqueeze(2)).amax(dim=1)
    torch.testing.assert_close(vectors(model, TEXTS), weights)


def test_a_plain_masked_language_model_loads_as_a_default_splade(mlm):
    model = load_retriever(mlm)
    assert type(model) is Splade
    assert vectors(model, TEXTS).equal(vectors(Splade(mlm), TEXTS))


def test_settings_can_be_replaced_when_loading(mlm, tmp_path):
    save_retriever(Splade(mlm, max_length=100), tmp_path / "model")
    model = load_retriever(tmp_path / "model", max_length=33, agg="sum")
    assert model.max_length("document") == 33
    assert vectors(model, TEXTS).equal(vectors(Splade(mlm, agg="sum"), TEXTS))


def test_saving_replaces_an_older_model_and_keeps_extra_values(mlm, other_mlm, tmp_path):
    save_retriever(Splade(mlm, model_type_or_dir_q=other_mlm), tmp_path / "model", extra={"step": 1})
    model = load_retriever(mlm)
    model.extra = {"step": 2}
    save_retriever(model, tmp_path / "model")
    assert not (tmp_path / "model" / "query").exists()
    assert load_retriever(tmp_path / "model").extra == {"step": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_saving_over_a_folder_of_something_else_is_refused(mlm, tmp_path):
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(InputError, match="holds files that are not a model"):
        save_retriever(Splade(mlm), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_save_that_fails_leaves_the_older_model(mlm, tmp_path, monkeypatch):
    model = Splade(mlm)
    save_retriever(model, tmp_path / "model", extra={"step": 1})
    monkeypatch.setattr(model, "settings", lambda: {"unwritable": object()})
    with pytest.raises(TypeError):
        save_retriever(model, tmp_path / "model", extra={"step": 2})
    assert load_retriever(tmp_path / "model").extra == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "written in format 99, this program reads 1"),
        ({"kind": "os.system"}, r"unknown kind of model 'os\.system'; known are .*Splade"),
        ({"settings": None}, "not the description of a model"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_with_its_path(mlm, tmp_path, change, message):
    save_retriever(Splade(mlm), tmp_path / "model")
    path = tmp_path / "model" / "splade.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        load_retriever(tmp_path / "model")


def test_a_damaged_description_is_refused_with_file_and_line(mlm, tmp_path):
    save_retriever(Splade(mlm), tmp_path / "model")
    path = tmp_path / "model" / "splade.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(InputError, match=r"splade\.json:\d+: not valid JSON"):
        load_retriever(tmp_path / "model")


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        (Splade, {}, "the same vectors"),
        (SpladeTopK, {"top_d": 3, "top_q": 3}, "the same vectors"),
        (SpladeTopK, {"top_d": 3}, r"it has one limit for both sides (top_q and top_d differ)"),
        (Splade, {"activation": "relu"}, "it takes a logarithm after every activation (activation is relu)"),
        (Splade, {"activation_q": "relu"}, "it takes a logarithm after every activation (activation is relu)"),
        (Splade, {"pool_special_tokens": False}, "it pools special tokens too (pool_special_tokens is false)"),
        (Splade, {"max_length_q": 9}, "one encoder reads all texts to one length (max_length and max_length_q differ)"),
        (SpladeLexical, {}, "it has nothing like SpladeLexical"),
        (SpladeMlp, {}, "it has nothing like SpladeMlp"),
        (Dense, {}, "it has nothing like Dense"),
        (Doubled, {}, "it has nothing like Doubled"),
    ],
)
def test_what_sentence_transformers_cannot_do_is_said_and_its_files_are_left_out(mlm, tmp_path, kind, options, reason):
    save_retriever(kind(mlm, **options), tmp_path / "model")
    assert json.loads((tmp_path / "model/splade.json").read_text())["sentence_transformers"] == reason
    assert (tmp_path / "model/modules.json").exists() == (reason == "the same vectors")


def test_a_folder_that_lost_our_description_is_read_as_a_sparse_encoder(mlm, other_mlm, tmp_path):
    model = Splade(mlm, model_type_or_dir_q=other_mlm, agg_q="sum", max_length_q=9, prompt_q="find the ")
    save_retriever(model, tmp_path / "model")
    (tmp_path / "model" / "splade.json").unlink()
    again = load_retriever(tmp_path / "model")
    for side in ("query", "document"):
        assert vectors(again, TEXTS, side).equal(vectors(model, TEXTS, side))
        assert (again.max_length(side), again.prompt(side)) == (model.max_length(side), model.prompt(side))
    assert again.fingerprint() == model.fingerprint()
