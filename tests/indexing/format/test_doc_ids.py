import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.files import InputError
from splade.indexing import DocIds

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(names, unique=True, max_size=20), st.lists(names, max_size=5))
@settings(deadline=None)
def test_ids_are_found_by_number_and_numbers_by_id(ids, others):
    table = DocIds.from_strings(ids)
    assert list(table) == ids
    assert [table[doc] for doc in range(len(table))] == ids
    assert table.numbers(ids[::-1]).tolist() == list(range(len(ids)))[::-1]
    assert table.numbers(others).tolist() == [ids.index(other) if other in ids else -1 for other in others]


def test_ids_that_share_a_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(
        "splade.indexing.format.doc_ids.hash_ids", lambda text, offsets: np.zeros(len(offsets) - 1, np.uint64)
    )
    table = DocIds.from_strings(["a", "b", "c"])
    assert table.numbers(["c", "x", "a", "b"]).tolist() == [2, -1, 0, 1]
    with pytest.raises(InputError, match="'b' occurs twice"):
        DocIds.from_strings(["b", "a", "b"])


def test_repeated_ids_are_named_with_both_places():
    with pytest.raises(InputError, match="'x' occurs twice, as document 1 and 3"):
        DocIds.from_strings(["w", "x", "y", "x"])


def test_ids_behave_as_a_sequence():
    table = DocIds.from_strings(["a", "bc", "é"])
    assert (table[-1], table[1:], table.take(np.array([2, 0, 2]))) == ("é", ["bc", "é"], ["é", "a", "é"])
    with pytest.raises(IndexError, match="3 of 3"):
        table[3]


def test_ids_that_are_no_text_are_refused():
    with pytest.raises(InputError, match="UTF-8"):
        DocIds.from_strings(["\ud800"])
    with pytest.raises(TypeError, match="7 of type int"):
        DocIds.from_strings([7])
