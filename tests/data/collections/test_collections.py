import logging
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.data.collections.file_collection import FileCollection
from splade.data.collections.opening import open_collection, open_queries
from splade.files import InputError
from splade.records import Text
from tests.data.writing import jsonl, put, tsv
from tests.shared import shared_data

# Everything UTF-8 can hold but what ends a field or a line.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\ufeff")
WORDS = st.text(CHARACTERS, max_size=30)
IDS = st.lists(st.text(CHARACTERS, min_size=1, max_size=12), min_size=1, max_size=12, unique=True)
DRAWN = settings(max_examples=40, deadline=None)


def check_every_way_of_reading(path, expected):
    assert list(FileCollection(path)) == expected
    collection = FileCollection(path)
    assert len(collection) == len(expected)
    assert list(collection) == expected
    assert list(collection.iterate(len(expected) // 2)) == expected[len(expected) // 2 :]
    ids = [text.id for text in reversed(expected)]
    assert collection.texts(ids) == [text.text for text in reversed(expected)]
    assert [collection.at(number) for number in range(len(expected))] == expected
    np.testing.assert_array_equal(collection.find(ids), np.arange(len(ids))[::-1])


@DRAWN
@given(ids=IDS, words=st.lists(WORDS, min_size=12, max_size=12), suffix=st.sampled_from(["", ".gz"]))
def test_any_ids_and_texts_come_back_from_tsv(ids, words, suffix):
    expected = [Text(id, text) for id, text in zip(ids, words, strict=False)]
    with tempfile.TemporaryDirectory() as folder:
        check_every_way_of_reading(tsv(Path(folder) / f"raw.tsv{suffix}", expected), expected)


@DRAWN
@given(
    ids=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=8, unique=True),
    words=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=8, max_size=8),
    suffix=st.sampled_from(["", ".gz"]),
)
def test_any_ids_and_texts_come_back_from_jsonl(ids, words, suffix):
    expected = [Text(id, text) for id, text in zip(ids, words, strict=False)]
    records = [{"id": id, "contents": text} for id, text in expected]
    with tempfile.TemporaryDirectory() as folder:
        check_every_way_of_reading(jsonl(Path(folder) / f"c.jsonl{suffix}", records), expected)


def test_further_tabs_are_spaces_and_unicode_line_breaks_are_text(tmp_path):
    path = put(tmp_path / "raw.tsv", "1\ta\tb\tc\r\n2\tx\u2028y\x0bz\x85\n007\tlast, without a line end")
    check_every_way_of_reading(
        path, [Text("1", "a b c"), Text("2", "x\u2028y\x0bz\x85"), Text("007", "last, without a line end")]
    )


def test_a_byte_order_mark_is_not_part_of_the_first_id(tmp_path):
    path = put(tmp_path / "raw.tsv", "\ufeff1\ta\n2\tb\n")
    check_every_way_of_reading(path, [Text("1", "a"), Text("2", "b")])


def test_lines_across_block_borders_are_whole(tmp_path, monkeypatch):
    expected = [Text(f"doc{n}", "é" * n) for n in range(1, 60)]
    for suffix in ("", ".gz"):
        path = tsv(tmp_path / f"raw.tsv{suffix}", expected)
        for block in (1, 7, 64):
            monkeypatch.setattr("splade.data.text_files.lines.BLOCK", block)
            check_every_way_of_reading(path, expected)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"_id": "7", "title": "A title", "text": " body "}, "A title  body"),
        ({"_id": "7", "title": "", "text": "body"}, "body"),
        ({"_id": "7", "title": "Only a title", "text": ""}, "Only a title"),
        ({"_id": "7", "title": None, "text": "body"}, "body"),
        ({"_id": 7, "text": "body"}, "body"),
        ({"id": "7", "contents": "body"}, "body"),
    ],
)
def test_json_text_is_title_space_text(tmp_path, record, text):
    assert list(open_collection(jsonl(tmp_path / "c.jsonl", [record]))) == [Text("7", text)]


