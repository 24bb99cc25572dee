"""The command splade.fuse."""

import gzip
import json

import pytest

from splade.evaluation.runs import read_run, write_run
from splade.records import Ranking
from tests.comparing.fixtures import rankings

FIRST = {"q1": {"a": 9.0, "b": 7.0}}
SECOND = {"q1": {"b": 0.5, "c": 0.25}, "q2": {"c": 1.0}}


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "A.trec").write_text("q1 Q0 a 1 9.0 x\nq1 Q0 b 2 7.0 x\n")
    (tmp_path / "B.json.gz").write_bytes(gzip.compress(json.dumps(SECOND).encode()))
    (tmp_path / "other.trec").write_text("q9 Q0 a 1 9.0 x\n")
    write_run(tmp_path / "folder", rankings(SECOND))
    return tmp_path


def test_runs_of_either_kind_are_fused_into_either(splade, runs):
    splade("fuse", "fuse.runs=[A.trec,B.json.gz]", "fuse.method=rrf", "fuse.out=C.trec", cwd=runs)
    assert (runs / "C.trec").read_text().splitlines()[0] == f"q1 Q0 b 1 {1 / 62 + 1 / 61!r} rrf"
    assert list(read_run(runs / "C.trec")["q1"]) == ["b", "a", "c"]
    splade("fuse", "fuse.runs=[A.trec,folder]", "fuse.method=min_max", "fuse.weights=[1,3]", "fuse.top_k=2",
           "fuse.out=out/C.json", cwd=runs)  # fmt: skip
    assert read_run(runs / "out" / "C.json") == {"q1": {"b": 3.0, "a": 1.0}, "q2": {"c": 3.0}}


def test_ids_that_trec_cannot_hold_leave_no_file(splade, runs, capsys):
    write_run(runs / "spaced", [Ranking("q1", ["a b"], [1.0])])
    with pytest.raises(SystemExit):
        splade("fuse", "fuse.runs=[spaced,A.trec]", "fuse.out=C.trec", cwd=runs)
    assert "the id 'a b' contains white space" in capsys.readouterr().err
    assert not (runs / "C.trec").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        slow(["fuse.runs=[A.trec]"], "name two runs or more"),
        slow(["fuse.runs=[A.trec,A.trec]"], "a run is there twice"),
        (["fuse.runs=[A.trec,other.trec]"], "other.trec: it has no query in common with A.trec"),
        (["fuse.out=C.run"], "C.run: a run file ends in .trec or .json"),
        slow(["fuse.method=rff"], "fuse.method=rff: accepted are rrf, min_max, comb_mnz; did you mean 'rrf'?"),
        (["fuse.weights=[1]"], "fuse.weights=[1.0]: 1 for 2 runs; give one for each"),
    ],
)
def test_what_cannot_be_fused_is_told_in_words(splade, runs, capsys, given, told):
    with pytest.raises(SystemExit) as refused:
        splade("fuse", "fuse.runs=[A.trec,folder]", "fuse.out=C.trec", *given, cwd=runs)
    assert refused.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (runs / "C.trec").exists()
