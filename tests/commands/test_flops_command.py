"""``flops``: from an index and encoded queries to one number."""

import json

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.sparse import csr_matrix

from splade import flops as command
from splade.files import InputError
from splade.indexing import InvertedIndex
from tests.commands.fakes import FakeEncoder, FakeModel

# Documents with each of the five terms: 2, 0, 1, 0, 4 of 4; the last term of the vocabulary counts too.
DOCUMENTS = np.array([[1, 0, 0, 0, 1], [2, 0, 3, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]], np.float32)


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "model_from", lambda cfg: FakeModel())
    monkeypatch.setattr(command, "encoder_from", lambda cfg, model, side: {"query": FakeEncoder()}[side])
    InvertedIndex.from_csr(csr_matrix(DOCUMENTS), list("abcd"), fingerprint="f" * 32).save(tmp_path / "index")
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "raw.tsv").write_text("q1\tcat cat dog\nq2\tbird fish\nq3\tcat\nq4\tnothing\n")
    return OmegaConf.create(
        {
            "flops": {"queries": str(tmp_path / "queries")},
            "index": {"dir": str(tmp_path / "index")},
            "search": {"force": False},
            "retrieve": {"out_dir": str(tmp_path / "out")},
        }
    )


def test_flops_sums_products_of_frequencies_over_the_whole_vocabulary(cfg, tmp_path):
    # cat 2/4 · 2/4, dog 1/4 · 0, fish 1/4 · 1/4, bird 1/4 · 4/4
    expected = 0.25 + 0 + 0.0625 + 0.25
    assert command.flops(cfg) == pytest.approx(expected)
    assert json.loads((tmp_path / "out" / "flops.json").read_text()) == {"flops": pytest.approx(expected)}


def test_queries_count_with_the_terms_that_a_search_keeps(cfg):
    cfg.search.prune_top_terms = 1
    # of each query its heaviest term: cat (twice, and once) in 2 of 4, and of bird and fish, which are level, fish
    assert command.flops(cfg) == pytest.approx(2 / 4 * 2 / 4 + 1 / 4 * 1 / 4)


def test_an_index_of_another_encoder_is_refused_unless_forced(cfg, tmp_path):
    InvertedIndex.from_csr(csr_matrix(DOCUMENTS), list("abcd"), fingerprint="0" * 32).save(tmp_path / "index")
    with pytest.raises(InputError, match="made by the encoder"):
        command.flops(cfg)
    cfg.search.force = True
    assert command.flops(cfg) > 0


def test_an_index_over_another_vocabulary_is_refused_even_when_forced(cfg, tmp_path):
    InvertedIndex.from_csr(csr_matrix(DOCUMENTS[:, :4]), list("abcd")).save(tmp_path / "index")
    cfg.search.force = True
    with pytest.raises(InputError, match="an index over 4 terms, a model with 5"):
        command.flops(cfg)


def test_no_flops_queries_is_an_error_that_names_the_key(cfg):
    cfg.flops.queries = None
    with pytest.raises(InputError, match=r"data\.flops_queries is not set"):
        command.flops(cfg)
