"""The target onnx: whole folders, proven when they are written and whenever they are checked."""

import json
import shutil

import numpy as np
import pytest

from splade.exporting.checking import check_export, report
from splade.exporting.manifest import read_manifest
from splade.exporting.models import export_model
from splade.files import InputError
from splade.models import Splade, SpladeTable
from splade.onnx import target
from splade.onnx.folder import OnnxModel, is_onnx
from splade.onnx.proof import Difference, read_proof, write_proof
from splade.onnx.target import Onnx
from tests.onnx.conftest import MODEL


def make(name, arguments):
    assert name == "onnx"
    return Onnx(**arguments)


def test_an_export_says_what_it_is_and_is_proven_again(source, exported):
    manifest = read_manifest(exported)
    model = Splade(source, **MODEL)
    assert manifest["model"]["fingerprint"] == model.fingerprint()
    assert manifest["sides"]["query"] == manifest["sides"]["document"] | {
        "difference": manifest["sides"]["query"]["difference"]
    }
    assert manifest["sides"]["document"]["difference"]["largest"] <= 1e-4
    assert set(manifest["files"]) >= {"document/model.onnx", "tokenizer.json", "proof-query.npz"}
    lines = report(check_export(exported, make))
    assert lines[0].startswith("onnx: Splade, 291 terms")
    assert "differ from the model's by" in lines[1]


def test_a_graph_that_gives_other_weights_is_found_out(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    proof = read_proof(folder, "document")
    weights = proof.rows.weights.copy()
    weights[3] += 3e-4 * max(1, weights.max())
    write_proof(proof._replace(rows=proof.rows._replace(weights=weights)), folder, "document")
    with pytest.raises(InputError, match="gives other weights than the model"):
        Onnx().check(folder, read_manifest(folder))


def test_a_tokenizer_that_reads_otherwise_is_found_out(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    told = json.loads((folder / "tokenizer.json").read_text())
    told["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="becomes the tokens"):
        Onnx().check(folder, read_manifest(folder))


def test_a_file_that_was_changed_is_named(exported, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    with (folder / "document" / "model.onnx").open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(InputError, match=r"model\.onnx: \d+ bytes"):
        check_export(folder, make)


def test_an_export_that_fails_its_proof_leaves_what_was_there(source, exported, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    monkeypatch.setattr(target, "measured", lambda *a, **k: Difference(0.1, 0.1, 1.0, 1.0))
    for place in (folder, tmp_path / "new"):
        with pytest.raises(InputError, match="It is not to be used"):
            export_model(Onnx(), "onnx", {}, Splade(source, **MODEL), [], place)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    monkeypatch.undo()
    check_export(folder, make)


def test_a_folder_of_something_else_is_not_replaced(source, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an export"):
        export_model(Onnx(), "onnx", {}, Splade(source), [], tmp_path)
    assert not is_onnx(tmp_path)


def test_the_change_by_8_bits_is_measured_kept_and_held(source, tmp_path):
    manifest = export_model(Onnx(int8=True), "onnx", {"int8": True}, Splade(source, **MODEL), [], tmp_path / "model")
    told = manifest["sides"]["document"]
    assert told["precision"] == "int8"
    assert 0 < told["int8"]["share"] < 0.2
    assert told["int8"]["cosine"] > 0.9
    assert any("of the terms are the same" in line for line in report(manifest))
    check_export(tmp_path / "model", make)
    told["int8"]["share"] = 0.0
    with pytest.raises(InputError, match="in 8 bits this processor"):
        Onnx(int8=True).check(tmp_path / "model", manifest)


def test_queries_that_are_looked_up_have_a_table_and_no_graph(source, tmp_path):
    export_model(Onnx(), "onnx", {}, SpladeTable(source, max_length=24), [], tmp_path / "model")
    assert sorted(path.parent.name for path in tmp_path.rglob("*.onnx")) == ["document"]
    assert OnnxModel(tmp_path / "model").side("query")["table"] == "query.safetensors"
    check_export(tmp_path / "model", make)


def test_a_proof_comes_back_as_it_was_written(exported, tmp_path):
    proof = read_proof(exported, "query")
    write_proof(proof, tmp_path, "query")
    again = read_proof(tmp_path, "query")
    assert again.texts == proof.texts
    np.testing.assert_array_equal(again.rows.columns, proof.rows.columns)
    assert len(proof.tokens.ids) > len(proof.texts)
