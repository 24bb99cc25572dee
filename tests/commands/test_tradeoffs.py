"""``splade.tradeoffs``: points are what separate commands give, done once, resumed, told in table and figure."""

import functools
import os
import subprocess
import sys
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

import splade.tradeoffs as command
from splade.config import configure
from splade.data.vectors.vectors import open_vectors
from splade.files import InputError, read_json
from splade.grids import Passes
from splade.indexing import InvertedIndex, Vocabulary
from splade.results import read_result
from tests.commands.test_vectors_command import ALONE, refused  # noqa: F401 - a fixture
from tests.conftest import ROOT
from tests.data.writing import jsonl, tsv

ALL = {
    "prune_mass": [0.5],
    "prune_top_terms": [3],
    "weight_bits": [8],
    "query_mass": [0.6],
    "recall": [0.9],
    "two_step": [2],
}
SEPARATE = {  # by point, the settings of splade.index and of splade.retrieve that give the same
    "baseline": ((), ()),
    "prune_top_terms_3": (("config.prune_top_terms=3",), ()),
    "prune_mass_0.5": (("config.prune_mass=0.5",), ()),
    "weight_bits_8": (("config.index_weights=uint8",), ()),
    "query_mass_0.6": ((), ("config.search.prune_mass=0.6",)),
    "two_step_2": ((), ("engine.strategy=two_step", "engine.terms=2")),
    "recall_0.9": ((), ("engine.strategy=approximate", "engine.recall=0.9")),
}
QUERIES = (
    "data.Q_VECTORS_PATH=[queries.jsonl]",
    "data.EVAL_QREL_PATH=[qrels.tsv]",
    "config.retrieval_name=[SET]",
    "config.eval_metric=[[ndcg_cut_10,recall_10]]",
    "config.top_k=20",
)
SOURCE = "data.VECTORS_PATH=docs.jsonl"


