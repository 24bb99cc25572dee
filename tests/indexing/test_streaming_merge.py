"""One index of the shards of many processes: made in memory that does not grow with them."""

import gc
import weakref

import pytest

from splade.data.vectors import vectors as reading
from splade.data.vectors.shards import Shard
from splade.data.vectors.vectors import open_vectors
from splade.encoding.shards import ShardWriter
from splade.engines.inverted import Inverted
from splade.files import InputError
from splade.indexing import IndexBuilder, InvertedIndex
from splade.indexing.layout import blocked
from splade.kernels.sparse import concatenate
from splade.records import SparseBatch
from splade.workflow.given_vectors import given_documents
from tests.kernels.cases import random_batch

WIDTH, PIECE = 300, 100
TERMS = [f"t{term}" for term in range(WIDTH)]
HALF_MIB = 1 << 19


def pieces(shard, n_pieces):
    first = (shard - 1) * n_pieces * PIECE
    return [random_batch(shard * 100 + n, PIECE, WIDTH, first=first + n * PIECE) for n in range(n_pieces)]


def encoded(folder, n_shards, n_pieces=4):
    """Shards as so many processes leave them; all vectors in order."""
    held = []
    for number in range(n_shards, 0, -1):
        about = {"fingerprint": "f" * 32, "vocab_size": WIDTH}
        writer = ShardWriter(folder, Shard(number, n_shards), about, TERMS)
        for batch in pieces(number, n_pieces):
            writer.add(batch)
        writer.finish()
        held = [*pieces(number, n_pieces), *held]
    return SparseBatch(
        tuple(id for batch in held for id in batch.ids), concatenate([batch.rows for batch in held]), WIDTH
    )


class Watched:
    """The most pieces and batches that are alive at once, and the most bytes that wait in the builder."""

    def __init__(self, monkeypatch):
        self.alive, self.most, self.waiting = {"pieces": 0, "batches": 0}, {"pieces": 0, "batches": 0}, 0
        matrix, add = reading.MatrixFile, IndexBuilder.add

        def opened(*arguments):
            return self.count("pieces", matrix(*arguments))

        def added(builder, batch):
            add(builder, batch)
            self.waiting = max(self.waiting, sum(each.n_bytes for each in builder._open[-1:]))

        monkeypatch.setattr(reading, "MatrixFile", opened)
        monkeypatch.setattr(IndexBuilder, "add", added)

    def count(self, what, thing, owner=None):
        """``thing``, counted until it, or its ``owner``, is forgotten."""
        self.alive[what] += 1
        self.most[what] = max(self.most[what], self.alive[what])
        weakref.finalize(thing if owner is None else owner, self._gone, what)
        return thing

    def _gone(self, what):
        self.alive[what] -= 1

    def batches(self, documents):
        def read(start):
            for batch in documents.batches(start):
                yield self.count("batches", batch, batch.rows.weights)

        return documents._replace(batches=read)


@pytest.mark.parametrize("n_shards", [2, 8])
def test_a_merge_holds_a_piece_and_a_segment_however_many_shards_there_are(tmp_path, monkeypatch, n_shards):
    vectors = encoded(tmp_path / "shards", n_shards)
    size = sum(array.nbytes for array in vectors.rows)
    assert (size > 3 * HALF_MIB) is (n_shards == 8)  # more than may wait at once
    gc.collect()
    watched = Watched(monkeypatch)
    documents = watched.batches(given_documents(open_vectors(tmp_path / "shards")))
    opened = Inverted(tmp_path / "index", memory_mb=1).build(documents)
    assert watched.most["pieces"] <= 2  # the one that is read, and the one before it while it is replaced
    assert watched.most["batches"] <= 2
    assert watched.waiting < HALF_MIB
    assert opened.index.n_docs == len(vectors.ids) == n_shards * 4 * PIECE
    at_once = InvertedIndex.from_csr(vectors)
    assert list(opened.index.doc_ids) == list(at_once.doc_ids)
    for name, array in at_once.arrays.items():
        assert opened.index.arrays[name].tobytes() == array.tobytes(), name


def test_postings_that_no_index_can_number_are_refused_and_nothing_is_written(tmp_path, monkeypatch):
    encoded(tmp_path / "shards", 2)
    monkeypatch.setattr(blocked, "MOST_SLOTS", 1000)
    with pytest.raises(InputError, match=r"more than 1000 slots of skip tables.*make several indexes.*splade\.plan"):
        Inverted(tmp_path / "index").build(given_documents(open_vectors(tmp_path / "shards")))
    assert not Inverted(tmp_path / "index").exists()
