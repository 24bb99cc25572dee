"""PISA's files against some worked by hand; what PISA would misread is refused."""

import numpy as np
import pytest

from splade.exporting.postings.pisa import LOAD, Pisa
from splade.exporting.postings.pisa_files import FILES
from splade.files import InputError
from tests.exporting.vectors import batch_of, observed, written

WORDS = ["sea", "cat", "ü", "unused"]
DOCUMENTS = batch_of([[3, 0, 0, 0], [0, 0, 0, 0], [1, 200, 7, 0]], ids=["d0", "é x", "d2"])
QUERIES = batch_of([[2, 0, 1, 5], [0, 0, 0, 0], [0, 0, 0, 1]], ids=["q 1", "q2", "q3"])
NUMBERS = {  # little-endian words of 4 bytes
    # the number of documents; cat: document 2; sea: documents 0 and 2; ü: document 2
    "inv.docs": [1, 3, 1, 2, 2, 0, 2, 1, 2],
    "inv.freqs": [1, 200, 2, 3, 1, 1, 7],
    "inv.sizes": [3, 3, 0, 208],
}
LINES = {"fwd.terms": "cat\nsea\nü\n", "fwd.documents": "d0\né x\nd2\n"}
LEXICONS = {"fwd.termlex": ([3, 0, 3, 6, 8], "catseaü"), "fwd.doclex": ([3, 0, 2, 6, 8], "d0é xd2")}


@pytest.fixture
def place(tmp_path):
    written(Pisa(1, 1), tmp_path, DOCUMENTS, QUERIES, WORDS)
    return tmp_path


def test_files_are_what_was_worked_by_hand(place):
    for name, numbers in NUMBERS.items():
        assert (place / name).read_bytes() == b"".join(number.to_bytes(4, "little") for number in numbers), name
    for name, lines in LINES.items():
        assert (place / name).read_text() == lines
    for name, (numbers, text) in LEXICONS.items():
        octets = b"".join(number.to_bytes(8, "little") for number in numbers) + text.encode()
        assert (place / name).read_bytes() == octets, name
    assert sorted(path.name for path in place.iterdir()) == sorted([*FILES, "pisa.sh", "queries.pisa"])


def test_a_query_repeats_the_numbers_of_terms_that_a_document_has(place):
    assert (place / "queries.pisa").read_text() == "q 1:1 1 2\nq2:\nq3:\n"


def test_the_script_has_the_commands_of_the_evaluation(place):
    lines = (place / "pisa.sh").read_text().splitlines()
    assert lines[0].startswith("#!/bin/sh")
    assert lines[2:] == list(LOAD)


def test_documents_and_queries_are_read_back_but_for_terms_that_no_document_has(tmp_path):
    found, asked = written(Pisa(1, 1), tmp_path, DOCUMENTS, QUERIES, WORDS)
    assert {name: row.tolist() for name, row in found.items()} == {
        "d0": [3, 0, 0, 0], "é x": [0, 0, 0, 0], "d2": [1, 200, 7, 0],
    }  # fmt: skip
    assert {name: row.tolist() for name, row in asked.items()} == {
        "q 1": [2, 0, 1, 0], "q2": [0, 0, 0, 0], "q3": [0, 0, 0, 0],
    }  # fmt: skip


@pytest.mark.parametrize("query_id", ["a:b", "a\nb"])
def test_a_query_id_that_pisa_would_cut_is_refused(tmp_path, query_id):
    with pytest.raises(InputError, match="has a colon or line end"):
        written(Pisa(), tmp_path, DOCUMENTS, batch_of([[1, 0, 0, 0]], ids=[query_id]), WORDS)
    assert not (tmp_path / "queries.pisa").exists()


def test_a_document_id_with_a_line_end_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(InputError, match=r"'a\\nb' has a line end"):
        Pisa().write_documents(tmp_path, [(batch_of([[1, 0, 0, 0]], ids=["a\nb"]), [""])], WORDS)
    assert list(tmp_path.iterdir()) == []


def change(path, octets, at):
    held = bytearray(path.read_bytes())
    held[at : at + len(octets)] = octets
    path.write_bytes(held)


@pytest.mark.parametrize(
    ("name", "at", "octets", "told"),
    [
        ("inv.docs", 4, [4], "not of the 3 documents"),
        ("inv.docs", 12, [3], "at byte 8: no postings of 'cat'"),  # a document that is not there
        ("inv.docs", 20, [2], "at byte 16: no postings of 'sea'"),  # the same document twice
        ("inv.freqs", 4, [0, 0], "no postings of 'cat'"),
        ("inv.sizes", 0, [2], "not of the 3 documents"),
        ("fwd.terms", 0, b"zat", "'sea' comes after 'zat'"),
        ("fwd.terms", 0, b"bat", "not the lexicon of fwd.terms"),
    ],
)
def test_files_that_do_not_fit_together_are_told(place, name, at, octets, told):
    change(place / name, bytes(octets), at)
    if told.startswith("'sea'"):
        change(place / "fwd.termlex", bytes(octets), 40)
    with pytest.raises(InputError, match=told):
        list(Pisa(1, 1).read_documents(place, WORDS))


@pytest.mark.parametrize(("line", "told"), [("q 1:3\n", "'3' is no number"), ("q 1 2\n", "no colon")])
def test_a_query_that_names_no_term_is_told_with_its_line(place, line, told):
    (place / "queries.pisa").write_text(f"q0:1\n{line}")
    target = Pisa(1, 1)
    target.documents_in = place
    with pytest.raises(InputError, match=f"queries.pisa:2: {told}"):
        list(target.read_queries(place, WORDS))


def test_whole_files_that_are_there_already_are_kept(place):
    before = {path.name: path.stat().st_mtime_ns for path in place.iterdir()}
    target = Pisa(1, 1)
    target.prepare(observed(DOCUMENTS))
    target.resuming = True
    assert target.write_documents(place, [(DOCUMENTS, [""] * 3)], WORDS) == (3, 1)
    assert {path.name: path.stat().st_mtime_ns for path in place.iterdir()} == before
    (place / "inv.sizes").unlink()
    assert target.write_documents(place, [(DOCUMENTS, [""] * 3)], WORDS) == (3, 1)
    assert np.fromfile(place / "inv.sizes", "<u4").tolist() == NUMBERS["inv.sizes"]
