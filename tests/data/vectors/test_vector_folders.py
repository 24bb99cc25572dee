"""A folder of vectors: no file of it is passed over without a word."""

import numpy as np
import pytest

from splade.data.vectors.shards import Shard
from splade.data.vectors.vectors import open_vectors
from splade.encoding.shards import ShardWriter
from splade.files import InputError
from tests.data.writing import jsonl, put
from tests.kernels.cases import random_batch

VECTOR = [{"id": "a", "vector": {"sea": 1.0}}]


@pytest.mark.parametrize("name", ["b.JSONL", "b.jsonl.bz2", "b.jsonl.zst", "b.NPZ", "b.jsonl.GZ"])
@pytest.mark.parametrize("beside", [True, False])
def test_a_file_that_says_it_holds_vectors_in_a_form_that_is_not_read_is_refused(tmp_path, name, beside):
    if beside:
        jsonl(tmp_path / "a.jsonl", VECTOR)
    put(tmp_path / name, b"{}")
    with pytest.raises(InputError) as error:
        open_vectors(tmp_path)
    assert str(error.value).startswith(
        f"{tmp_path / name}: by its name this holds vectors, but they are read from .jsonl"
    )


@pytest.mark.parametrize("name", ["more.json", "more.bz2", "README.md", "b.ids.txt", "more.parquet"])
def test_another_file_is_passed_over_with_a_warning(tmp_path, name, caplog):
    jsonl(tmp_path / "a.jsonl", VECTOR)
    put(tmp_path / name, "{}")
    assert [path.name for path in open_vectors(tmp_path).files] == ["a.jsonl"]
    assert f"1 entries are passed over, as '{name}'" in caplog.text


def test_a_folder_of_vectors_and_their_ids_needs_no_word(tmp_path, caplog):
    np.savez(tmp_path / "a.npz", indptr=[0, 1], indices=[3], data=[1.0], shape=[1, 9], format=b"csr")
    put(tmp_path / "a.ids.txt", "d1\n")
    put(tmp_path / ".hidden", "")
    assert len(open_vectors(tmp_path).files) == 1
    assert not caplog.text


def test_files_of_vectors_beside_shards_are_passed_over_with_a_warning(tmp_path, caplog):
    writer = ShardWriter(
        tmp_path, Shard(1, 1), {"fingerprint": "f" * 32, "vocab_size": 30, "collection_docs": 3}, ["t"] * 30
    )
    writer.add(random_batch(0, 3, 30))
    writer.finish()
    open_vectors(tmp_path)
    assert not caplog.text
    jsonl(tmp_path / "late.jsonl", VECTOR)
    open_vectors(tmp_path)
    assert "only the shards in it are read; 1 other files of vectors are passed over, as 'late.jsonl'" in caplog.text
