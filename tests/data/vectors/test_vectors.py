"""Vectors from files: what is read, in which numbering, and what is refused at which line."""

import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.data.vectors.vectors import open_vectors
from splade.files import InputError
from splade.indexing.format.vocabulary import Vocabulary
from tests.data.writing import jsonl, put
from tests.shared import shared_data

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WEIGHTS = st.floats(0, 2.0**100, width=32) | st.integers(0, 1000)
VECTORS = st.lists(st.dictionaries(WORDS, WEIGHTS, max_size=6), min_size=1, max_size=8)
DRAWN = settings(max_examples=60, deadline=None)


def read(path, keys="auto", start=0):
    """The vectors in order as ``(id, {key: weight})``, and the terms in theirs."""
    collection = open_vectors(path, keys)
    terms = Vocabulary() if collection.keys == "tokens" else None
    found = []
    for ids, rows, width in collection.batches(terms, start):
        assert len(rows.offsets) == len(ids) + 1
        assert (rows.columns < width).all()
        for i, id in enumerate(ids):
            span = slice(rows.offsets[i], rows.offsets[i + 1])
            assert (np.diff(rows.columns[span]) > 0).all()
            names = [terms[c] if terms is not None else str(c) for c in rows.columns[span].tolist()]
            found.append((id, dict(zip(names, rows.weights[span].tolist(), strict=True))))
    return found, list(terms or [])


def refusal(path, keys="auto"):
    with pytest.raises(InputError) as caught:
        read(path, keys)
    return str(caught.value).replace(f"{path}:", f"{Path(path).name}:")


def test_tokens_are_numbered_in_the_order_they_come(tmp_path):
    path = jsonl(
        tmp_path / "v.jsonl",
        [
            {"id": "d1", "contents": "a text", "vector": {"sea": 1.5, "the": 2, "sun": 0}},
            {"vector": {}, "id": 7},
            {"id": "Ünï", "vector": {"the": 0.25, "##ing": 3}, "other": {"id": [1]}},
        ],
    )
    vectors, terms = read(path)
    assert vectors == [("d1", {"sea": 1.5, "the": 2.0}), ("7", {}), ("Ünï", {"the": 0.25, "##ing": 3.0})]
    assert terms == ["sea", "the", "sun", "##ing"]


def test_whole_numbers_as_keys_are_term_ids(tmp_path):
    records = [
        {"id": "a", "vector": {}},
        {"id": "b", "vector": {"30521": 1.0, "0": 2.0}},
        {"id": "c", "vector": {"3": 1}},
    ]
    path = jsonl(tmp_path / "v.jsonl", records)
    batch = next(open_vectors(path).batches())
    assert open_vectors(path).keys == "ids"
    assert batch.vocab_size == 30522
    assert batch.rows.columns.tolist() == [0, 30521, 3]
    assert batch.rows.weights.tolist() == [2.0, 1.0, 1.0]
    assert read(path, "tokens")[1] == ["30521", "0", "3"]


def test_keys_like_007_are_tokens(tmp_path):
    assert open_vectors(jsonl(tmp_path / "v.jsonl", [{"id": "a", "vector": {"1": 1, "007": 1}}])).keys == "tokens"


