import json
import shutil

import numpy as np
import pytest

from splade.files import InputError
from splade.indexing import CorruptIndexError, InvertedIndex
from splade.indexing.format.choices import Shape
from splade.indexing.format.storage import DTYPES, HEADER
from splade.indexing.index.inverted_index import FOLDER
from splade.indexing.layout.blocked import STORED
from splade.kernels.sparse import to_dense, transpose
from splade.search import Searcher
from tests.kernels.cases import batch, random_batch
from tests.sampled import sampled

EMPTY = ("block_skips", "block_tail_blocks", "block_tail_bounds")  # in an index as small as the one here
FILES = [HEADER, *(f"{name}.bin" for name in (*DTYPES, *STORED) if name not in EMPTY)]


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    path = tmp_path_factory.mktemp("master") / "index"
    InvertedIndex.from_csr(random_batch(0, 50, 30), fingerprint="f00d", metadata={"made": "here"}).save(path)
    return path


@pytest.fixture
def stored(master, tmp_path):
    return shutil.copytree(master, tmp_path / "index")


def test_what_is_saved_is_what_is_opened(stored):
    original, opened = InvertedIndex.from_csr(random_batch(0, 50, 30)), InvertedIndex.open(stored)
    for name in DTYPES:
        assert (opened.arrays[name] == original.arrays[name]).all(), name
        assert opened.arrays[name].dtype == DTYPES[name]
    assert (opened.fingerprint, opened.metadata, opened.path) == ("f00d", {"made": "here"}, stored)
    assert (opened.n_docs, opened.vocab_size, opened.n_postings) == (50, 30, original.n_postings)
    assert list(opened.doc_ids) == [f"d{doc}" for doc in range(50)]
    assert opened.empty_docs == original.empty_docs


def test_postings_are_the_documents_transposed():
    documents = random_batch(1, 20, 8)
    postings = InvertedIndex.from_csr(documents).postings
    assert (to_dense(transpose(postings, 20), 8) == to_dense(documents.rows, 8)).all()


def test_an_opened_index_is_mapped_and_cannot_be_written(stored):
    opened = InvertedIndex.open(stored)
    assert all(not opened.arrays[name].flags.writeable for name in DTYPES)
    with pytest.raises(ValueError, match="read-only"):
        opened.postings.weights[0] = 9


def test_an_index_in_a_read_only_folder_can_be_searched(stored):
    for path in (*stored.rglob("*"), stored):
        path.chmod(0o555 if path.is_dir() else 0o444)
    found = Searcher(InvertedIndex.open(stored)).search_csr(random_batch(2, 3, 30), 4)
    expected = Searcher(InvertedIndex.from_csr(random_batch(0, 50, 30))).search_csr(random_batch(2, 3, 30), 4)
    assert (found[0] == expected[0]).all()
    for path in (stored, *stored.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_flipped_bit_anywhere_is_noticed_and_the_file_named(stored, name, place):
    file = stored / FOLDER / name
    content = bytearray(file.read_bytes())
    content[int(place * (len(content) - 2))] ^= 4
    file.write_bytes(content)
    with pytest.raises(CorruptIndexError, match=str(file)):
        InvertedIndex.open(stored)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [0, -1, 1])
def test_a_file_cut_short_or_grown_is_noticed_even_without_checksums(stored, name, size):
    file = stored / FOLDER / name
    content = file.read_bytes()
    file.write_bytes((content + b"!") if size > 0 else content[: size * 7])
    with pytest.raises(CorruptIndexError, match=str(file)):
        InvertedIndex.open(stored, verify=False)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(stored, name):
    (stored / FOLDER / name).unlink()
    with pytest.raises(CorruptIndexError, match=f"{name}: this file is missing"):
        InvertedIndex.open(stored)


def test_a_change_in_a_later_piece_of_a_file_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("splade.indexing.format.storage.PIECE", 64)
    path = tmp_path / "index"
    InvertedIndex.from_csr(random_batch(0, 50, 30)).save(path)
    file = path / FOLDER / "block_local.bin"
    content = bytearray(file.read_bytes())
    assert len(json.loads((path / FOLDER / HEADER).read_text())["arrays"]["block_local"]["crc32"]) == -(
        -len(content) // 64
    )
    content[200] ^= 1
    file.write_bytes(content)
    with pytest.raises(CorruptIndexError, match="from byte 192"):
        InvertedIndex.open(path)


def test_a_newer_format_is_refused_in_words(stored):
    header = stored / FOLDER / HEADER
    header.write_text(json.dumps(json.loads(header.read_text()) | {"format_version": 99}))
    with pytest.raises(CorruptIndexError, match="index format 99, but this version of splade reads format 1"):
        InvertedIndex.open(stored)


def test_some_other_json_is_not_taken_for_a_header(stored):
    (stored / FOLDER / HEADER).write_text("[]")
    with pytest.raises(CorruptIndexError, match="not the header of a splade index"):
        InvertedIndex.open(stored)


