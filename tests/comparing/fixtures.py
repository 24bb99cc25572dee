"""Runs and qrels whose values on each query are known, and result folders around them."""

import json
from pathlib import Path

from splade.evaluation.runs import write_run
from splade.records import Ranking
from splade.results import write_result
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared" / "data" / "fixtures"
GOOD, POOR = SHARED / "splade-pp-ed.dl19.top100.trec", SHARED / "bm25.dl19.top100.trec"
DL19 = SHARED / "qrels.dl19-passage.full.txt"

QRELS = {"q1": {"d1": 1}, "q2": {"d2": 2}, "q3": {"d3": 1}, "q4": {"d4": 1}}
RANKS = {"ours": (1, 1, 2, None), "theirs": (2, 1, 1, 4)}
"""The rank of the relevant document of each query; None where the system did not answer."""


def run_of(ranks):
    """A run in which the relevant document of query n stands at the n-th of ``ranks``."""
    run = {}
    for number, rank in enumerate(ranks, 1):
        docs = [f"x{place}" for place in range(5)]
        if rank is not None:
            docs[rank - 1] = f"d{number}"
        run[f"q{number}"] = {} if rank is None else {doc: 5.0 - place for place, doc in enumerate(docs)}
    return run


def files(folder: Path):
    """``ours.trec``, ``theirs.json`` and ``qrels.json`` in ``folder``; their paths."""
    write_run(folder / "ours", rankings(run_of(RANKS["ours"])))
    (folder / "ours" / "run.trec").rename(folder / "ours.trec")
    (folder / "theirs.json").write_text(json.dumps(run_of(RANKS["theirs"])))
    (folder / "qrels.json").write_text(json.dumps(QRELS))
    return [str(folder / name) for name in ("ours.trec", "theirs.json", "qrels.json")]


def rankings(run):
    return [Ranking(query, list(found), list(found.values())) for query, found in run.items()]


def result(folder: Path, per_query, dataset="DEV", run=None, **details):
    """A result folder with the values of ``per_query``; details are added to ``details.json``."""
    if run is not None:
        write_run(folder, rankings(run))
    metrics = {metric: sum(values.values()) / len(values) for metric, values in per_query.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_result(folder, metrics, {"dataset": dataset} | details, per_query)
    return folder