BAD_TSV = {
    "a blank line": ("1\ta\n\n3\tb\n", 2, "blank line"),
    "a line of spaces": ("1\ta\n2\tb\n  \n", 3, "blank line"),
    "no tab": ("1\ta\n2 b\n", 2, "no tab"),
    "no id": ("1\ta\n\tb\n", 2, "no id"),
    "a repeated id": ("1\ta\n2\tb\n1\tc\n", 3, "the id '1' is already that of line 1"),
    "bytes that are not UTF-8": (b"1\ta\n2\tcaf\xe9\n", 2, "not UTF-8 text"),
}
BAD_JSON = {
    "a blank line": ('{"id": "1", "text": ""}\n\n', 2, "blank line"),
    "half an object": ('{"id": "1", "text": ""}\n{"id": \n', 2, "not valid JSON"),
    "an array": ('["1", "a"]\n', 1, "must be a JSON object"),
    "no id": ('{"text": "a"}\n', 1, "_id"),
    "an id that is true": ('{"_id": true, "text": "a"}\n', 1, "_id"),
    "no text": ('{"_id": "1", "txt": "a"}\n', 1, "text (or contents) must be a string, got none"),
    "a text that is a number": ('{"_id": "1", "text": 5}\n', 1, "must be a string, got 5"),
    "a title that is a list": ('{"_id": "1", "text": "", "title": []}\n', 1, "title must be"),
    "half a character": ('{"_id": "1", "text": "\\ud83d"}\n', 1, "half of a character"),
    "too many brackets": ("[" * 100_000 + "\n", 1, "nested too deep"),
    "a repeated id": ('{"_id": "1", "text": "a"}\n{"_id": 1, "text": "a"}\n', 2, "already that of line 1"),
}
BAD = [("raw.tsv", *case) for case in BAD_TSV.values()] + [("c.jsonl", *case) for case in BAD_JSON.values()]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("way", [list, len, lambda collection: "1" in collection], ids=["stream", "count", "find"])
@pytest.mark.parametrize(("name", "content", "line", "problem"), BAD, ids=[*BAD_TSV, *(f"json: {n}" for n in BAD_JSON)])
def test_a_bad_line_is_named_however_the_file_is_read(tmp_path, name, content, line, problem, way, suffix):
    path = put(tmp_path / f"{name}{suffix}", content)
    with pytest.raises(InputError) as error:
        way(open_collection(path))
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert problem in str(error.value)


@pytest.mark.parametrize("way", [list, len, lambda collection: "1" in collection], ids=["stream", "count", "find"])
def test_a_truncated_gzip_file_is_an_error_at_the_line_where_it_breaks_off(tmp_path, way):
    rng = np.random.default_rng(0)
    path = tsv(tmp_path / "raw.tsv.gz", [(n, rng.bytes(40).hex()) for n in range(5000)])
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"raw\.tsv\.gz:(\d+): damaged gzip file") as error:
        way(open_collection(path))
    # 100 kB at about 50 bytes a packed line: near line 2000, neither the first nor the last.
    assert 1500 < int(str(error.value).removeprefix(f"{path}:").split(":")[0]) < 3000


@pytest.mark.parametrize("damage", [slice(0, 2), slice(500, 520)], ids=["its head", "its middle"])
def test_a_corrupt_gzip_file_is_an_error(tmp_path, damage):
    path = tsv(tmp_path / "raw.tsv.gz", [(n, f"text {n * n}") for n in range(500)])
    raw = bytearray(path.read_bytes())
    raw[damage] = bytes(255 - byte for byte in raw[damage])
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"raw\.tsv\.gz:\d+: "):
        list(open_collection(path))


def test_an_empty_file_is_an_error(tmp_path):
    for name in ("raw.tsv", "raw.tsv.gz"):
        for way in (list, len):
            with pytest.raises(InputError, match="holds no texts"):
                way(open_collection(put(tmp_path / name, "")))


def test_empty_texts_are_kept_and_counted_in_one_warning(tmp_path, caplog):
    collection = open_collection(tsv(tmp_path / "raw.tsv", [("1", "a"), ("2", ""), ("3", "")]))
    with caplog.at_level(logging.WARNING):
        assert list(collection)[1] == Text("2", "")
        assert len(collection) == 3
        assert collection["3"] == ""
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'raw.tsv'}:2: empty text, the first of 2 among 3; they are kept"
    ]


def test_an_unknown_id_is_named(tmp_path):
    collection = open_collection(tsv(tmp_path / "raw.tsv", [("1", "a"), ("2", "b")]))
    assert "2" in collection
    assert "3" not in collection
    assert 2 not in collection
    assert collection.find(["3", "1"]).tolist() == [-1, 0]
    with pytest.raises(InputError, match=r"raw\.tsv: no text has the id '3'"):
        collection.texts(["1", "3"])
    with pytest.raises(IndexError):
        collection.at(2)


