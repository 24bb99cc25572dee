"""Folders in the layout of Sentence Transformers' SparseEncoder, written by hand from its description."""

import json
import math
import shutil

import pytest
import torch
from safetensors.torch import save_file

from splade.files import InputError
from splade.models import Splade, SpladeIdf, SpladeTopK, load_retriever, save_retriever
from splade.models.encoders.own_tokens import TokenTable
from splade.models.heads.tops import keep_largest
from tests.models.support import TEXTS, vectors

V5 = (
    "sentence_transformers.sparse_encoder.models.MLMTransformer",
    "sentence_transformers.sparse_encoder.models.SpladePooling",
)
V6 = (
    "sentence_transformers.base.modules.transformer.Transformer",
    "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling",
)


@pytest.fixture
def folder(mlm, tmp_path):
    """A writable version 5 folder."""
    root = tmp_path / "sparse-encoder"
    shutil.copytree(mlm, root)
    (root / "1_SpladePooling").mkdir()
    write(root, "modules.json", modules(*V5))
    write(root, "1_SpladePooling/config.json", {"pooling_strategy": "max", "activation_function": "relu"})
    write(root, "sentence_bert_config.json", {"max_seq_length": 77, "do_lower_case": False})
    prompts = {"query": "", "document": ""}
    write(root, "config_sentence_transformers.json", {"model_type": "SparseEncoder", "prompts": prompts})
    return root


def modules(transformer, pooling):
    return [
        {"idx": 0, "name": "0", "path": "", "type": transformer},
        {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": pooling},
    ]


def write(root, name, value):
    (root / name).write_text(json.dumps(value))


@pytest.mark.parametrize("types", [V5, V6], ids=["v5", "v6"])
def test_the_usual_folder_is_a_splade_of_its_length(folder, mlm, types):
    write(folder, "modules.json", modules(*types))
    model = load_retriever(folder)
    assert type(model) is Splade
    assert model.max_length("query") == model.max_length("document") == 77
    assert vectors(model, TEXTS).equal(vectors(Splade(mlm), TEXTS))


def test_pooling_and_activation_are_read_and_a_log_is_taken_after_the_named_function(folder, mlm):
    write(folder, "1_SpladePooling/config.json", {"pooling_strategy": "max", "activation_function": "log1p_relu"})
    flat = vectors(load_retriever(folder), TEXTS)
    assert flat.equal(torch.log1p(vectors(Splade(mlm), TEXTS)))
    assert flat.max() < math.log1p(vectors(Splade(mlm), TEXTS).max()) + 1e-6
    write(folder, "1_SpladePooling/config.json", {"pooling_strategy": "sum", "activation_function": "relu"})
    assert vectors(load_retriever(folder), TEXTS).equal(vectors(Splade(mlm, agg="sum"), TEXTS))


def test_prompts_of_the_sides_are_read(folder):
    prompts = {"prompts": {"query": "find the ", "document": ""}}
    write(folder, "config_sentence_transformers.json", prompts)
    model = load_retriever(folder)
    assert (model.prompt("query"), model.prompt("document")) == ("find the ", "")


@pytest.mark.parametrize(("name", "said"), [("dot", False), (None, False), ("cosine", True)])
def test_a_comparison_that_is_no_inner_product_is_said(folder, caplog, name, said):
    write(folder, "config_sentence_transformers.json", {"similarity_fn_name": name})
    load_retriever(folder)
    assert ("'cosine': its sparse vectors are compared by inner product here" in caplog.text) == said


def test_a_limit_on_active_terms_becomes_a_top_k(folder):
    write(folder, "config_sentence_transformers.json", {"model_type": "SparseEncoder", "max_active_dims": 6})
    model = load_retriever(folder)
    assert type(model) is SpladeTopK
    assert (vectors(model, TEXTS) > 0).sum(dim=1).max() == 6


def test_without_a_length_the_tokenizers_and_the_models_hold(folder):
    (folder / "sentence_bert_config.json").unlink()
    assert load_retriever(folder).max_length("document") == 512


def test_a_saved_one_is_a_folder_of_ours(folder, tmp_path):
    model = load_retriever(folder)
    save_retriever(model, tmp_path / "model")
    assert load_retriever(tmp_path / "model").fingerprint() == model.fingerprint()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("modules.json", modules("sentence_transformers.models.Router", "X"), "holds Router then X; only a masked"),
        ("modules.json", {"idx": 0}, "not a list of modules"),
        ("1_SpladePooling/config.json", {"activation_function": "gelu"}, "activation_function 'gelu' is not one of"),
        ("1_SpladePooling/config.json", [1], "expected a JSON object, found list"),
        (
            "config_sentence_transformers.json",
            {"prompts": {"clue": "find: "}, "default_prompt_name": "clue"},
            r"puts the prompt 'clue' before texts of either side",
        ),
    ],
)
def test_what_would_give_other_vectors_is_refused(folder, name, value, message):
    write(folder, name, value)
    with pytest.raises(InputError, match=message):
        load_retriever(folder)


