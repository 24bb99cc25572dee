"""``utils.index_figure``: posting-list sizes from the statistics or from the index."""

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.sparse import csr_matrix

from splade.files import InputError, write_json
from splade.indexing import InvertedIndex
from splade.utils.index_figure import index_figure, stored_counts

DOCUMENTS = np.array([[1, 0, 2], [1, 0, 0]], np.float32)


@pytest.fixture
def cfg(tmp_path):
    InvertedIndex.from_csr(csr_matrix(DOCUMENTS), ["a", "b"]).save(tmp_path / "index")
    return OmegaConf.create({"index": {"dir": str(tmp_path / "index")}})


def test_the_figure_is_drawn_beside_the_index(cfg):
    path = index_figure(cfg)
    assert path.name == "index_dist.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert InvertedIndex.open(cfg.index.dir).n_docs == 2  # and the index is as whole as before


def test_sizes_come_from_the_index_where_there_are_no_statistics(cfg):
    assert stored_counts(cfg.index.dir).tolist() == [2, 0, 1]


def test_sizes_come_from_the_statistics_where_they_are_there(tmp_path):
    write_json(tmp_path / "index_dist.json", {"4": 3, "0": 7})
    assert stored_counts(tmp_path).tolist() == [7, 0, 0, 0, 3]


@pytest.mark.parametrize("content", [{"cat": 1}, {"-1": 2}, {"1": -2}, [1, 2]])
def test_statistics_of_another_form_are_refused(tmp_path, content):
    write_json(tmp_path / "index_dist.json", content)
    with pytest.raises(InputError, match=r"index_dist\.json"):
        stored_counts(tmp_path)


def test_no_index_at_all_is_an_error(tmp_path):
    with pytest.raises(InputError):
        index_figure(OmegaConf.create({"index": {"dir": str(tmp_path / "nothing")}}))
