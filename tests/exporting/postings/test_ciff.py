"""CIFF files against one worked by hand, and against dense matrices."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.exporting.postings.ciff import Ciff
from splade.exporting.postings.ciff_reading import CiffReader
from splade.exporting.postings.ciff_writing import write_ciff
from splade.exporting.postings.transposed import Postings
from splade.files import InputError
from splade.indexing import InvertedIndex
from tests.exporting.vectors import batch_of, matrix, observed, written

WORDS = ["sea", "cat", "ü"]  # in the order of their bytes: cat, sea, ü
DOCUMENTS = batch_of([[3, 0, 0], [0, 0, 0], [1, 200, 7]], ids=["d0", "é", "d2"])
GOLDEN = (
    # Header: version 1, 3 lists, 3 documents, 3 lists, 3 documents, 211 terms, 211 / 3 as a double, and a description
    "1f 08 01 10 03 18 03 20 03 28 03 30 d3 01 39 55 55 55 55 55 95 51 40 42 07 62 79 20 68 61 6e 64",
    # "cat": df 1, cf 200, one posting: document 2, impact 200
    "11 0a 03 63 61 74 10 01 18 c8 01 22 05 08 02 10 c8 01",
    # "sea": df 2, cf 4, documents 0 (not written) and 2 more, impacts 3 and 1
    "13 0a 03 73 65 61 10 02 18 04 22 02 10 03 22 04 08 02 10 01",
    # "ü": df 1, cf 7, document 2, impact 7
    "0e 0a 02 c3 bc 10 01 18 07 22 04 08 02 10 07",
    # documents 0 (not written), 1 of no length (not written), and 2 of length 208
    "06 12 02 64 30 18 03",
    "06 08 01 12 02 c3 a9",
    "09 08 02 12 02 64 32 18 d0 01",
)


def ciff_of(batch, words, path, description="by hand"):
    lengths = np.diff(np.concatenate([[0], np.cumsum(batch.rows.weights)])[batch.rows.offsets]).astype(np.int64)
    with path.open("wb") as stream:
        write_ciff(stream, Postings(InvertedIndex.from_csr(batch, cluster=False), lengths), words, description)
    return path


def read(path):
    """Read a whole file."""
    with CiffReader(path) as reader:
        reader.header()
        list(reader.lists())
        list(reader.records())


def test_a_file_is_what_was_worked_by_hand(tmp_path):
    found = ciff_of(DOCUMENTS, WORDS, tmp_path / "docs.ciff").read_bytes()
    assert found.hex(" ") == " ".join(GOLDEN)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 6), st.sampled_from([3, 130, 20_000]))
def test_a_file_is_read_back_as_the_matrix_that_it_was_written_from(tmp_path_factory, seed, n_docs, n_terms, most):
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, most, (n_docs, n_terms)) * (rng.random((n_docs, n_terms)) < 0.6)
    words = [f"t{term}" * (1 + 40 * (term % 2)) for term in range(n_terms)]
    batch = batch_of(dense, ids=[f"{'x' * (130 * (doc % 2))}{doc}" for doc in range(n_docs)])
    path = ciff_of(batch, words, tmp_path_factory.mktemp("ciff") / "docs.ciff")
    with CiffReader(path) as reader:
        header = reader.header()
        lists = {
            word: dict(zip(docs.tolist(), impacts.tolist(), strict=True)) for word, docs, impacts in reader.lists()
        }
        assert list(reader.records()) == list(zip(batch.ids, dense.sum(1).tolist(), strict=True))
    assert header[:3] == (int((dense > 0).any(0).sum()), n_docs, int(dense.sum()))
    columns = {
        word: {doc: int(dense[doc, term]) for doc in np.flatnonzero(dense[:, term])} for term, word in enumerate(words)
    }
    assert lists == {word: column for word, column in columns.items() if column}
    with CiffReader(path) as reader:
        reader.header()
        assert reader.terms() == sorted(lists)


def test_a_list_that_is_written_in_pieces_has_the_same_bytes(tmp_path, monkeypatch):
    batch = batch_of(np.random.default_rng(0).integers(0, 3, (50, 2)) * 100)
    whole = ciff_of(batch, ["a", "b"], tmp_path / "whole.ciff").read_bytes()
    monkeypatch.setattr("splade.exporting.postings.ciff_writing.POSTINGS_AT_ONCE", 7)
    monkeypatch.setattr("splade.exporting.postings.ciff_writing.RECORDS_AT_ONCE", 3)
    assert ciff_of(batch, ["a", "b"], tmp_path / "pieces.ciff").read_bytes() == whole


@pytest.mark.parametrize("at", range(len(GOLDEN)))
def test_a_file_that_is_cut_off_is_told_with_its_name(tmp_path, at):
    octets = bytes.fromhex(" ".join(GOLDEN[: at + 1]))
    for size in (len(octets) - 1, len(bytes.fromhex(" ".join(GOLDEN[:at])))):
        path = tmp_path / "docs.ciff"
        path.write_bytes(octets[:size])
        with pytest.raises(InputError, match=r"docs.ciff: ends"):
            read(path)


@pytest.mark.parametrize(
    ("part", "right", "wrong", "told"),
    [
        (0, "08 01", "08 02", "version 2"),
        (1, "63 61 74", "74 61 74", "must be in order"),
        (2, "18 04", "18 05", r"df and cf \[2, 5\]"),
        (2, "08 02 10 01", "08 03 10 01", "increasing documents"),
        (2, "04 22 02 10 03 22 04 08 02 10 01", "03 22 02 10 03 22 04 08 02 10 00", "impacts of at least 1"),
        (2, "10 03 22", "10 03 2a", "no postings"),
        (3, "c3 bc", "c3 63", "not UTF-8"),
        (5, "08 01", "08 02", "document 2 where document 1"),
    ],
)
def test_what_an_engine_would_misread_is_told_with_the_byte(tmp_path, part, right, wrong, told):
    parts = list(GOLDEN)
    assert right in parts[part]
    parts[part] = parts[part].replace(right, wrong, 1)
    path = tmp_path / "docs.ciff"
    path.write_bytes(bytes.fromhex(" ".join(parts)))
    with pytest.raises(InputError, match=rf"docs.ciff: at byte \d+: .*{told}"):
        read(path)


def test_what_follows_the_last_document_is_refused(tmp_path):
    path = tmp_path / "docs.ciff"
    path.write_bytes(bytes.fromhex(" ".join(GOLDEN)) + b"\0")
    with pytest.raises(InputError, match="goes on after its 3 documents"):
        read(path)


def test_impacts_are_weights_times_the_factor_and_queries_are_json(tmp_path):
    documents, queries = batch_of([[1.234, 0.004, 0], [0, 0, 0]]), batch_of([[0.5, 0.004, 2]], "q")
    found, asked = written(Ciff(10, 100), tmp_path, documents, queries, WORDS)
    np.testing.assert_array_equal(found["d0"], np.float32([1.2, 0, 0]))
    np.testing.assert_array_equal(found["d1"], np.float32([0, 0, 0]))
    np.testing.assert_array_equal(asked["q0"], np.float32([0.5, 0, 2]))
    assert json.loads((tmp_path / "queries.jsonl").read_text()) == {"id": "q0", "vector": {"sea": 50, "ü": 200}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs.ciff", "queries.jsonl"]


def test_bits_give_the_largest_weight_the_largest_number(tmp_path):
    target = Ciff(bits=8)
    written(target, tmp_path, batch_of([[2.5, 1.25, 0.1]]), batch_of([[1.0]]), WORDS)
    with CiffReader(tmp_path / "docs.ciff") as reader:
        reader.header()
        assert {word: impacts.tolist() for word, _, impacts in reader.lists()} == {
            "sea": [255],
            "cat": [128],
            "ü": [10],
        }


def test_a_packed_file_holds_the_same(tmp_path):
    documents = batch_of([[1, 0, 2], [0, 3, 0]])
    for target, folder in ((Ciff(), tmp_path / "plain"), (Ciff(gzip=True), tmp_path / "packed")):
        target.prepare(observed(documents))
        target.write_documents(folder, [(documents, ["", ""])], WORDS)
    packed = (tmp_path / "packed/docs.ciff.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "plain/docs.ciff").read_bytes()
    assert matrix(Ciff(gzip=True).read_documents(tmp_path / "packed", WORDS)).keys() == {"d0", "d1"}


@pytest.mark.parametrize(
    ("arguments", "largest", "told"),
    [
        ({"bits": 0}, 1, "export.bits=0: expected null, or a whole number from 1 to 24"),
        ({"bits": 8, "quantization_factor_document": 100}, 3, r"becomes 300 .* at most 255 fits into 8 bits"),
        ({}, 1e6, "fits into 24 bits"),
        ({"quantization_factor_document": 0}, 1, "quantization_factor_document=0: expected a number above 0"),
    ],
)
def test_impacts_that_do_not_fit_are_refused_before_anything_is_written(arguments, largest, told):
    with pytest.raises(InputError, match=told):
        Ciff(**arguments).prepare(observed(batch_of([[largest]])))


def test_a_word_that_no_term_has_is_refused(tmp_path):
    documents = batch_of([[1, 0, 2]])
    Ciff().write_documents(tmp_path, [(documents, [""])], WORDS)
    with pytest.raises(InputError, match=r"'ü' is no word of terms.txt"):
        list(Ciff().read_documents(tmp_path, ["sea", "cat", "u"]))
