import collections
import gzip
import json
import os
import pickle
import runpy
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.data.score_files.negatives import iterate_scores, read_scores, write_scores
from splade.data.score_files.pickles import read_pickle
from splade.files import InputError
from tests.data.writing import jsonl, put

EXPECTED = {"q1": {"d1": 1.5, "d2": -2.0}, "7": {"12": 3.0}}
NATIVE = {"q1": {"d1": 1.5, "d2": -2.0}, 7: {12: 3}}  # as pickles of others have it, with ids as numbers
SCRIPT = Path(__file__).parents[3] / "scripts" / "convert_negatives.py"


class Attack:
    """Pickles as a call, which a plain unpickler makes."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def pickled(path, value, protocol=4):
    return put(path, pickle.dumps(value, protocol))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_is_read_and_ids_become_strings(tmp_path, protocol, suffix):
    path = pickled(tmp_path / f"s.pkl{suffix}", NATIVE, protocol)
    assert read_scores(path) == EXPECTED


@pytest.mark.parametrize("name", ["hard_negatives", "negatives.gz", "scores.bin"])
def test_a_pickle_under_another_name_is_known_by_its_first_byte(tmp_path, name):
    assert read_scores(pickled(tmp_path / name, NATIVE)) == EXPECTED


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32, np.uint8])
def test_numpy_numbers_in_a_pickle_become_python_numbers(tmp_path, kind, protocol):
    value = {np.int64(3): {np.int64(4): kind(5)}, "q": [("d", kind(2))]}
    assert read_scores(pickled(tmp_path / "s.pkl", value, protocol)) == {"3": {"4": 5.0}, "q": {"d": 2.0}}


def test_numpy_numbers_of_a_big_endian_machine_keep_their_value(tmp_path):
    constructor = np.float32(0).__reduce__()[0]
    big_endian = Attack(constructor, np.dtype(">f4"), struct.pack(">f", 1.25))
    assert read_pickle(pickled(tmp_path / "s.pkl", big_endian)) == 1.25


def test_other_plain_containers_are_read(tmp_path):
    value = collections.OrderedDict(q=collections.defaultdict(float, d=1.0), r=[["d", 2], ("e", 3.0)])
    assert read_scores(pickled(tmp_path / "s.pickle", value)) == {"q": {"d": 1.0}, "r": {"d": 2.0, "e": 3.0}}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_runs_a_command_is_refused_before_it_runs(tmp_path, protocol, suffix):
    trace = tmp_path / "trace"
    path = pickled(tmp_path / f"evil.pkl{suffix}", {"q": {"d": Attack(os.system, f"touch {trace}")}}, protocol)
    with pytest.raises(InputError, match=r"evil\.pkl.*names (posix|nt)\.system, which may run code; nothing of it"):
        read_scores(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("call", "arguments", "name"),
    [
        (eval, ("1+1",), r"builtins\.eval"),
        (getattr, ({}, "items"), r"builtins\.getattr"),
        (__import__, ("os",), r"builtins\.__import__"),
        (print, (), r"builtins\.print"),
        (set, (), r"builtins\.set"),
        (bytearray, (10,), r"builtins\.bytearray"),
        (np.load, ("x",), r"numpy\S*load"),
    ],
)
def test_whatever_is_not_a_plain_value_is_refused_by_name(tmp_path, call, arguments, name):
    with pytest.raises(InputError, match=name):
        read_pickle(pickled(tmp_path / "evil.pkl", Attack(call, *arguments)))


@pytest.mark.parametrize(
    "value",
    [np.array([1, 2]), np.str_("text"), np.datetime64("2020-01-01"), Path("x"), 1j, object()],
    ids=["array", "NumPy string", "date", "path", "complex", "object"],
)  # fmt: skip
def test_other_values_are_refused(tmp_path, value):
    with pytest.raises(InputError, match=r"x\.pkl: "):
        read_pickle(pickled(tmp_path / "x.pkl", value))


def test_a_pickle_cannot_alter_the_reader(tmp_path):
    """Opcodes by hand: set an attribute on the stand-in for NumPy's scalar, then on dict."""
    for name in (b"numpy.core.multiarray\nscalar", b"builtins\ndict", b"_codecs\nencode", b"numpy\ndtype"):
        program = b"\x80\x02c" + name + b"\n}X\x08\x00\x00\x00__call__K\x01sb."
        with pytest.raises(InputError, match="not a readable pickle"):
            read_pickle(put(tmp_path / "x.pkl", program))
    assert read_scores(pickled(tmp_path / "s.pkl", {"q": {"d": np.float32(1)}})) == {"q": {"d": 1.0}}


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_a_damaged_pickle_is_an_error(tmp_path, cut):
    with pytest.raises(InputError, match=r"s\.pkl: not a readable pickle"):
        read_scores(put(tmp_path / "s.pkl", pickle.dumps(NATIVE)[:cut]))
    packed = tmp_path / "s.pkl.gz"
    packed.write_bytes(gzip.compress(pickle.dumps(NATIVE))[: cut or 5])
    with pytest.raises(InputError, match=r"s\.pkl\.gz: not a readable pickle"):
        read_scores(packed)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_json_lines_json_and_trec_runs_say_the_same(tmp_path, suffix):
    lines = [{"query_id": "q1", "scores": {"d1": 1.5, "d2": -2}}, {"query_id": 7, "scores": [["12", 3]]}]
    assert read_scores(jsonl(tmp_path / f"s.jsonl{suffix}", lines)) == EXPECTED
    assert read_scores(put(tmp_path / f"run.json{suffix}", json.dumps(EXPECTED))) == EXPECTED
    run = "q1 Q0 d1 1 1.5 tag\nq1 Q0 d2 2 -2 tag\n7\tQ0\t12\t1\t3\ttag\n"
    assert read_scores(put(tmp_path / f"run.trec{suffix}", run)) == EXPECTED


