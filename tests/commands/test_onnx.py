"""A model as ONNX graphs, by the commands: written, searched with, and refused where it is no model."""

import json

import pytest

from splade.create_anserini import create_anserini
from splade.explain import explain
from splade.export import export
from splade.files import InputError
from splade.index import index
from splade.retrieve import retrieve
from splade.workflow.encoding import uses_int8
from splade.workflow.exported.models import model_from
from splade.workflow.model_loading import retriever_from, starting_model
from splade.workflow.scaling.sampled import targets_in
from tests.config.support import configured
from tests.tiny import tiny_mlm

pytest.importorskip("onnxruntime")

DOCS = (
    ("d1", "the heat of the sun and the water of the sea"),
    ("d2", "bees make honey"),
    ("d3", "a bridge for a train"),
)
QUERIES = (("q1", "sun and sea"), ("q2", "honey of bees"), ("q3", "train"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    tiny_mlm(folder / "source")
    for name, rows in (("docs", DOCS), ("queries", QUERIES)):
        text = "".join(json.dumps({"id": id, "text": text}) + "\n" for id, text in rows)
        (folder / f"{name}.jsonl").write_text(text)
    made = (f"init_dict.model_type_or_dir={folder}/source", "config.pretrained_no_yamlconfig=true")
    export(configured("export.target=onnx", *made, f"config.out_dir={folder}/model", command="export"))
    return folder


def found_with(place, model, name):
    """The run of the queries over the documents, both encoded with ``model``."""
    index(
        configured(
            *model, f"data.COLLECTION_PATH={place}/docs.jsonl", f"config.index_dir={place}/{name}", command="index"
        )
    )
    asked = (
        f"data.Q_COLLECTION_PATH=[{place}/queries.jsonl]",
        "config.retrieval_name=[mine]",
        "data.EVAL_QREL_PATH=[null]",
    )
    where = (f"config.index_dir={place}/{name}", f"config.out_dir={place}/{name}-out")
    retrieve(configured(*model, *asked, *where, command="retrieve"))
    return json.loads((place / f"{name}-out" / "mine" / "run.json").read_text())


def test_an_exported_model_finds_what_the_model_finds(place):
    own = (f"init_dict.model_type_or_dir={place}/source", "config.pretrained_no_yamlconfig=true")
    expected = found_with(place, own, "own")
    found = found_with(place, (f"config.checkpoint_dir={place}/model",), "exported")
    assert {query: list(ranking) for query, ranking in found.items()} == {
        query: list(ranking) for query, ranking in expected.items()
    }
    for query, ranking in expected.items():
        assert found[query] == pytest.approx(ranking, abs=1e-2)


def test_what_torch_indexed_is_searched_with_the_graphs(place):
    """Both have one fingerprint."""
    own = configured(
        f"init_dict.model_type_or_dir={place}/source", "config.pretrained_no_yamlconfig=true", command="index"
    )
    other = configured(f"config.checkpoint_dir={place}/model", command="index")
    assert model_from(own).fingerprint() == model_from(other).fingerprint()


def test_lengths_that_the_user_named_are_read(place):
    named = configured(f"config.checkpoint_dir={place}/model", "config.max_length_q=9", command="index")
    assert model_from(named).max_length("query") == 9


def test_settings_that_the_graphs_were_not_made_with_are_refused(place):
    named = configured(f"config.checkpoint_dir={place}/model", "init_dict.agg=sum", command="index")
    with pytest.raises(InputError, match=r"init_dict\.agg=sum: the graphs in .* were made with max"):
        model_from(named)


@pytest.mark.parametrize("address", ["data.VECTORS_PATH=docs.jsonl", "data.Q_VECTORS_PATH=[queries.jsonl]"])
def test_vectors_have_no_place_in_an_export_of_the_model(place, address):
    with pytest.raises(InputError, match="writes the model itself"):
        export(configured("export.target=onnx", address, f"config.out_dir={place}/new", command="export"))


def test_anserini_is_given_no_graphs(place):
    made = (f"init_dict.model_type_or_dir={place}/source", "config.pretrained_no_yamlconfig=true")
    with pytest.raises(InputError, match=r"use python -m splade\.export export\.target=onnx"):
        create_anserini(configured("config.export=onnx", *made, command="create_anserini"))


def test_the_plan_of_vectors_has_no_target_that_writes_the_model(place):
    assert {"onnx", "numpy"} & targets_in(configured(command="plan")).keys() == {"numpy"}


def test_how_torch_would_compute_is_said_not_to_be_read(place, caplog):
    named = configured(f"config.checkpoint_dir={place}/model", "config.int8=true", command="retrieve")
    model_from(named)
    assert "config.int8 is not read" in caplog.text
    assert not uses_int8(named)


@pytest.mark.parametrize("load", [retriever_from, starting_model])
def test_graphs_are_no_model_for_torch(place, load):
    named = configured(
        f"init_dict.model_type_or_dir={place}/model", "config.pretrained_no_yamlconfig=true", command="export"
    )
    with pytest.raises(InputError, match="Name the folder that it was exported from"):
        load(named)


@pytest.mark.parametrize("side", ["config.checkpoint_dir={}/model", "explain.beside={}/model"])
def test_graphs_are_not_explained(place, side):
    own = (f"init_dict.model_type_or_dir={place}/source", "config.pretrained_no_yamlconfig=true")
    asked = configured("explain.text=heat", *(own if "beside" in side else ()), side.format(place), command="explain")
    with pytest.raises(InputError, match="Name the folder that it was exported from"):
        explain(asked)


@pytest.mark.slow
def test_commands_load_no_torch_with_it(place, run_python):
    told = {}
    for name, more in (
        ("index", f"data.COLLECTION_PATH={place}/docs.jsonl"),
        ("encode", f"data.COLLECTION_PATH={place}/docs.jsonl"),
        ("retrieve", f"data.Q_COLLECTION_PATH=[{place}/queries.jsonl]"),
    ):
        where = f"config.checkpoint_dir={place}/model config.index_dir={place}/free config.out_dir={place}/free-{name}"
        arguments = [f"splade.{name}", *where.split(), more]
        if name == "retrieve":
            arguments += ["config.retrieval_name=[mine]", "data.EVAL_QREL_PATH=[null]"]
        told[name] = run_python(
            f"import sys; sys.argv = {arguments!r}; from splade.{name} import main; main(); "
            "print('torch' in sys.modules, 'transformers' in sys.modules)"
        ).split()[-2:]
    assert set(map(tuple, told.values())) == {("False", "False")}