@DRAWN
@given(vectors=VECTORS, prefix=WORDS, suffix=st.sampled_from(["", ".gz"]), start=st.integers(0, 9))
def test_any_vectors_come_back_plain_and_packed_from_any_start(vectors, prefix, suffix, start):
    expected = [
        (f"{prefix}{i}", {key: float(np.float32(weight)) for key, weight in vector.items() if np.float32(weight) > 0})
        for i, vector in enumerate(vectors)
    ]
    records = ({"id": f"{prefix}{i}", "vector": vector} for i, vector in enumerate(vectors))
    with tempfile.TemporaryDirectory() as folder:
        path = jsonl(Path(folder) / f"v.jsonl{suffix}", records)
        assert read(path, "tokens")[0] == expected
        if start <= len(expected):
            assert read(path, "tokens", start)[0] == expected[start:]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"id": "x", "vector": {"a": -0.5}}', "the weight of 'a' must be a finite number of at least 0, got -0.5"),
        ('{"id": "x", "vector": {"a": -1e-60}}', "must be a finite number of at least 0"),
        ('{"id": "x", "vector": {"a": NaN}}', "the weight of 'a' must be a finite number of at least 0, got NaN"),
        ('{"id": "x", "vector": {"a": 1e39}}', "must be a finite number of at least 0, got 1e+39"),
        ('{"id": "x", "vector": {"a": 1e999}}', "must be a finite number"),
        (f'{{"id": "x", "vector": {{"a": 1e999, "b": 1{"0" * 400}}}}}', "must be a finite number"),
        ('{"id": "x", "vector": {"a": 1%s}}' % ("0" * 400), "must be a finite number"),
        ('{"id": "x", "vector": {"a": "1.5"}}', "the weight of 'a' must be a finite number of at least 0, got \"1.5\""),
        ('{"id": "x", "vector": {"a": true}}', "the weight of 'a' must be a finite number"),
        ('{"id": "x", "vector": {"a": null}}', "the weight of 'a' must be a finite number"),
        ('{"id": "x", "vector": {"a": [1]}}', "the weight of 'a' must be a finite number"),
        ('{"id": "x", "vector": [["a", 1]]}', "vector must be an object of weights by token or term id"),
        ('{"id": "x"}', 'no "vector"'),
        ('{"vector": {"a": 1}}', 'no "id"'),
        ('{"id": "", "vector": {"a": 1}}', "id must be a non-empty string or a whole number"),
        ('{"id": true, "vector": {"a": 1}}', "id must be a non-empty string or a whole number"),
        ('{"id": 1.5, "vector": {"a": 1}}', "id must be a non-empty string or a whole number"),
        ('{"id": "x", "vector": {"a": 1}', "not valid JSON"),
        ('{"id": "x", "vector": {"a": 1}} {"id": "y", "vector": {}}', "not valid JSON"),
        ('{"id": "x", "vector": {"a": 1}}, {"id": "y", "vector": {}}', "not valid JSON"),
        ("[1, 2]", "a line must be a JSON object"),
        ("", "blank line; remove it"),
        ('{"id": "\\ud800", "vector": {"a": 1}}', "half of a character"),
        ('{"id": "1", "vector": {"a": 1}}', "the id '1' is already that of line 2 of v.jsonl"),
        ("[" * 100_000, "nested too deep"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_line_that_cannot_be_used_is_named(line, told, suffix, tmp_path):
    good = [json.dumps({"id": str(i), "vector": {"a": i + 1}}) for i in range(4)]
    path = put(tmp_path / f"v.jsonl{suffix}", "\n".join([*good[:3], line, good[3]]) + "\n")
    assert refusal(path).startswith(f"v.jsonl{suffix}:4: ")
    assert told in refusal(path)


def test_a_record_cut_in_two_lines_is_no_record(tmp_path):
    path = put(tmp_path / "v.jsonl", '{"id": "a", "x": [1\n2], "vector": {"a": 1}}\n')
    assert refusal(path).startswith("v.jsonl:1: not valid JSON")


def test_bytes_that_are_not_utf8_and_a_damaged_archive_are_named(tmp_path):
    good = b'{"id": "1", "vector": {"a": 1}}\n'
    assert refusal(put(tmp_path / "v.jsonl", good + b'{"id": "\xff"}')).startswith("v.jsonl:2: not UTF-8 text")
    packed = gzip.compress(good)
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[:-9])
    assert "damaged gzip file" in refusal(tmp_path / "cut.jsonl.gz")


def test_a_token_among_term_ids_is_told_with_the_way_out(tmp_path):
    path = jsonl(tmp_path / "v.jsonl", [{"id": "a", "vector": {"2019": 1}}, {"id": "b", "vector": {"3": 1, "sea": 1}}])
    assert refusal(path) == (
        "v.jsonl:2: the key 'sea' is no term id, but others are; set data.VECTOR_KEYS=tokens if keys are tokens"
    )
    assert read(path, "tokens")[1] == ["2019", "3", "sea"]
    path = jsonl(tmp_path / "w.jsonl", [{"id": "a", "vector": {"1": 1, "16777216": 1}}])
    assert "w.jsonl:1: the term id 16777216 is above 16777215" in refusal(path)
    assert read(path, "tokens")[1] == ["1", "16777216"]


def test_there_is_something_to_read(tmp_path):
    assert "there are no vectors in it" in refusal(put(tmp_path / "v.jsonl", ""))
    (tmp_path / "bare").mkdir()
    assert "no vectors in this folder" in refusal(tmp_path / "bare")
    assert "no such file or folder" in refusal(tmp_path / "gone.jsonl")
    assert "unknown kind of file" in refusal(put(tmp_path / "v.txt", ""))


def test_a_folder_is_its_files_in_the_order_of_their_names(tmp_path):
    jsonl(tmp_path / "10.jsonl.gz", [{"id": "c", "vector": {"x": 1}}])
    jsonl(tmp_path / "02.jsonl", [{"id": "a", "vector": {"y": 1}}, {"id": "b", "vector": {"x": 2}}])
    put(tmp_path / "README.md", "not vectors")
    vectors, terms = read(tmp_path)
    assert vectors == [("a", {"y": 1.0}), ("b", {"x": 2.0}), ("c", {"x": 1.0})]
    assert terms == ["y", "x"]
    assert read(tmp_path, start=2)[0] == vectors[2:]
    jsonl(tmp_path / "11.jsonl", [{"id": "b", "vector": {}}])
    with pytest.raises(InputError, match=r"11\.jsonl:1: the id 'b' is already that of line 2 of 02\.jsonl"):
        read(tmp_path)


def matrix() -> scipy.sparse.csr_matrix:
    """Three rows over five columns, the second empty."""
    return scipy.sparse.csr_matrix(np.array([[0, 1.5, 0, 0, 2], [0, 0, 0, 0, 0], [3, 0, 0, 0, 0.5]], np.float32))