def test_a_folder_holds_scores_by_name(tmp_path):
    with pytest.raises(InputError, match=r"no scored documents in this folder; looked for scores\.jsonl"):
        read_scores(tmp_path)
    write_scores(tmp_path / "scores.jsonl.gz", EXPECTED)
    assert read_scores(tmp_path) == EXPECTED
    with pytest.raises(InputError, match="no such file or folder"):
        read_scores(tmp_path / "absent.pkl.gz")


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(IDS, st.dictionaries(IDS, NUMBERS, max_size=5), min_size=1, max_size=5))
def test_any_scores_come_back_from_what_was_written(tmp_path_factory, scores):
    for name in ("s.jsonl", "s.jsonl.gz"):
        path = tmp_path_factory.mktemp("scores") / name
        write_scores(path, scores)
        assert list(iterate_scores(path)) == list(scores.items())


@pytest.mark.parametrize(
    ("name", "content", "where", "problem"),
    [
        ("s.jsonl", '{"query_id": "q", "scores": {}}\n\n', ":2", "blank line"),
        ("s.jsonl", '{"query_id": "q"}\n', ":1", "a line is"),
        ("s.jsonl", '{"query_id": "q", "scores": {"d": "1"}}\n', ":1", "finite number, got '1'"),
        ("s.jsonl", '{"query_id": "q", "scores": {"d": NaN}}\n', ":1", "finite number, got nan"),
        ("s.jsonl", '{"query_id": "q", "scores": {"d": true}}\n', ":1", "finite number, got True"),
        ("s.jsonl", '{"query_id": "q", "scores": 3}\n', ":1", "got a int"),
        ("s.jsonl", '{"query_id": "", "scores": {}}\n', ":1", "an id must be"),
        ("s.jsonl", '{"query_id": "q", "scores": {}}\n' * 2, ":2", "query 'q' is there twice"),
        ("s.jsonl", '{"query_id": "q", "scores": [["d", 1], ["d", 2]]}\n', ":1", "document 'd' is there twice"),
        ("s.jsonl", '{"query_id": "q", "scores": [["d"]]}\n', ":1", "expected (document, score)"),
        ("s.jsonl", b'{"query_id": "\xff", "scores": {}}\n', ":1", "not UTF-8"),
        ("s.jsonl", "", "", "holds no scores"),
        ("s.json", "[1]", "", "expected {query: {document: score}}, got a list"),
        ("s.trec", "q Q0 d 1 2.0 tag\nq Q0 d 1 2.0\n", ":2", "5 fields where a run has 6"),
        ("s.gz", b"", "", "holds no scores"),
        ("s.trec", "q Q0 d 1 high tag\n", ":1", "must be a number, got 'high'"),
        ("s.trec", "q Q0 d 1 2 t\nr Q0 d 1 2 t\nq Q0 e 1 2 t\n", ":3", "query 'q' is there twice"),
        ("s.trec", "q Q0 d 1 2 t\nq Q0 d 2 1 t\n", ":2", "document 'd' is there twice"),
    ],
)
def test_a_bad_entry_is_named(tmp_path, name, content, where, problem):
    path = put(tmp_path / name, content)
    with pytest.raises(InputError) as error:
        read_scores(path)
    assert str(error.value).startswith(f"{path}{where}: ")
    assert problem in str(error.value)


def test_scores_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "s.jsonl"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_scores(path, {"q": {"d": float("nan")}})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"written as \.jsonl"):
        write_scores(tmp_path / "s.pkl", EXPECTED)


def test_the_script_converts_a_pickle_and_explains_what_it_cannot(tmp_path, capsys):
    main = runpy.run_path(str(SCRIPT))["main"]
    source = pickled(tmp_path / "s.pkl.gz", NATIVE)
    assert main([str(source), str(tmp_path / "s.jsonl.gz")]) == 0
    assert "3 scored documents of 2 queries" in capsys.readouterr().out
    assert read_scores(tmp_path / "s.jsonl.gz") == EXPECTED
    evil = pickled(tmp_path / "evil.pkl", Attack(os.getcwd))
    assert main([str(evil), str(tmp_path / "evil.jsonl")]) == 2
    assert "may run code" in capsys.readouterr().err
    assert not (tmp_path / "evil.jsonl").exists()