def test_files_of_two_indexes_are_not_mixed_up(stored, tmp_path):
    InvertedIndex.from_csr(random_batch(99, 50, 30)).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / FOLDER / "id_text.bin", stored / FOLDER)  # the same ids: still sound
    InvertedIndex.open(stored)
    shutil.copy(tmp_path / "other" / FOLDER / "offsets.bin", stored / FOLDER)
    with pytest.raises(CorruptIndexError, match=r"offsets\.bin"):
        InvertedIndex.open(stored)


def test_where_there_is_no_index_the_way_to_one_is_told(tmp_path):
    with pytest.raises(InputError, match=r"no index here\. Build one with python -m splade\.index"):
        InvertedIndex.open(tmp_path / "nowhere")


def test_saving_replaces_the_index_and_leaves_other_files_alone(stored):
    (stored / "notes.txt").write_text("keep")
    InvertedIndex.from_csr(batch([[1.0]])).save(stored)
    assert InvertedIndex.open(stored).n_docs == 1
    assert sorted(path.name for path in stored.iterdir()) == [FOLDER, "notes.txt"]


def test_an_open_index_survives_its_replacement(stored):
    opened = InvertedIndex.open(stored)
    expected = opened.postings.weights.copy()
    InvertedIndex.from_csr(batch([[1.0]])).save(stored)
    assert (opened.postings.weights == expected).all()


def test_a_disk_that_fills_up_leaves_the_old_index(stored, monkeypatch, full_disk):
    full_disk(after=3000)
    with pytest.raises(InputError, match="the disk is full"):
        InvertedIndex.from_csr(random_batch(3, 500, 30)).save(stored)
    assert InvertedIndex.open(stored).n_docs == 50
    assert [path.name for path in stored.iterdir()] == [FOLDER]


def test_equal_contents_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        InvertedIndex.from_csr(random_batch(0, 50, 30), metadata={"b": 1, "a": [2]}).save(tmp_path / name)
    for file in FILES:
        assert (tmp_path / "one" / FOLDER / file).read_bytes() == (tmp_path / "two" / FOLDER / file).read_bytes()


def test_arrays_that_this_version_does_not_know_are_kept(tmp_path):
    index = InvertedIndex.from_csr(random_batch(0, 50, 30))
    index.arrays["bounds"] = np.arange(5, dtype=np.uint8)
    index.save(tmp_path / "index")
    opened = InvertedIndex.open(tmp_path / "index")
    assert opened.arrays["bounds"].tolist() == [0, 1, 2, 3, 4]
    assert Searcher(opened).search_csr(random_batch(2, 3, 30), 4)[0].shape == (3, 4)


def test_an_index_without_postings_can_be_stored(tmp_path):
    InvertedIndex.from_csr(batch(np.zeros((3, 4)))).save(tmp_path / "index")
    assert InvertedIndex.open(tmp_path / "index").empty_docs == 3


def test_ids_must_match_the_rows_and_be_unique():
    with pytest.raises(InputError, match="2 document ids for 1 rows"):
        InvertedIndex.from_csr(batch([[1.0]]), ["a", "b"])
    with pytest.raises(InputError, match="'a' occurs twice"):
        InvertedIndex.from_csr(batch([[1.0], [2.0]]), ["a", "a"])


def test_metadata_that_json_cannot_hold_is_refused():
    for metadata in ({"x": {1, 2}}, {"x": float("nan")}):
        with pytest.raises(ValueError, match="index metadata"):
            InvertedIndex.from_csr(batch([[1.0]]), metadata=metadata)


def test_bare_rows_do_not_make_an_index():
    with pytest.raises(TypeError, match="size of the vocabulary"):
        InvertedIndex.from_csr(batch([[1.0]]).rows)


def test_vectors_are_read_back_in_the_order_asked():
    documents = random_batch(2, 900, 30)
    index = InvertedIndex.from_csr(documents, cluster=True, shape=Shape(8, 6))
    docs = [7, 899, 0, 7, 450]
    assert (to_dense(index.vectors(docs), 30) == to_dense(documents.rows, 30)[docs]).all()
    assert len(index.vectors([]).offsets) == 1
    with pytest.raises(IndexError, match=r"in \[0, 900\), got 3 to 900"):
        index.vectors([3, 900])


@pytest.mark.parametrize(
    ("weights", "most"), sampled([("float32", 8), ("float16", 6), ("uint8", 5)], ("float32", 8), ("uint8", 5))
)
def test_an_index_takes_no_more_than_eight_bytes_a_posting(tmp_path, weights, most):
    documents = random_batch(4, 20000, 500, 0.2)
    InvertedIndex.from_csr(documents, weights=weights).save(tmp_path / "index")
    size = sum(file.stat().st_size for file in (tmp_path / "index" / FOLDER).iterdir())
    assert size < most * len(documents.rows.columns)