def save(path, found=None, **arrays):
    found = matrix() if found is None else found
    whole = {
        "indptr": found.indptr,
        "indices": found.indices,
        "data": found.data,
        "shape": np.array(found.shape),
        "format": np.array(b"csr"),
    }
    np.savez(path, **(whole | arrays))
    return path


ROWS = [{"1": 1.5, "4": 2.0}, {}, {"0": 3.0, "4": 0.5}]


def test_a_matrix_that_scipy_saved_is_its_rows(tmp_path):
    scipy.sparse.save_npz(tmp_path / "m.npz", matrix())
    assert read(tmp_path / "m.npz")[0] == [(str(i), row) for i, row in enumerate(ROWS)]
    assert next(open_vectors(tmp_path / "m.npz").batches()).vocab_size == 5


@pytest.mark.parametrize("ids", [["a", "b", "ü"], [b"a", b"b", "ü".encode()], [10, 11, 12]])
def test_ids_lie_in_the_archive_or_beside_it(ids, tmp_path):
    names = [id.decode() if isinstance(id, bytes) else str(id) for id in ids]
    expected = list(zip(names, ROWS, strict=True))
    assert read(save(tmp_path / "m.npz", ids=np.array(ids)))[0] == expected
    put(tmp_path / "n.ids.txt", "\n".join(names))
    path = save(tmp_path / "n.npz")
    assert read(path)[0] == expected
    assert read(path, start=2)[0] == expected[2:]
    assert list(open_vectors(path).state()["files"]) == ["n.npz", "n.ids.txt"]


def test_rows_of_several_matrices_are_counted_on(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.npz")
    assert [id for id, _ in read(tmp_path)[0]] == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"format": np.array(b"csc")}, "a 'csc' matrix; vectors are the rows of a CSR one: save matrix.tocsr()"),
        ({"data": np.array([1, 2, -3, 1.0])}, "row 2 (from 0): column 0 has weight -3.0"),
        ({"data": np.array([1, np.nan, 3, 1.0])}, "row 0 (from 0): column 4 has weight nan"),
        ({"data": np.array([1, 1e39, 3, 1.0])}, "row 0 (from 0): column 4 has weight 1e+39"),
        ({"data": np.array(["a", "b", "c", "d"])}, "indices must be integers and data real"),
        ({"indices": np.array([1, 5, 0, 4])}, "row 0 (from 0): column 5 is not in [0, 5)"),
        ({"indices": np.array([1, 4, 4, 4])}, "row 2 (from 0): column 4 comes twice"),
        ({"indptr": np.array([0, 3, 2, 4])}, "indptr must rise from 0"),
        ({"shape": np.array([4, 5])}, "do not fit the shape (4, 5)"),
        ({"ids": np.array(["a", "b"])}, "2 ids for the 3 rows"),
        ({"ids": np.array(["a", "", "b"])}, "the id of row 1 is empty"),
        ({"ids": np.array(["a", "b", "a"])}, "row 2 (from 0): the id 'a' is already that of row 0 of m.npz"),
        ({"ids": np.array(["a", "b", None], object)}, "cannot be read as an .npz archive of plain arrays"),
        ({"ids": np.zeros((3, 1))}, "ids must be a flat array of text or whole numbers"),
    ],
)
def test_a_matrix_that_cannot_be_used_is_named(arrays, told, tmp_path):
    path = save(tmp_path / "m.npz", **arrays)
    assert str(path) in refusal(path).replace("m.npz: ", f"{path}: ")
    assert told in refusal(path)


def test_a_file_that_is_no_archive_is_named(tmp_path):
    assert "cannot be read as an .npz archive" in refusal(put(tmp_path / "m.npz", "no archive"))
    whole = save(tmp_path / "n.npz").read_bytes()
    assert "cannot be read as an .npz archive" in refusal(put(tmp_path / "cut.npz", whole[: len(whole) // 2]))
    with (tmp_path / "one.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    assert "not an .npz archive" in refusal(tmp_path / "one.npz")
    np.savez(tmp_path / "other.npz", data=np.zeros(1))
    assert "holds no array 'indptr'" in refusal(tmp_path / "other.npz")
    assert "term ids, not tokens" in refusal(tmp_path / "n.npz", "tokens")


def test_unsorted_columns_are_sorted_with_their_weights(tmp_path):
    path = save(tmp_path / "m.npz", indices=np.array([4, 1, 4, 0]))
    assert read(path)[0] == [("0", {"1": 2.0, "4": 1.5}), ("1", {}), ("2", {"0": 0.5, "4": 3.0})]


def test_vectors_of_real_models_are_read_as_json_says(tmp_path):
    path = shared_data("fixtures/scifact.splade-v3.jsonl")
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    vectors, terms = read(path)
    assert vectors == [(record["id"], {t: float(w) for t, w in record["vector"].items()}) for record in records]
    assert len(terms) == len({term for record in records for term in record["vector"]})
