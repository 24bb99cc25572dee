import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.data.text_files.ids import IdTable, SeenHashes, hash_ids, hash_spans

IDS = st.lists(st.text(max_size=40), max_size=50)


def no_collision(number):
    raise AssertionError("no two of these ids share a hash")


@settings(max_examples=50, deadline=None)
@given(IDS)
def test_different_ids_get_different_hashes_and_equal_ones_equal(ids):
    hashes = hash_ids(ids).tolist()
    assert len(set(hashes)) == len(set(ids))
    assert dict(zip(ids, hashes, strict=True)) == dict(zip(reversed(ids), reversed(hashes), strict=True))


def test_a_span_hashes_as_the_id_it_holds():
    buffer = np.frombuffer("xxdoc-1\té\t".encode(), np.uint8)
    spans = hash_spans(buffer, np.array([2, 8, 0]), np.array([5, 2, 0]))
    np.testing.assert_array_equal(spans, hash_ids(["doc-1", "é", ""]))


def test_numbered_ids_do_not_collide_even_in_forty_of_the_bits():
    hashes = hash_ids([str(n) for n in range(200_000)])
    assert np.unique(hashes).size == 200_000
    # 200 000 random values below 2^40 have 0.02 collisions on average; a weak hash has thousands.
    for half in (hashes >> np.uint64(24), hashes & np.uint64(2**40 - 1)):
        assert np.unique(half).size > 199_990


def test_a_table_finds_numbers_and_says_which_are_unknown():
    table = IdTable(hash_ids(["b", "a", "c"]))
    assert table.find(["a", "x", "c", "b", "a"], no_collision).tolist() == [1, -1, 2, 0, 1]
    assert table.find([], no_collision).size == 0
    assert IdTable(hash_ids([])).find(["a"], no_collision).tolist() == [-1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=12))
def test_seen_hashes_are_those_met_before(batches):
    seen, met = SeenHashes(), set()
    for batch in batches:
        expected = {value for place, value in enumerate(batch) if value in met or value in batch[:place]}
        assert set(seen.add(np.array(batch, np.uint64)).tolist()) == expected
        met.update(batch)