def vectors(seed, n, name, density):
    rng = np.random.default_rng(seed)
    weights = rng.random((n, 40)) * (rng.random((n, 40)) < density)
    return [
        {"id": f"{name}{i}", "vector": {f"t{term}": round(float(row[term]), 4) for term in np.flatnonzero(row > 0.001)}}
        for i, row in enumerate(weights)
    ]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of launch with vectors and qrels; nothing is drawn, which takes longer than all the rest."""
    jsonl(tmp_path / "docs.jsonl", vectors(0, 80, "d", 0.25))
    jsonl(tmp_path / "queries.jsonl", vectors(1, 6, "q", 0.15))
    judged = [(f"q{q}", f"d{(7 * q + step) % 80}", 1) for q in range(6) for step in range(9)]
    tsv(tmp_path / "qrels.tsv", [("query-id", "corpus-id", "score"), *judged])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "tradeoff_figure", lambda outcomes, path: None)
    return tmp_path


@functools.cache
def composed():
    """The config of the command on the files of ``place``, composed once for all tests."""
    return configure("tradeoffs", (SOURCE, *QUERIES, "config.out_dir=OUT", "config.index_dir=MINE"))


def run(grid, **changes: Any):
    """The command with a grid, and with other values in its nodes: ``search__top_k=5``."""
    cfg = deepcopy(composed())
    for name, value in ({"tradeoffs__grid": grid, "tradeoffs__repeats": 2} | changes).items():
        OmegaConf.update(cfg, name.replace("__", "."), value, force_add=True)
    return command.tradeoffs(cfg)


def rows_of(told):
    return told["sets"]["SET"]["points"]


def stamps(place, name="perf.json"):
    return {path.parts[-3]: path.stat().st_mtime_ns for path in (place / "OUT/points").glob(f"*/SET/{name}")}


def test_points_are_evaluated_by_the_conventions_of_the_config(place):
    run({"query_mass": [0.5]}, conventions__ties="trec_eval", conventions__unanswered="left_out")
    told = {
        path.parts[-3]: read_json(path)["conventions"] for path in (place / "OUT/points").glob("*/SET/details.json")
    }
    assert len(told) == 2
    for conventions in told.values():
        assert conventions["ties"].startswith("trec_eval")
        assert conventions["unanswered"] != "count 0"


@pytest.mark.parametrize(
    "axes", [("prune_mass", "query_mass"), pytest.param(tuple(ALL), marks=pytest.mark.slow)], ids=["two", "all"]
)
def test_every_point_is_what_separate_commands_give(place, splade, axes):
    rows = rows_of(run({axis: ALL[axis] for axis in axes}))
    folders = [row["folder"].split("/")[-2] for row in rows]
    assert folders == [name for name in SEPARATE if name == "baseline" or name.rpartition("_")[0] in axes]
    for folder in folders[1:]:
        building, searching = SEPARATE[folder]
        splade("index", SOURCE, f"config.index_dir=I/{folder}", *building, cwd=place)
        splade("retrieve", *QUERIES, *searching, f"config.index_dir=I/{folder}", "config.out_dir=R", cwd=place)
        expected, found = read_result(place / "R/SET"), read_result(place / "OUT/points" / folder / "SET")
        assert found.run() == expected.run(), folder
        assert (found.metrics, found.per_query) == (expected.metrics, expected.per_query)
        for fact in ("index", "flops", "strategy", "query_pruning"):
            assert found.fact(f"search_stats.{fact}") == expected.fact(f"search_stats.{fact}")
        arrays = sum(file.stat().st_size for file in (place / "I" / folder / "inverted_index").glob("*.bin"))
        assert arrays < found.fact("tradeoffs.disk_bytes") < arrays + 4096  # and the header
    quality = [row["metrics"]["ndcg_cut_10"] for row in rows]
    assert [row["difference"] for row in rows] == [value - quality[0] for value in quality]
    assert min(row["ms"] for row in rows) > 0
    assert rows[0]["time_ratio"] == rows[0]["overlap_10"] == 1


def test_table_figure_and_results_stay_and_indexes_of_points_go(place, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.chdir(place)
    run({"prune_mass": [0.5], "query_mass": [0.5]}, tradeoffs__mode="product")
    assert sorted(path.name for path in (place / "OUT").iterdir()) == [
        "config.yaml", "points", "source", "stats", "tradeoffs.json", "tradeoffs.md", "tradeoffs.png",
    ]  # fmt: skip
    table = (place / "OUT/tradeoffs.md").read_text()
    assert "80 documents, k = 20, 1 thread, 2 interleaved passes" in table
    assert table.strip() in capsys.readouterr().out
    assert (place / "OUT/tradeoffs.png").read_bytes().startswith(b"\x89PNG")
    assert [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| ")] == [
        "| point", "| baseline", "| document mass 0.5, query mass 0.5",
    ]  # fmt: skip


def test_finished_points_are_kept_and_a_larger_grid_measures_the_new_ones_alone(place, caplog):
    caplog.set_level("INFO")
    run({"prune_mass": [0.5]})
    before = stamps(place)
    run({"prune_mass": [0.5]})
    assert stamps(place) == before
    assert "all 2 points are there" in caplog.text
    told = run({"prune_mass": [0.5, 0.7]})
    after = stamps(place)
    assert {name: stamp for name, stamp in after.items() if name in before} == before
    assert set(after) - set(before) == {"prune_mass_0.7"}
    assert len(rows_of(told)) == 3
    assert caplog.text.count("OUT/source holds these documents already") == 1


def test_an_interrupted_grid_goes_on_without_searching_again(place, monkeypatch):
    grid = {"prune_mass": [0.5], "query_mass": [0.5]}

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(Passes, "measure", stop)
        with pytest.raises(KeyboardInterrupt, match="the same command goes on"):
            run(grid)
    assert stamps(place) == {}
    runs = stamps(place, "run.json")
    assert len(runs) == 3
    run(grid)
    assert stamps(place, "run.json") == runs
    assert len(stamps(place)) == 3


def test_other_vectors_or_other_settings_never_meet_old_results(place):
    grid = {"query_mass": [0.5]}
    first = run(grid)
    before = stamps(place)
    run(grid, search__top_k=5)
    again = stamps(place)
    assert all(again[name] > before[name] for name in before)
    jsonl(place / "docs.jsonl", vectors(0, 60, "d", 0.25))
    other = run(grid)
    assert all(stamp > again[name] for name, stamp in stamps(place).items())
    assert (first["n_docs"], other["n_docs"]) == (80, 60)


def test_vectors_read_out_of_an_index_give_the_points_of_the_vectors_themselves(place, caplog):
    given = run({"prune_mass": [0.5]})
    (place / "OUT/source").rename(place / "MINE")
    read = run({"prune_mass": [0.5]}, index__vectors=None, retrieve__out_dir="READ")
    quality = [[(row["metrics"], row["postings"]) for row in rows_of(told)] for told in (given, read)]
    assert quality[0] == quality[1]
    assert not (place / "READ/source").exists()
    assert InvertedIndex.open(place / "MINE").n_docs == 80
    assert "its postings were pruned" not in caplog.text


@pytest.mark.slow
def test_an_index_whose_postings_were_pruned_before_is_searched_with_a_warning(place, caplog):
    (batch,) = open_vectors(place / "docs.jsonl").batches(terms := Vocabulary())
    index = InvertedIndex.from_csr(batch, vocabulary=terms, prune_top_terms=4, weights="float16")
    index.save(place / "MINE")
    told = run({"query_mass": [0.5]}, index__vectors=None)
    assert "its postings were pruned, or its weights rounded (float16), when it was built" in caplog.text
    assert rows_of(told)[0]["postings"] <= 80 * 4


def test_a_product_combines_axes_and_the_baseline_is_as_configured(place):
    grid = {"prune_mass": [0.5], "query_top_terms": [None, 2]}
    changes = {"tradeoffs__mode": "product", "index__layout__prune_top_terms": 6, "tradeoffs__metric": "recall_10"}
    told = run(grid, **changes)
    rows = rows_of(told)
    assert [row["point"] for row in rows] == ["baseline", "prune_mass=0.5", "prune_mass=0.5 query_top_terms=2"]
    assert rows[2]["L0_q"] <= 2 < rows[1]["L0_q"]
    assert rows[0]["postings"] <= 80 * 6
    assert told["sets"]["SET"]["metric"] == "recall_10"


@pytest.mark.slow
def test_given_vectors_need_neither_model_nor_torch(place):
    done = subprocess.run(
        [sys.executable, "-c", ALONE, "tradeoffs", SOURCE, *QUERIES, "config.out_dir=OUT", "tradeoffs.repeats=1",
         "tradeoffs.grid={prune_mass:[0.5]}"],
        cwd=place, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_a_models_documents_are_encoded_once(workplace, splade, tmp_path, caplog):
    arguments = (
        "init_dict.model_type_or_dir=MODEL",
        "config.pretrained_no_yamlconfig=true",
        "data.COLLECTION_PATH=data/msmarco/full_collection",
        "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]",
        "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]",
        "config.retrieval_name=[SET]",
        "config.eval_metric=[[mrr_10]]",
        f"config.index_dir={tmp_path}/none",
        f"config.out_dir={tmp_path}/OUT",
        "tradeoffs.repeats=1",
    )
    caplog.set_level("INFO")
    splade("tradeoffs", *arguments, "tradeoffs.grid={prune_mass:[0.5]}", cwd=workplace)
    splade("tradeoffs", *arguments, "tradeoffs.grid={prune_mass:[0.5],query_mass:[0.5]}", cwd=workplace)
    assert caplog.text.count("OUT/source holds these documents already: 12") == 1
    rows = rows_of(read_json(tmp_path / "OUT/tradeoffs.json"))
    retrieved = (*arguments[:2], *arguments[3:7], f"config.index_dir={tmp_path}/OUT/source")
    splade("retrieve", *retrieved, f"config.out_dir={tmp_path}/R", "config.search.prune_mass=0.5", cwd=workplace)
    assert rows[2]["metrics"] == read_json(tmp_path / "R/SET/perf.json")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tradeoffs__grid": {"prune_mas": [0.5]}}, "tradeoffs.grid.prune_mas: there is no such axis; did you mean"),
        ({"tradeoffs__grid": {"prune_mass": [2]}}, "tradeoffs.grid.prune_mass must be a number > 0 and <= 1, got 2"),
        ({"tradeoffs__grid": {"prune_mass": 0.5}}, "tradeoffs.grid.prune_mass=0.5: give a list of values"),
        ({"tradeoffs__grid": {"weight_bits": [4]}}, "tradeoffs.grid.weight_bits=4: accepted are 8, 16, 32"),
        ({"tradeoffs__grid": [1]}, "tradeoffs.grid=[1]: give values by axis"),
        ({"tradeoffs__mode": "all"}, "tradeoffs.mode=all: accepted are each, product"),
        ({"tradeoffs__repeats": 0}, "tradeoffs.repeats must be a whole number >= 1, got 0"),
        ({"tradeoffs__metric": "mrr_10"}, "tradeoffs.metric=mrr_10: not among the metrics of SET"),
        ({"config__engine": "bm25"}, "config.engine=bm25: splade.tradeoffs changes layout, pruning and strategy of"),
        ({"kinds__engine": "dense"}, "config.engine=dense: splade.tradeoffs changes layout"),
        ({"retrieve__qrels": [None]}, "no query set has qrels and metrics"),
        ({"index__vectors": None}, "config.index_dir=MINE: there is no index here to read vectors of"),
    ],
)
def test_a_grid_that_cannot_be_measured_is_refused_before_the_work(changes, told, place):
    with pytest.raises(InputError) as refusal:
        run(None, **changes)
    assert told in str(refusal.value)
    assert not (place / "OUT/points").exists()


def test_the_command_line_refuses_in_one_sentence(place, refused):  # noqa: F811
    told = refused("tradeoffs", SOURCE, *QUERIES, "config.out_dir=OUT", "tradeoffs.grid.prune_mass=[2]", cwd=place)
    assert told == "splade tradeoffs: tradeoffs.grid.prune_mass must be a number > 0 and <= 1, got 2\n"
    assert "tradeoffs.grids: there is no such setting" in refused("tradeoffs", "tradeoffs.grids={}", cwd=place)
    assert "only splade.tradeoffs reads tradeoffs" in refused("retrieve", "tradeoffs.repeats=3", cwd=place)
