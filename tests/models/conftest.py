"""Tiny model folders, made once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import tiny_encoder, tiny_mlm


@pytest.fixture(scope="session")
def mlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT masked language model."""
    return tiny_mlm(tmp_path_factory.mktemp("mlm"))


@pytest.fixture(scope="session")
def other_mlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second one with other weights and another hidden width over the same vocabulary."""
    return tiny_mlm(tmp_path_factory.mktemp("other-mlm"), hidden=16, layers=1, seed=7)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT without a head."""
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def json_file(tmp_path: Path) -> Callable[[Any], Path]:
    """Writes a value as JSON and returns the file."""

    def write(value: Any) -> Path:
        path = tmp_path / "value.json"
        path.write_text(json.dumps(value))
        return path

    return write
