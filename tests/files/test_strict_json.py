"""JSON in which a key comes twice says two things, so it is refused, with its line."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.data.collections.opening import open_collection
from splade.data.qrels import read_qrels
from splade.data.score_files.negatives import read_scores
from splade.evaluation.runs import read_run
from splade.files import InputError, read_json
from splade.files.strict_json import JsonError, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=12,
)


def texts(path):
    return list(open_collection(path))


@settings(max_examples=40, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_what_json_writes_is_read_as_it_was(value, ascii_only, indent):
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent)) == value


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{"a": 1, "a": 2}', 1, "the key 'a' comes twice in one object"),
        (
            '{"q1": {"d": 1},\n "q2": {"e": 1,\n  "d": 2,\n  "d": 3}}',
            4,
            "'d' comes twice in one object, in that of 'q2'",
        ),
        ('{"q": {"d": 1},\n "r": {"d": 1},\n"q": {}}', 3, "the key 'q' comes twice"),
        ('{"a": [{"x": 1}, {"x": 1}],\n "b": {"a": ":", "{": "}"},\n "a": 1}', 3, "the key 'a' comes twice"),
        ('{"\\u0061": 1, "a": 2}', 1, "the key 'a' comes twice"),
        ('{"a": 1, "\\u0061": 2, "b": 3}', 1, "the key 'a' comes twice"),
        ('{"a\\"b": "a", "a": "a\\\\",\n"a\\"b": 0}', 2, "the key 'a\"b' comes twice"),
    ],
)
def test_a_key_that_comes_twice_is_named_with_its_line(text, line, said):
    with pytest.raises(JsonError) as error:
        parse_json(text)
    assert said in str(error.value)
    assert error.value.line == line


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, '{"a": "\\ud800"}', "\ufeff{}", ""])
def test_what_python_alone_would_stumble_over_is_an_error_in_words(text):
    with pytest.raises(JsonError, match=r"not valid JSON|half of a character"):
        parse_json(text)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("run.json", '{"q1": {"a": 1,\n "a": 2}}', read_run),
        ("qrels.json", '{"q1": {"a": 1},\n "q1": {"b": 1}}', read_qrels),
        ("scores.json", '{"q1": {"a": 1.0,\n "a": 0.5}}', read_scores),
        (
            "scores.jsonl",
            '{"query_id": 1, "scores": {"a": 1}}\n{"query_id": 2, "scores": {"a": 1, "a": 2}}',
            read_scores,
        ),
        ("corpus.jsonl", '{"_id": "1", "text": "x"}\n{"_id": "2", "text": "x", "text": "y"}', texts),
        ("idf.json", '{"cat": 1.0,\n"cat": 2.0}', read_json),
    ],
)
def test_every_reader_refuses_a_key_that_comes_twice_with_file_and_line(tmp_path, name, text, read):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}:2: the key ")
    assert "comes twice in one object" in str(error.value)
