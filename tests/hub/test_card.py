"""Cards: the header that the hub reads, and figures that are those of the result folders."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard, constants

from splade.config import configure, save_config
from splade.files import InputError, write_json
from splade.models import SpladeDoc, SpladeLexical, load_retriever, save_retriever
from splade.workflow.publishing import recipe_of
from tests.hub.conftest import METRICS, write_sample_result


def carded(push, folder: Path, *settings: str) -> str:
    """The text of the card that a push with these settings would send."""
    push(*settings, "push.dry_run=true", f"push.out_dir={folder}")
    return (folder / "README.md").read_text()


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    lines = text.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]


@pytest.fixture(scope="module")
def fingerprint(model_folder):
    return load_retriever(model_folder / "model").fingerprint()


@pytest.fixture
def card(push, model_folder, fingerprint, tmp_path):
    """The card of a model with two results."""
    for name in ("TOY", "OTHER"):
        write_sample_result(tmp_path / "out" / name, fingerprint, name)
    return carded(push, tmp_path / "card", f"push.results=[{tmp_path}/out]", "push.datasets=[a/b]")


def test_the_header_of_a_model_is_read_by_the_hubs_library(card):
    data = ModelCard(card).data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "mit",
        "sentence-transformers",
        "feature-extraction",
    )
    assert {"splade", "sparse-encoder", "feature-extraction"} <= set(data.tags)
    assert data.datasets == ["a/b"]
    assert data.model_name == "small"


def test_the_figures_of_the_card_are_those_of_the_result_folders(card):
    found = {(each.dataset_name, each.metric_type): each.metric_value for each in ModelCard(card).data.eval_results}
    assert found == {(name, metric): value for name in ("TOY", "OTHER") for metric, value in METRICS.items()}
    assert rows_of(card, "Metrics") == [
        [name, "184", "inverted, auto", "0.5138", "0.6667", "1.0000"] for name in ("OTHER", "TOY")
    ]
    assert rows_of(card, "Sparsity") == [[name, "30.4", "119.8", "6.258"] for name in ("OTHER", "TOY")]


def test_conventions_versions_and_machine_are_told_and_no_path_of_the_machine(card, fingerprint):
    assert "self-matches kept (off); ties as written; unanswered queries count 0; relevant from grade 1 on." in card
    told = dict(rows_of(card, "Versions and hardware"))
    assert told == {
        "splade": "0.1.0", "torch": "2.13.0", "GPU": "a GPU", "processor": "a processor", "cores": "2",
    }  # fmt: skip
    assert fingerprint in card
    assert "somebody" not in card
    assert "/tmp" not in card


def test_the_recipe_is_that_of_the_config_of_the_training(push, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    cfg = configure(
        "train", ["loss=kl", "init_dict.model_type_or_dir=owner/base", "config.lr=3e-4", "config.seed=7",
                  "config.train_batch_size=24", "data.type=triplets_with_distil",
                  "data.TRAIN_DATA_DIR=/home/somebody/triplets"]
    )  # fmt: skip
    save_config(cfg, tmp_path / "trained/config.yaml")
    (tmp_path / "trained/model").symlink_to(model_folder / "model")
    card = carded(push, tmp_path / "card", f"config.checkpoint_dir={tmp_path}/trained")
    recipe = dict(rows_of(card, "Recipe"))
    assert recipe["loss"].startswith("KlDiv")
    assert (recipe["lr"], recipe["seed"], recipe["train_batch_size"]) == ("0.0003", "7", "24")
    assert re.fullmatch(r"λ_q [\d.]+, λ_d [\d.]+, T \d+", recipe["penalty FLOPS"])
    assert "| training step | 12 |" in card
    assert "somebody" not in card
    assert ModelCard(card).data.base_model is None  # it may be a folder of another machine
    for name, text in {"refs/main": "0" * 40, f"snapshots/{'0' * 40}/config.json": "{}"}.items():
        path = tmp_path / "cache/models--owner--base" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert recipe_of(tmp_path / "trained")[1] == "owner/base"


@pytest.mark.slow
def test_a_training_with_many_negatives_has_its_own_names(tmp_path):
    save_config(configure("train", env={"SPLADE_CONFIG_NAME": "config_hf_toy"}), tmp_path / "config.yaml")
    recipe, base = recipe_of(tmp_path)
    assert recipe["per_device_train_batch_size"] == 16
    assert recipe["lr"] == 0.001
    assert base is None  # a folder is no name on the hub


def test_what_is_not_known_is_said_and_not_invented(push, tmp_path):
    card = carded(push, tmp_path / "card")
    assert "None were given when this was pushed." in card
    assert "The config of the training is not known." in card
    assert ModelCard(card).data.eval_results is None
    assert ModelCard(card).data.base_model is None


def test_a_licence_is_the_one_that_is_named(push, tmp_path):
    card = carded(push, tmp_path / "none", "push.licence=none")
    assert "license" not in yaml.safe_load(card.split("---")[1])
    assert "None is declared: ask the owner" in card
    with pytest.raises(InputError, match=r"push.licence=other: the hub wants its name and an address"):
        carded(push, tmp_path / "other", "push.licence=other")
    own = ("push.licence=other", "push.licence_name=house", "push.licence_link=https://example.org/l")
    data = ModelCard(carded(push, tmp_path / "other", *own)).data
    assert (data.license, data.license_name, data.license_link) == ("other", "house", "https://example.org/l")


def test_results_of_another_model_are_refused(push, fingerprint, tmp_path):
    write_sample_result(tmp_path / "out/TOY", "0" * 32)
    with pytest.raises(InputError, match=f"measured with the model {'0' * 32}, and {fingerprint} is pushed"):
        carded(push, tmp_path / "card", f"push.results=[{tmp_path}/out/TOY]")
    for name in ("one", "two"):
        write_sample_result(tmp_path / name, fingerprint)
    with pytest.raises(InputError, match="two results are of TOY"):
        carded(push, tmp_path / "card", f"push.results=[{tmp_path}/one,{tmp_path}/two]")
    with pytest.raises(InputError, match=r"no result \(perf.json\) in it or below"):
        carded(push, tmp_path / "card", f"push.results=[{tmp_path}/nothing]")


def test_a_model_that_sentence_transformers_cannot_make_is_pushed_in_our_form_and_the_card_says_so(
    push, model_folder, tmp_path, caplog
):
    model = SpladeLexical(model_folder.parent / "mlm", max_length=16)
    save_retriever(model, tmp_path / "lexical/model")
    card = carded(push, tmp_path / "card", f"config.checkpoint_dir={tmp_path}/lexical")
    data = ModelCard(card).data
    assert data.library_name == "splade"
    assert "sentence-transformers" not in data.tags
    assert "Sentence Transformers does not make these vectors: it has nothing like SpladeLexical" in card
    assert "cannot make these vectors: it has nothing like SpladeLexical" in caplog.text
    assert not (tmp_path / "card/modules.json").exists()
    assert load_retriever(tmp_path / "card").fingerprint() == model.fingerprint()


def test_a_folder_of_version_6_is_pushed_in_the_form_of_version_5(push, model_folder, tmp_path):
    place = tmp_path / "theirs/model"
    shutil.copytree(model_folder / "model", place)
    (place / "splade.json").unlink()
    native = ("base.modules.transformer.Transformer", "sparse_encoder.modules.splade_pooling.SpladePooling")
    modules = json.loads((place / "modules.json").read_text())
    for module, kind in zip(modules, native, strict=True):
        module["type"] = f"sentence_transformers.{kind}"
    write_json(place / "modules.json", modules)
    pooling = (place / "1_SpladePooling/config.json").read_text()
    (place / "1_SpladePooling/config.json").write_text(pooling.replace("word_embedding_d", "embedding_d"))
    carded(push, tmp_path / "card", f"config.checkpoint_dir={place.parent}")
    for name in ("modules.json", "1_SpladePooling/config.json"):
        assert (tmp_path / "card" / name).read_text() == (model_folder / "model" / name).read_text()
    assert load_retriever(tmp_path / "card").fingerprint() == load_retriever(place).fingerprint()


def test_a_query_side_of_its_own_goes_along(push, model_folder, tmp_path):
    model = SpladeDoc(model_folder.parent / "mlm", max_length=16)
    save_retriever(model, tmp_path / "doc/model")
    carded(push, tmp_path / "card", f"config.checkpoint_dir={tmp_path}/doc")
    again = load_retriever(tmp_path / "card")
    assert (type(again), again.fingerprint()) == (SpladeDoc, model.fingerprint())
    assert (tmp_path / "card/router_config.json").is_file()
    assert (tmp_path / "card/query_0_SparseStaticEmbedding/model.safetensors").is_file()


def test_the_card_of_an_index_names_its_engines_and_is_read_by_the_hubs_library(push, index_folder, tmp_path):
    result = write_sample_result(tmp_path / "out/TOY", "encoder", kind="index")
    card = carded(
        push, tmp_path / "card", f"config.index_dir={index_folder}", f"push.results=[{result}]", "push.base_model=me/m"
    )
    data = DatasetCard(card).data
    assert (data.license, data.task_categories) == ("mit", ["text-retrieval"])
    table = {line.split("|")[1].strip(): line for line in card.splitlines() if line.startswith("| ")}
    assert "| encoder |" in table["inverted"]
    assert "| encoder |" in table["dense"]
    assert "Its queries are encoded by `me/m`." in card
    assert rows_of(card, "Metrics")[0][:2] == ["TOY", "184"]


def test_cells_of_tables_stay_cells(push, fingerprint, tmp_path):
    write_sample_result(tmp_path / "out", fingerprint, "a|b\nc")
    assert "| a\\|b c | 184 |" in carded(push, tmp_path / "card", f"push.results=[{tmp_path}/out]")


def test_a_damaged_config_of_a_training_is_told_and_left_out(tmp_path, caplog):
    (tmp_path / "config.yaml").write_text("config: {no_such_setting: 1}\n")
    assert recipe_of(tmp_path) == ({}, None)
    assert "is not used for the card" in caplog.text
    write_json(tmp_path / "unrelated.json", {})