ROUTERS = {
    "v5": (*V5, "sentence_transformers.models.Router", "sentence_transformers.sparse_encoder.models"),
    "v5 as it saves": (
        "sentence_transformers.sparse_encoder.models.MLMTransformer.MLMTransformer",
        "sentence_transformers.sparse_encoder.models.SpladePooling.SpladePooling",
        "sentence_transformers.models.Router",
        "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding",
    ),
    "v6": (
        *V6,
        "sentence_transformers.base.modules.router.Router",
        "sentence_transformers.sparse_encoder.modules.sparse_static_embedding",
    ),
}


def router_folder(root, naming, query, document_name="document_0_MLMTransformer"):
    """A folder with a Router, its document side without anything beside the two modules."""
    transformer, pooling, router, static = ROUTERS[naming]
    kinds = {"M": transformer, "P": pooling, "S": f"{static}.SparseStaticEmbedding"}
    document = {document_name: "M", "document_1_SpladePooling": "P"}
    root.mkdir(exist_ok=True)
    write(root, "modules.json", [{"idx": 0, "name": "0", "path": "", "type": router}])
    types = {name: kinds[kind] for name, kind in {**query, **document}.items()}
    structure = {"query": list(query), "document": list(document)}
    parameters = {"default_route": "document", "allow_empty_key": True}
    write(root, "router_config.json", {"types": types, "structure": structure, "parameters": parameters})
    write(root, "config_sentence_transformers.json", {"model_type": "SparseEncoder", "prompts": {"document": "a "}})
    return root


def mlm_module(root, name, mlm, length):
    shutil.copytree(mlm, root / name, dirs_exist_ok=True)
    write(root / name, "sentence_bert_config.json", {"max_seq_length": length})


def pooling_module(root, name, pooling="max", activation="relu"):
    (root / name).mkdir()
    write(root / name, "config.json", {"pooling_strategy": pooling, "activation_function": activation})


@pytest.mark.parametrize("naming", ROUTERS)
@pytest.mark.parametrize("place", ["document_0_MLMTransformer", ""], ids=["in a folder", "at the root"])
def test_a_router_of_two_models_has_an_encoder_for_each_side(mlm, other_mlm, tmp_path, naming, place):
    query = {"query_0_MLMTransformer": "M", "query_1_SpladePooling": "P"}
    root = router_folder(tmp_path / "router", naming, query, place)
    mlm_module(root, place, mlm, 40)
    mlm_module(root, "query_0_MLMTransformer", other_mlm, 9)
    pooling_module(root, "document_1_SpladePooling")
    pooling_module(root, "query_1_SpladePooling", "sum", "log1p_relu")
    model = load_retriever(root)
    assert (model.max_length("document"), model.max_length("query"), model.prompt("document")) == (40, 9, "a ")
    assert vectors(model, TEXTS).equal(vectors(Splade(mlm), TEXTS))
    queries = Splade(other_mlm, agg="sum", activation="log1p_log1p_relu", max_length=9)
    assert vectors(model, TEXTS, "query").equal(vectors(queries, TEXTS))


@pytest.mark.parametrize("naming", ROUTERS)
def test_a_router_may_pool_one_model_in_two_ways(mlm, tmp_path, naming):
    root = router_folder(tmp_path / "router", naming, {"": "M", "query_1_SpladePooling": "P"}, "")
    mlm_module(root, "", mlm, 40)
    pooling_module(root, "document_1_SpladePooling")
    pooling_module(root, "query_1_SpladePooling", "sum")
    model = load_retriever(root)
    assert model.shares_encoder
    assert vectors(model, TEXTS, "query").equal(vectors(Splade(mlm, agg="sum"), TEXTS))
    assert vectors(model, TEXTS).equal(vectors(Splade(mlm), TEXTS))