def test_streaming_a_gzip_file_unpacks_nothing_to_disk(tmp_path, monkeypatch):
    collection = open_collection(tsv(tmp_path / "raw.tsv.gz", [(n, "text") for n in range(100)]))

    def refuse(*args, **kwargs):
        raise AssertionError("unpacked")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert len(list(collection)) == len(collection) == 100
    assert len(list(collection.iterate(90))) == 10
    with pytest.raises(AssertionError, match="unpacked"):
        collection.texts(["1"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full to stand for a full disk")
def test_a_full_disk_while_unpacking_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    collection = open_collection(tsv(tmp_path / "raw.tsv.gz", [(n, "text") for n in range(100)]))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Path("/dev/full").open("wb"))  # noqa: SIM115
    with pytest.raises(InputError, match="TMPDIR"):
        collection.texts(["1"])


def test_file_descriptors_are_given_back(tmp_path):
    path = tsv(tmp_path / "raw.tsv.gz", [("1", "a")])
    before = open_descriptors()
    for _ in range(20):
        assert open_collection(path)["1"] == "a"
    assert open_descriptors() <= before + 1


def open_descriptors():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_a_file_cut_short_while_in_use_is_an_error(tmp_path):
    path = tsv(tmp_path / "raw.tsv", [("1", "a"), ("2", "b")])
    collection = open_collection(path)
    assert collection["2"] == "b"
    os.truncate(path, 5)
    with pytest.raises(InputError, match="shorter while it was in use"):
        collection.at(1)


def test_ids_with_the_same_hash_are_told_apart(tmp_path, monkeypatch):
    """With one hash for all ids everything rests on reading the ids back."""
    for module in ("ids", "formats"):
        monkeypatch.setattr(
            f"splade.data.text_files.{module}.hash_spans", lambda buffer, starts, lengths: same(starts.size)
        )
    for module in ("text_files.ids", "text_files.formats", "collections.file_collection"):
        monkeypatch.setattr(f"splade.data.{module}.hash_ids", lambda ids: same(len(ids)))
    expected = [Text(str(n), f"text {n}") for n in range(20)]
    check_every_way_of_reading(tsv(tmp_path / "raw.tsv", expected), expected)
    collection = open_collection(tmp_path)
    assert "20" not in collection
    single = open_collection(tsv(tmp_path / "one.tsv", [("1", "a")]))
    with pytest.raises(InputError, match="no text has the id '2'"):
        single.texts(["2"])


def same(n):
    return np.full(n, 7, np.uint64)


def test_a_folder_is_read_by_what_it_holds(tmp_path):
    jsonl(tmp_path / "corpus.jsonl", [{"_id": "d", "text": "document"}])
    jsonl(tmp_path / "queries.jsonl.gz", [{"_id": "q", "text": "query"}])
    assert list(open_collection(tmp_path)) == [Text("d", "document")]
    assert list(open_queries(tmp_path)) == [Text("q", "query")]
    tsv(tmp_path / "raw.tsv", [("t", "tsv")])
    assert list(open_collection(str(tmp_path))) == [Text("t", "tsv")]
    assert open_collection(tmp_path).source == str(tmp_path / "raw.tsv")


def test_an_open_collection_passes_through(tmp_path):
    collection = open_collection(tsv(tmp_path / "raw.tsv", [("1", "a")]))
    assert open_collection(collection) is collection
    assert open_queries(collection) is collection


@pytest.mark.parametrize("opener", [open_collection, open_queries])
def test_what_is_not_there_is_named_with_what_was_looked_for(tmp_path, opener):
    with pytest.raises(InputError, match=r"absent: no such file or folder .*raw\.tsv"):
        opener(tmp_path / "absent")
    with pytest.raises(InputError, match=r"looked for raw\.tsv, raw\.tsv\.gz"):
        opener(tmp_path)
    with pytest.raises(InputError, match=r"unknown kind of file; accepted are \.tsv, \.jsonl"):
        opener(put(tmp_path / "x.csv", "1,a\n"))


def test_a_split_selects_its_judged_queries_in_file_order(tmp_path, caplog):
    jsonl(tmp_path / "queries.jsonl", [{"_id": id, "text": f"query {id}"} for id in "abcd"])
    header = ("query-id", "corpus-id", "score")
    tsv(tmp_path / "qrels/test.tsv", [header, ("d", "x", 1), ("b", "x", 0), ("nowhere", "x", 1)])
    for queries in (open_queries(tmp_path, split="test"), open_queries(f"{tmp_path}:test")):
        assert list(queries) == [Text("b", "query b"), Text("d", "query d")]
        assert len(queries) == 2
        assert queries["d"] == "query d"
        assert queries.find(["d", "a", "b", "zzz"]).tolist() == [1, -1, 0, -1]
        assert list(queries.iterate(1)) == [Text("d", "query d")]
        with pytest.raises(InputError):
            queries["a"]
    assert "1 of 3 ids asked for are unknown, as 'nowhere'" in caplog.text
    with pytest.raises(InputError, match=r"no qrels/dev\.tsv; the splits in its qrels folder: test"):
        open_queries(tmp_path, split="dev")
    tsv(tmp_path / "qrels/none.tsv", [header, ("nowhere", "x", 1)])
    with pytest.raises(InputError, match="none of the 1 ids"):
        open_queries(tmp_path, split="none")


def test_scifact_and_squad_are_read_whole():
    corpus = open_collection(shared_data("scifact"))
    assert len(corpus) == 5183
    assert corpus["4983"].startswith("Microstructural development of human newborn cerebral white matter assessed")
    assert len(open_queries(shared_data("scifact"), split="test")) == 300
    assert len(open_queries(f"{shared_data('squad')}:dev")) == 4961
    assert sum(1 for _ in open_collection(shared_data("squad"))) == 4496
