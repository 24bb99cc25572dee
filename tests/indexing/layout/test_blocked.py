import numpy as np
import pytest

from splade.files import InputError
from splade.indexing import IndexBuilder, InvertedIndex
from splade.indexing.format.choices import Shape
from splade.indexing.format.weights import codec_for
from splade.kernels.sparse import to_dense, transpose
from tests.kernels.cases import batch, random_batch
from tests.sampled import sampled

SHAPE = Shape(range_bits=8, block_bits=6)


def weights_by_document(blocks, vocab_size):
    """The documents as a dense matrix, read back from the layout posting by posting."""
    dense = np.zeros((blocks.n_docs, vocab_size), np.float32)
    width = int(blocks.n_ranges) + 1
    runs = blocks.runs.reshape(vocab_size, width, 2)
    for term in range(vocab_size):
        for r in range(width - 1):
            for p in range(runs[term, r, 0], runs[term, r + 1, 0]):
                place = blocks.offsets[term] + p
                position = (r << int(blocks.range_bits)) + int(blocks.local[place])
                dense[blocks.order[position], term] = blocks.impacts[place]
    return dense


def bounds_by_block(blocks, vocab_size):
    """The bounds as a dense matrix [V, n_blocks], head and tail together."""
    dense = np.zeros((vocab_size, blocks.n_blocks), np.float32)
    for term in range(vocab_size):
        if blocks.head_rows[term] >= 0:
            dense[term] = blocks.head[blocks.head_rows[term], : blocks.n_blocks]
        for p in range(blocks.tail_offsets[term], blocks.tail_offsets[term + 1]):
            dense[term, blocks.tail_blocks[p]] = blocks.tail_bounds[p]
    return dense * blocks.steps[:, None]


@pytest.mark.parametrize("density", [0.02, 0.3])
@pytest.mark.parametrize("cluster", [False, True])
def test_the_layout_holds_every_posting(density, cluster):
    documents = random_batch(0, 900, 20, density)
    index = InvertedIndex.from_csr(documents, cluster=cluster, shape=SHAPE)
    assert sorted(index.blocks.order.tolist()) == list(range(900))
    np.testing.assert_array_equal(weights_by_document(index.blocks, 20), to_dense(documents.rows, 20))


@pytest.mark.parametrize("density", [0.02, 0.3])
def test_bounds_are_never_below_the_largest_weight_and_hardly_above(density):
    documents = random_batch(1, 900, 20, density)
    index = InvertedIndex.from_csr(documents, cluster=True, shape=SHAPE)
    blocks = index.blocks
    dense = np.zeros((int(blocks.n_blocks) * 64, 20), np.float32)
    dense[:900] = to_dense(documents.rows, 20)[blocks.order]
    largest = dense.reshape(-1, 64, 20).max(1).T
    bounds = bounds_by_block(blocks, 20)
    assert (bounds >= largest).all()
    assert (bounds <= largest + blocks.steps[:, None] * 1.001).all()
    assert ((bounds > 0) == (largest > 0)).all()
    assert (blocks.head_rows >= 0).any()


def test_similar_documents_become_neighbours():
    rng = np.random.default_rng(2)
    topic = rng.integers(0, 8, 2000)
    matrix = np.where(np.arange(40) // 5 == topic[:, None], rng.random((2000, 40)), 0).astype(np.float32)
    order = InvertedIndex.from_csr(batch(matrix), cluster=True).blocks.order
    changes = np.count_nonzero(np.diff(topic[order]))
    assert changes < 400  # of 1999; in the order given about 1750


def test_the_layout_does_not_depend_on_threads(monkeypatch):
    documents = random_batch(3, 3000, 40)
    monkeypatch.setattr("splade.indexing.layout.blocked.MOST_POSTINGS", 2000)
    monkeypatch.setattr("splade.indexing.layout.sources.CHUNK", 700)
    one = InvertedIndex.from_csr(documents, cluster=True, n_threads=1).arrays
    many = InvertedIndex.from_csr(documents, cluster=True, n_threads=5).arrays
    monkeypatch.undo()
    whole = InvertedIndex.from_csr(documents, cluster=True, n_threads=2).arrays
    for name in one:
        np.testing.assert_array_equal(one[name], many[name], err_msg=name)
        np.testing.assert_array_equal(one[name], whole[name], err_msg=name)


def test_another_seed_gives_another_order():
    documents = random_batch(4, 3000, 40)
    orders = [InvertedIndex.from_csr(documents, cluster=True, seed=seed).blocks.order for seed in (0, 1)]
    assert (orders[0] != orders[1]).any()


@pytest.mark.parametrize("weights", ["float32", pytest.param("uint8", marks=pytest.mark.slow)])
def test_a_built_index_has_the_bytes_of_one_made_in_memory(weights, tmp_path):
    parts = [random_batch(seed, 300, 30, first=300 * seed) for seed in range(3)]
    builder = IndexBuilder(tmp_path / "built", 30, cluster=True, weights=weights)
    for part in parts:
        builder.add(part)
        builder.checkpoint()
    built = builder.finish()
    everything = np.concatenate([to_dense(part.rows, 30) for part in parts])
    direct = InvertedIndex.from_csr(batch(everything), cluster=True, weights=weights)
    assert built.codec == direct.codec
    for name, array in direct.arrays.items():
        np.testing.assert_array_equal(built.arrays[name], array, err_msg=name)


@pytest.mark.parametrize("name", ["float32", "float16", "uint8"])
def test_weights_kept_once_are_kept_unchanged_again(name):
    weights = np.random.default_rng(7).gamma(1, 1, 5000).astype(np.float32)
    codec = codec_for(name, float(weights.max()))
    kept = codec.keep(weights)
    np.testing.assert_array_equal(codec.keep(kept), kept)
    assert (kept > 0).all()
    assert np.abs(kept - weights).max() <= {"float32": 0, "float16": 0.004, "uint8": weights.max() / 254}[name]


@pytest.mark.parametrize(
    ("name", "n_bytes"), sampled([("float32", 4), ("float16", 2), ("uint8", 1)], ("float32", 4), ("uint8", 1))
)
def test_postings_tell_the_weights_that_are_kept(name, n_bytes, tmp_path):
    documents = random_batch(8, 200, 30)
    index = InvertedIndex.from_csr(documents, weights=name)
    index.save(tmp_path / "index")
    opened = InvertedIndex.open(tmp_path / "index")
    assert opened.codec == index.codec
    assert opened.blocks.impacts.nbytes == n_bytes * opened.n_postings
    kept = index.codec.keep(documents.rows.weights)
    np.testing.assert_array_equal(transpose(opened.postings, 200).weights, kept)


@pytest.mark.parametrize("name", sampled(["uint8", "float16"]))
def test_tiny_weights_are_kept_above_zero(name):
    index = InvertedIndex.from_csr(batch([[1e-30, 5.0]]), weights=name)
    assert (index.postings.weights > 0).all()


def test_weights_that_cannot_be_kept_are_named():
    with pytest.raises(InputError, match=r"weight 70000\.0 cannot be kept as float16"):
        InvertedIndex.from_csr(batch([[70000.0]]), weights="float16")
    with pytest.raises(ValueError, match="float32, float16 or uint8, got 'int4'"):
        InvertedIndex.from_csr(batch([[1.0]]), weights="int4")
