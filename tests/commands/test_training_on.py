"""A training that starts from a folder that describes itself goes on from what that is, or says what it would lose."""

import shutil

import pytest
import torch
from omegaconf import OmegaConf

from splade.config import configure, save_config
from splade.files import InputError, read_json, write_json
from splade.models import (
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
from splade.models.saving.checkpoint import described_tokenizer
from splade.train import train
from splade.workflow.model_loading import as_trained, retriever_from, starting_model, teacher_from
from tests.models.saving.test_sparse_encoder_folders import mlm_module, pooling_module, router_folder, static_folder
from tests.models.support import TEXTS, vectors
from tests.sampled import sampled
from tests.tiny import tiny_mlm


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of every kind, each with something that a plain Splade has not."""
    root = tmp_path_factory.mktemp("folders")
    mlm, other = (tiny_mlm(root / f"mlm{seed}", hidden=16, layers=1, seed=seed) for seed in range(2))
    write_json(root / "idf.json", {"bee": 2.5, "king": 4.0, "honey": 3.0, "the": 0.5})
    write_json(root / "idf.about.json", {"mean_length": 5.0})
    made = {
        "two": Splade(mlm, model_type_or_dir_q=other, prompt_q="find ", activation="log1p_log1p_relu", top_d=9),
        "topk": SpladeTopK(mlm, top_d=5, top_q=3, agg="sum"),
        "lexical": SpladeLexical(mlm, lexical_type="both"),
        "doc": SpladeDoc(mlm, max_length=50),
        "idf": SpladeIdf(mlm, idf=root / "idf.json", train_idf=True),
        "table": moved(SpladeTable(mlm)),
        "mlp": moved(SpladeMlp(mlm)),
        "bm25": moved(SpladeBm25(mlm, idf=root / "idf.json", k1=0.9)),
        "plain": Splade(mlm, agg="sum", prompt_d="text "),
    }
    for name, model in made.items():
        save_retriever(model, root / name)
    return root


def moved(model):
    """``model`` with other weights of its query side, as after a training."""
    generator = torch.Generator().manual_seed(3)
    part = model.lexical if isinstance(model, SpladeBm25) else model.encoders["query"]
    for parameter in part.parameters():
        parameter.data.add_(torch.rand(parameter.shape, generator=generator), alpha=0.05)
    return model


def config(folder, *overrides):
    return configure("train", [f"init_dict.model_type_or_dir={folder}", *overrides])


@pytest.mark.thinned(4)
@pytest.mark.parametrize("name", ["two", "topk", "lexical", "doc", "idf", "table", "mlp", "bm25"])
def test_every_kind_of_folder_goes_on_as_what_it_is(folders, name):
    before, start = load_retriever(folders / name), starting_model(config(folders / name))
    assert type(start) is type(before)
    assert {**start.settings(), "train_idf": 0} == {**before.settings(), "train_idf": 0}
    for side in ("query", "document"):
        torch.testing.assert_close(vectors(start, TEXTS, side), vectors(before, TEXTS, side))


@pytest.mark.parametrize("name", sampled(["two", "table", "mlp", "bm25"]))
def test_a_folder_trained_on_at_a_rate_of_nothing_gives_the_same_vectors(folders, name, tmp_path):
    few = ("config.nb_iterations=2", "config.warmup_steps=0", "config.train_batch_size=4", "validation=none")
    cfg = config(folders / name, f"config.checkpoint_dir={tmp_path}", "config.lr=1e-9", *few)
    train(cfg)
    before, after = load_retriever(folders / name), load_retriever(tmp_path / "model")
    for side in ("query", "document"):
        torch.testing.assert_close(vectors(after, TEXTS, side), vectors(before, TEXTS, side), atol=1e-3, rtol=1e-3)
    saved = {"SPLADE_CONFIG_FULLPATH": str(tmp_path / "config.yaml")}
    again = retriever_from(configure("retrieve", [], saved))
    assert again.settings() == after.settings()


def test_the_saved_config_says_what_was_trained(folders, tmp_path):
    cfg = config(folders / "two")
    save_config(as_trained(cfg, starting_model(cfg)), tmp_path / "config.yaml")
    said = OmegaConf.load(tmp_path / "config.yaml")
    assert (said.config.max_length, said.init_dict.activation, said.init_dict.top_d) == (256, "log1p_log1p_relu", 9)
    assert said.hf.data.prompt_q == "find "
    cfg = config(folders / "table")
    save_config(as_trained(cfg, starting_model(cfg)), tmp_path / "config.yaml")
    loaded = configure("train", [], {"SPLADE_CONFIG_FULLPATH": str(tmp_path / "config.yaml")})
    assert loaded.config.matching_type == "splade_table"
    assert type(starting_model(loaded)) is SpladeTable


def test_what_the_user_names_is_changed_and_what_a_shipped_config_says_is_not(folders, caplog):
    start = starting_model(config(folders / "two", "config.max_length=64", "init_dict.activation=relu"))
    assert (start.max_length("document"), start.settings()["activation"]) == (64, "relu")
    assert "init_dict.activation=relu in place of log1p_log1p_relu" in caplog.text
    assert starting_model(config(folders / "topk")).settings()["agg"] == "sum"
    assert "agg=sum (init_dict.agg=max is not read)" in caplog.text


@pytest.mark.parametrize(
    ("name", "kind", "lost"),
    [("table", "splade", "table="), ("idf", "splade_doc", "idf="), ("lexical", "splade", "lexical_type="),
     ("two", "splade_doc", "prompt_q=find"), ("mlp", "splade_table", "model_type_or_dir_q="),
     ("bm25", "splade_topk", "lexical=")],
)  # fmt: skip
def test_another_kind_is_refused_where_the_folder_would_lose_something(folders, name, kind, lost):
    with pytest.raises(
        InputError, match=rf"config\.matching_type={kind} means .* and .*{lost}.* would be lost"
    ) as told:
        starting_model(config(folders / name, f"config.matching_type={kind}"))
    assert "Go on from what it is (config.matching_type=splade_" in str(told.value) or name == "two"


def test_a_splade_model_becomes_another_kind_with_all_that_it_has(folders):
    start = starting_model(config(folders / "plain", "model=splade_doc"))
    assert type(start) is SpladeDoc
    assert (start.settings()["agg"], start.prompt("document")) == ("sum", "text ")
    table = starting_model(config(folders / "plain", "model=splade_idf", f"init_dict.idf={folders / 'idf.json'}"))
    assert type(table) is SpladeIdf


def test_weights_that_would_not_be_read_are_refused(folders):
    with pytest.raises(InputError, match=r"init_dict\.idf=.* has lexical weights that were learned; remove"):
        starting_model(config(folders / "bm25", "model=splade_bm25", f"init_dict.idf={folders / 'idf.json'}"))


def test_the_model_that_teaches_itself_is_the_one_that_the_training_starts_from(folders):
    cfg = configure("score", [f"init_dict.model_type_or_dir={folders / 'two'}", "teacher=self"],
                    {"SPLADE_CONFIG_NAME": "config_distil_toy"})  # fmt: skip
    teacher = teacher_from(cfg)
    assert not teacher.model.shares_encoder
    assert teacher.encoders["query"].max_length == 256


def test_adapters_are_trained_beside_what_the_folder_is(folders):
    start = starting_model(config(folders / "plain", "+init_dict.lora={r: 2, alpha: 4}"))
    trained = {name for name, weight in start.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert start.settings()["agg"] == "sum"


def test_a_folder_of_two_encoders_is_trained_on_with_both(folders, tmp_path):
    copied = shutil.copytree(folders / "two", tmp_path / "two")
    description = read_json(copied / "splade.json")
    write_json(copied / "splade.json", {**description, "settings": {**description["settings"], "max_length_q": 20}})
    start = starting_model(config(copied))
    assert (start.shares_encoder, start.max_length("query")) == (False, 20)


def test_a_router_of_sentence_transformers_trains_as_it_indexes(folders, tmp_path):
    router = router_folder(tmp_path / "router", "v6", {"query_0_MLMTransformer": "M", "query_1_SpladePooling": "P"})
    mlm_module(router, "document_0_MLMTransformer", folders / "mlm0", 40)
    mlm_module(router, "query_0_MLMTransformer", folders / "mlm1", 12)
    pooling_module(router, "document_1_SpladePooling", "sum")
    pooling_module(router, "query_1_SpladePooling")
    few = ("config.nb_iterations=2", "config.warmup_steps=0", "config.train_batch_size=4", "validation=none")
    train(config(router, f"config.checkpoint_dir={tmp_path / 'out'}", "config.lr=1e-9", *few))
    before, after = load_retriever(router), load_retriever(tmp_path / "out" / "model")
    assert (after.max_length("document"), after.max_length("query"), after.prompt("document")) == (40, 12, "a ")
    for side in ("query", "document"):
        torch.testing.assert_close(vectors(after, TEXTS, side), vectors(before, TEXTS, side), atol=1e-3, rtol=1e-3)


def test_a_router_with_a_table_goes_on_with_the_table(folders, tmp_path):
    router, _ = static_folder(folders / "mlm0", tmp_path / "router", "v5", frozen=False)
    start = starting_model(config(router))
    assert type(start) is SpladeIdf
    torch.testing.assert_close(vectors(start, TEXTS, "query"), vectors(load_retriever(router), TEXTS, "query"))


def test_the_idf_of_a_routers_tokens_is_counted_with_its_documents_tokenizer(folders, tmp_path):
    router, _ = static_folder(folders / "mlm0", tmp_path / "router", "v5")
    assert described_tokenizer(router) == router / "document_0_MLMTransformer"
    assert described_tokenizer(folders / "mlm0") == folders / "mlm0"