def static_folder(mlm, root, naming, **config):
    """A Router whose queries are weighed by a table of all tokens but the last ten."""
    root = router_folder(root, naming, {"query_0_SparseStaticEmbedding": "S"})
    mlm_module(root, "document_0_MLMTransformer", mlm, 40)
    pooling_module(root, "document_1_SpladePooling")
    static = root / "query_0_SparseStaticEmbedding"
    static.mkdir()
    for file in mlm.glob("tokenizer*"):
        shutil.copy(file, static)
    write(static, "config.json", {"frozen": True} | config)
    weights = torch.rand(len(Splade(mlm).tokenizer("query")) - 10, generator=torch.Generator().manual_seed(5))
    save_file({"weight": weights}, static / "model.safetensors")
    return root, weights


@pytest.mark.parametrize("naming", ROUTERS)
def test_a_router_with_a_table_weighs_each_token_of_a_query_once(mlm, tmp_path, naming):
    root, weights = static_folder(mlm, tmp_path / "router", naming)
    model = load_retriever(root)
    assert type(model) is SpladeIdf
    numbers = model.tokenizer("query").get_vocab()
    query = vectors(model, ["bee bee honey"], "query")[0]
    assert {int(term): query[term].item() for term in query.nonzero().flatten()} == {
        numbers[word]: weights[numbers[word]].item() for word in ("bee", "honey")
    }
    assert len(query) == model.vocab_size == len(weights) + 10
    assert model.max_length("query") == 512 + 2  # their limit does not count the special tokens, which are not read
    assert not isinstance(model.encoders["query"].weight, torch.nn.Parameter)


def test_a_table_that_is_not_frozen_may_be_learned_on(mlm, tmp_path):
    root, _ = static_folder(mlm, tmp_path / "router", "v5", frozen=False)
    assert isinstance(load_retriever(root).encoders["query"].weight, torch.nn.Parameter)


@pytest.mark.parametrize("place", ["", "query_0_SparseStaticEmbedding"])
def test_a_table_may_be_a_json_file_by_token(mlm, tmp_path, place):
    root, _ = static_folder(mlm, tmp_path / "router", "v6", path="idf.json")
    write(root / place, "idf.json", {"bee": 2.5, "sea": 0.5})
    query = vectors(load_retriever(root), ["bee and king"], "query")[0]
    assert query[query > 0].tolist() == [2.5]
    (root / place / "idf.json").unlink()
    with pytest.raises(InputError, match=r"names the table 'idf\.json', and there is no such file"):
        load_retriever(root)


def test_a_limit_on_active_terms_holds_for_a_table_too(mlm, tmp_path):
    root, weights = static_folder(mlm, tmp_path / "router", "v6")
    write(root, "config_sentence_transformers.json", {"model_type": "SparseEncoder", "max_active_dims": 2})
    model = load_retriever(root)
    table = TokenTable(torch.nn.functional.pad(weights, (0, 10)), dropped=[])
    ids = model.tokenizer("query")(["bee king honey"], add_special_tokens=False, return_tensors="pt")["input_ids"]
    assert vectors(model, ["bee king honey"], "query").equal(keep_largest(table(ids, torch.ones_like(ids)), 2).detach())


def test_what_a_router_holds_that_cannot_be_read_is_said(mlm, tmp_path):
    root, _ = static_folder(mlm, tmp_path / "router", "v5")
    router = json.loads((root / "router_config.json").read_text())
    dense = router | {"types": {name: "sentence_transformers.models.Pooling" for name in router["types"]}}
    write(root, "router_config.json", dense)
    with pytest.raises(InputError, match="its query side is Pooling; only a masked language model followed by"):
        load_retriever(root)
    write(root, "router_config.json", router | {"structure": {"image": [], "query": []}})
    with pytest.raises(InputError, match="has the routes image, query"):
        load_retriever(root)
    write(root, "router_config.json", {"types": 3})
    with pytest.raises(InputError, match="not a Router with 'types' and 'structure'"):
        load_retriever(root)
    write(root, "router_config.json", router)
    write(root, "config_sentence_transformers.json", {"prompts": {"query": "find the "}})
    with pytest.raises(InputError, match="would count as words of every query"):
        load_retriever(root)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"transformer_task": "feature-extraction"}, "gives no logits of terms"),
        ({"query_expansion": {"length": 32}}, "query_expansion changes the tokens of texts"),
    ],
)
def test_a_transformer_that_does_something_else_is_refused(folder, settings, message):
    write(folder, "sentence_bert_config.json", settings)
    with pytest.raises(InputError, match=message):
        load_retriever(folder)
