"""The compiled reader of lines against Python's JSON: the same values, or left to it."""

import json
import string
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.kernels.term_table import new_table, number_keys
from splade.kernels.vector_lines import read_entries

DRAWN = settings(max_examples=300, deadline=None)
PLAIN = st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
WEIGHTS = (
    st.floats(0, 3e38)
    | st.floats(0, 1, width=32)
    | st.integers(0, 10**25)
    | st.floats(0, 1e-36)
    | st.floats(0, 20, width=16)
)


def entries(line):
    """Id and vector as the compiled reader has them; None where it leaves the line to Python."""
    raw = line if isinstance(line, bytes) else line.encode()
    found = read_entries(raw, np.array([0]), np.array([len(raw)]))
    if found is None:
        return None
    text, starts = found.key_text.tobytes(), found.key_starts.tolist()
    keys = [text[begin:end].decode() for begin, end in pairwise(starts)]
    assert found.counts.tolist() == [len(keys)]
    weights = [weight if place < 0 else None for weight, place in zip(found.weights, found.places, strict=True)]
    return found.id_text.tobytes().decode(), list(zip(keys, weights, strict=True))


@DRAWN
@given(
    id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.integers(0, 10**20),
    vector=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), WEIGHTS, max_size=8),
    before=VALUES,
    after=VALUES,
    indent=st.sampled_from([None, 1]),
    ascii=st.booleans(),
)
def test_what_is_read_is_what_json_says_rounded_to_float32(id, vector, before, after, indent, ascii):
    record = {"before": before, "id": id, "vector": vector, "after": after}
    line = json.dumps(record, indent=indent, ensure_ascii=ascii).encode("utf-8", "surrogatepass")
    found = entries(line)
    if found is None:
        assert b"\\ud" in line or b"Infinity" in line or b"\xed" in line  # what Python may say something of
        return
    assert found[0] == str(id)
    assert [key for key, _ in found[1]] == list(vector)
    with np.errstate(over="ignore", under="ignore"):
        for (_, weight), written in zip(found[1], vector.values(), strict=True):
            assert weight is None or weight == np.float32(float(written))


@DRAWN
@given(
    whole=st.text(string.digits, max_size=30),
    fraction=st.text(string.digits, max_size=30),
    power=st.none() | st.integers(-60, 60),
)
def test_numbers_in_any_spelling_are_rounded_as_python_rounds_them_or_left_to_it(whole, fraction, power):
    written = (
        (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "") + (f"e{power}" if power is not None else "")
    )
    found = entries(f'{{"id": "x", "vector": {{"a": {written}}}}}')
    with np.errstate(over="ignore", under="ignore"):
        expected = np.float32(float(written))
    assert found[1][0][1] is None or found[1][0][1] == expected


def test_the_float64_of_a_float32_is_always_surely_read():
    chance = np.random.default_rng(0)
    weights = chance.gamma(2, 0.4, 2000).astype(np.float32)
    line = json.dumps({"id": "x", "vector": {str(i): w for i, w in enumerate(weights.astype(float).tolist())}})
    assert [weight for _, weight in entries(line)[1]] == weights.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "}", "[]", '{"id": "x"}', '{"vector": {}}', '{"id": "x", "vector": {}', '{"id": "x", "vector": {}}}',
        '{"id": "x", "vector": {},}', '{"id": "x" "vector": {}}', '{"id": "x", "vector": {"a": 1,}}',
        '{"id": "x", "vector": {"a" 1}}', '{"id": "x", "vector": {"a": 01}}', '{"id": "x", "vector": {"a": 1.}}',
        '{"id": "x", "vector": {"a": .5}}', '{"id": "x", "vector": {"a": 1e}}', '{"id": "x", "vector": {"a": +1}}',
        '{"id": "x", "vector": {"a": -1}}', '{"id": "x", "vector": {"a": "1"}}', '{"id": "x", "vector": {"a": null}}',
        '{"id": "x", "vector": {"a": 1 2}}', '{"id": "x", "vector": {"a": NaN}}', '{"id": "x", "vector": []}',
        '{"id": "", "vector": {}}', '{"id": -1, "vector": {}}', '{"id": 01, "vector": {}}', '{"id": 1.0, "vector": {}}',
        '{"id": 1e3, "vector": {}}', '{"id": null, "vector": {}}', '{"id": "x", "id": "y", "vector": {}}',
        '{"id": "x", "vector": {}, "vector": {}}', '{"id": "x\n", "vector": {}}', '{"id": "\\x", "vector": {}}',
        '{"id": "\\u12g4", "vector": {}}', '{"id": "\\ud83d", "vector": {}}', '{"id": "\\udc00", "vector": {}}',
        *(
            f'{{"id": "x", "vector": {{}}, "o": {other}}}'
            for other in (
                "[1 2]", "[1,]", "[", "}", '{"a"}', '{"a": 1]', "tru", '{"a": 1,}', "{,}", "--1", "[[1], 2", "",
                "[" * 61,
            )
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_or_unusual_is_left_to_python(text):
    assert entries(text) is None


def test_every_beginning_of_a_line_is_left_to_python():
    line = (
        '{"id": "x\\u00e9", "o": [1, {"a": [], "b": {}}, "\\n", -1.5e3, true, null], "vector": {"\\"": 1.25, "b": 2}}'
    )
    assert entries(line) == ("xé", [('"', 1.25), ("b", 2.0)])
    for size in range(len(line)):
        assert entries(line[:size]) is None


@DRAWN
@given(keys=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=40))
def test_terms_are_numbered_as_a_dictionary_would_and_the_table_says_where_it_is_full(keys):
    encoded = [key.encode() for key in keys]
    text = np.frombuffer(b"".join(encoded), np.uint8)
    starts = np.cumsum([0, *map(len, encoded)])
    expected: dict[str, int] = {}
    wanted = [expected.setdefault(key, len(expected)) for key in keys]
    for slots, room in ((128, 400), (16, 400), (128, 10)):
        numbers = np.full(len(keys), -1, np.int64)
        done, n_terms = number_keys(text, starts, 0, new_table(slots, room), 0, numbers)
        assert numbers[:done].tolist() == wanted[:done]
        assert n_terms == len(set(keys[:done]))
        assert done == len(keys) or n_terms == slots // 2 or room == 10
