"""A tiny model exported once for all tests of this folder."""

from pathlib import Path

import pytest

from splade.exporting.models import export_model
from splade.models import Splade
from splade.onnx.target import Onnx
from tests.tiny import tiny_mlm

pytest.importorskip("onnxruntime")

MODEL = {"max_length": 24, "max_length_q": 12}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny masked language model."""
    return tiny_mlm(tmp_path_factory.mktemp("source") / "model")


@pytest.fixture(scope="session")
def exported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its export; not to be changed."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    export_model(Onnx(), "onnx", {"int8": False}, Splade(source, **MODEL), [], folder)
    return folder
