"""A list of documents to delete that a Windows editor saved: the first id is one as well."""

import gzip

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from splade.indexing import InvertedIndex


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_document_of_a_list_with_a_byte_order_mark_is_deleted(splade, tmp_path, pack):
    InvertedIndex.from_csr(csr_matrix(np.eye(3, dtype=np.float32)), ["d1", "d2", "d3"]).save(tmp_path / "index")
    (tmp_path / "gone.txt").write_bytes(pack("\ufeffd1\r\nd3\r\n".encode()))
    splade("update", "config.index_dir=index", "data.DELETE_PATH=gone.txt", cwd=tmp_path)
    index = InvertedIndex.open(tmp_path / "index")
    assert index.doc_ids.numbers(["d1", "d2", "d3"]).tolist() == [-1, 1, -1]
