"""Tiny model folders, made once."""

from pathlib import Path

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
