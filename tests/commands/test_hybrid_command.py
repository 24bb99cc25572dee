"""The command splade.hybrid: our engine, BM25 and dense vectors over the same texts, and their fusion."""

import json

import pytest

from splade.comparing.systems import read_systems
from splade.evaluation.fusion import MinMax, ReciprocalRank
from splade.evaluation.runs import read_run
from splade.files import read_json
from splade.results import read_result
from tests.commands.test_engine_choice import EXPECTED, MODEL, QUERIES, TEXTS
from tests.commands.world import QUESTIONS
from tests.tiny import tiny_encoder


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def place(workplace, tmp_path_factory):
    qrels = workplace / "data" / "msmarco" / "dev_qrel.json"
    qrels.write_text(json.dumps({query: {f"d{number}": 1} for number, query in enumerate(QUESTIONS)}))
    return tmp_path_factory.mktemp("hybrid")


def asked(place, *more):
    return ("hybrid", *MODEL, TEXTS, *QUERIES, f"config.index_dir={place / 'index'}", f"config.out_dir={place / 'out'}",
            *more)  # fmt: skip


def test_three_engines_are_searched_fused_and_evaluated_in_one_command(splade, workplace, place, capsys):
    tiny_encoder(place / "dense", hidden=16, layers=1)
    splade(*asked(place, "hybrid.engines=[inverted,bm25,dense]", f"hybrid.dense={place / 'dense'}"), cwd=workplace)
    runs = [read_run(place / "out" / name / "DEV" / "run.json") for name in ("inverted", "bm25", "dense")]
    assert {query: list(found) for query, found in runs[1].items()} == EXPECTED
    fused = read_run(place / "out" / "rrf" / "DEV" / "run.json")
    assert fused == {query: dict(list(found.items())[:5]) for query, found in ReciprocalRank()(runs).items()}
    assert read_result(place / "out" / "rrf" / "DEV").metrics.keys() == {"mrr_10"}
    facts = read_json(place / "out" / "rrf" / "DEV" / "stats" / "search_stats.json")
    assert [facts["parts"][name]["engine"] for name in facts["parts"]] == ["inverted", "bm25", "dense"]
    means = [part["latency_ms"]["mean"] for part in facts["parts"].values()]
    assert facts["latency_ms"]["mean"] == pytest.approx(sum(means) + facts["fusion_latency_ms"]["mean"])
    assert "flops" not in facts  # dense vectors have none
    (systems,) = read_systems([place / "out"]).values()
    assert [system.name for system in systems] == ["bm25", "dense", "inverted", "rrf"]
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")] == [
        "[inverted]", "[bm25]", "[dense]", "[rrf]"]  # fmt: skip


@pytest.mark.slow
def test_the_index_of_other_commands_is_shared_and_kept(splade, workplace, place):
    splade(*asked(place, "fuse.method=min_max", "fuse.weights=[2,1]"), cwd=workplace)
    headers = [place / "index" / inner / "inverted_index" / "header.json" for inner in ("", "bm25")]
    before = [header.stat().st_mtime_ns for header in headers]
    splade("retrieve", *MODEL, *QUERIES, f"config.index_dir={place / 'index'}", f"config.out_dir={place / 'alone'}",
           cwd=workplace)  # fmt: skip
    assert read_run(place / "alone" / "DEV" / "run.json") == read_run(place / "out" / "inverted" / "DEV" / "run.json")
    splade(*asked(place, "fuse.method=min_max", "fuse.weights=[2,1]"), cwd=workplace)
    assert [header.stat().st_mtime_ns for header in headers] == before
    runs = [read_run(place / "out" / name / "DEV" / "run.json") for name in ("inverted", "bm25")]
    fused = read_run(place / "out" / "min_max" / "DEV" / "run.json")
    assert fused["q0"] == dict(list(MinMax(weights=[2, 1])(runs)["q0"].items())[:5])
    facts = read_json(place / "out" / "min_max" / "DEV" / "stats" / "search_stats.json")
    assert facts["flops"] == sum(part["flops"] for part in facts["parts"].values())
    assert facts["index"]["index_bytes"] == sum(part["index"]["index_bytes"] for part in facts["parts"].values())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        slow(["hybrid.engines=[inverted,bm35]"], "no such engine as bm35; there are inverted, dense, bm25"),
        slow(["hybrid.engines=[bm25]"], "name two different engines or more"),
        slow(["engine=bm25"], "config.engine=bm25: a hybrid has several engines"),
        slow(["hybrid.dense=MODEL"], "has no dense among them; add it"),
        (["hybrid.engines=[inverted,dense]"], "name a dense one, hybrid.dense=MODEL"),
        (["fuse.weights=[1,2,3]"], "3 for 2 runs"),
    ],
)
def test_what_is_no_hybrid_is_refused_before_work(splade, workplace, place, tmp_path, capsys, given, told):
    with pytest.raises(SystemExit) as refused:
        splade(*asked(tmp_path, *given), cwd=workplace)
    assert refused.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "index").exists()
