"""Shards of vectors: which documents are in which, and when they are one collection."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.data.vectors.shards import Shard
from splade.data.vectors.vectors import open_vectors
from splade.encoding.shards import ShardWriter
from splade.files import InputError
from tests.kernels.cases import random_batch

TERMS = [f"t{term}" for term in range(30)]
ABOUT = {"fingerprint": "f" * 32, "vocab_size": 30, "collection_docs": 50}


def write(folder, shard, about=ABOUT, n_docs=50):
    numbers = shard.range_of(n_docs)
    writer = ShardWriter(folder, shard, about, TERMS)
    for first in range(numbers.start, numbers.stop, 7):
        size = min(7, numbers.stop - first)
        writer.add(random_batch(first, size, 30, first=first))
    writer.finish()
    return writer.path


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path, Shard(number, 3))
    return tmp_path


def refusal(folder):
    with pytest.raises(InputError) as caught:
        list(open_vectors(folder).batches())
    return str(caught.value)


@given(st.integers(1, 40), st.integers(0, 1000))
def test_shards_share_out_every_document_once_and_evenly(of, n_docs):
    ranges = [Shard(number, of).range_of(n_docs) for number in range(1, of + 1)]
    assert [doc for part in ranges for doc in part] == list(range(n_docs))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 200))
def test_the_parts_of_a_shard_hold_its_documents_but_for_the_rounding(of, parts, n_docs):
    inner = [Shard(part, parts).within(Shard(of, of)) for part in range(1, parts + 1)]
    assert inner[-1] == Shard(of * parts, of * parts)
    assert [shard.number for shard in inner] == list(range((of - 1) * parts + 1, of * parts + 1))
    assert inner[0].range_of(n_docs).start == Shard(of, of).range_of(n_docs).start


@pytest.mark.parametrize("text", ["0/8", "9/8", "1", "1/0", "a/b", "-1/2", "1/2/3", ""])
def test_a_shard_is_a_number_of_how_many(text):
    with pytest.raises(InputError, match=r"config.shard=.*counted from 1"):
        Shard.parse(text)


def test_shards_are_read_as_one_collection_in_its_order(folder):
    batches = list(open_vectors(folder).batches())
    assert [id for batch in batches for id in batch.ids] == [f"d{doc}" for doc in range(50)]
    assert {batch.vocab_size for batch in batches} == {30}
    later = list(open_vectors(folder).batches(start=20))
    assert [id for batch in later for id in batch.ids] == [f"d{doc}" for doc in range(20, 50)]
    assert open_vectors(folder).encoded.about == ABOUT
    assert open_vectors(folder).encoded.terms() == TERMS


def test_missing_shards_are_named(folder):
    shutil.rmtree(folder / "shard-00002-of-00003")
    assert "shards are missing: 2/3." in refusal(folder)


def test_shards_that_are_only_begun_are_no_vectors(tmp_path):
    ShardWriter(tmp_path, Shard(1, 2), ABOUT, TERMS)
    assert "no shard is whole yet" in refusal(tmp_path)


def test_shards_of_two_ways_of_cutting_are_refused(folder):
    write(folder, Shard(1, 4))
    assert "cut differently (of 3, of 4)" in refusal(folder)


def test_shards_of_two_models_are_refused(folder):
    shutil.rmtree(folder / "shard-00003-of-00003")
    write(folder, Shard(3, 3), ABOUT | {"fingerprint": "0" * 32})
    assert "shard-00003-of-00003: other fingerprint" in refusal(folder)


def test_a_renamed_shard_is_noticed(folder):
    shutil.rmtree(folder / "shard-00001-of-00003")
    shutil.copytree(folder / "shard-00002-of-00003", folder / "shard-00001-of-00003")
    assert "that of shard-00002-of-00003" in refusal(folder)


@pytest.mark.parametrize("name", ["0000000007.npz", "about.json"])
def test_a_changed_byte_is_noticed_and_named(folder, name):
    path = folder / "shard-00002-of-00003" / name
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)
    assert f"{path}: " in refusal(folder)
    assert "found. Copy it again from its source, or remove" in refusal(folder)


def test_a_missing_piece_is_named(folder):
    path = folder / "shard-00002-of-00003" / "0000000007.npz"
    path.unlink()
    assert f"{path}: this file is missing" in refusal(folder)


def test_a_changed_or_newer_manifest_is_refused(folder):
    path = folder / "shard-00001-of-00003" / "shard.json"
    stated = json.loads(path.read_text())
    path.write_text(json.dumps(stated | {"n_docs": 3}))
    assert "changed after it was written" in refusal(folder)
    path.write_text(json.dumps(stated | {"format_version": 9}))
    assert "format 9" in refusal(folder)
    path.write_text("{}")
    assert "not a shard of vectors" in refusal(folder)
