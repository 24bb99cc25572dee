"""Several engines over the same texts: their parts of a hybrid, and the fusion of what they find.

This module starts without torch.
"""

import time
from collections.abc import Sequence
from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from splade.data.collections.opening import open_collection, open_queries
from splade.evaluation.efficiency import latency_summary
from splade.evaluation.fusion import Fusion
from splade.evaluation.runs import cut_run, keep_run, run_at
from splade.files import InputError, read_json, write_json
from splade.records import Run
from splade.results.cost import sum_of
from splade.workflow.costs import build, write_conditions
from splade.workflow.engines import AsTexts, Chosen, FromModel, engine_at, named_engine
from splade.workflow.searching import answer_sets

ENGINES, DENSE = "hybrid.engines", "hybrid.dense"
LENGTHS = ("config.max_length", "config.max_length_q")
"""Settings of the config's own model that a dense model beside it reads too, where the user names them."""


class Part(NamedTuple):
    """An engine of a hybrid, with the folders of its index and of its results."""

    name: str
    chosen: Chosen
    index_dir: Path
    out_dir: Path


def parts_of(cfg: DictConfig) -> list[Part]:
    """The parts of ``hybrid.engines``.

    The engine of the config's own model keeps its index in ``config.index_dir``, as for other commands; the others
    have ``config.index_dir/NAME``. InputError for engines that are unknown, named twice or alone.
    """
    names = list(cfg.hybrid_parts.engines)
    known = [str(name) for name in cfg.catalog.engine]
    if named_engine(cfg) is not None:
        raise InputError(f"config.engine={named_engine(cfg)}: a hybrid has several engines; name them in {ENGINES}")
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"{ENGINES}={names}: no such engine as {unknown[0]}; there are {', '.join(known)}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"{ENGINES}={names}: name two different engines or more, of {', '.join(known)}")
    if cfg.hybrid_parts.dense is not None and "dense" not in names:
        raise InputError(f"{DENSE}={cfg.hybrid_parts.dense}: {ENGINES}={names} has no dense among them; add it")
    own, dense = FromModel(cfg), _dense_model(cfg)
    parts: list[Part] = []
    for name in names:
        takes = engine_at(cfg, name, None).takes
        source = AsTexts() if takes == "texts" else dense if takes == "dense" and dense is not None else own
        inside = "" if source is own and all(part.chosen.source is not own for part in parts) else name
        chosen = Chosen(cfg, name, source)
        parts.append(Part(name, chosen, Path(cfg.index.dir) / inside, Path(cfg.retrieve.out_dir) / name))
    for part in parts:
        _check_kind(part)
    return parts


def search_part(part: Part, cfg: DictConfig) -> None:
    """Index the collection with one engine, if it is not yet there, and search every query set."""
    collection = open_collection(cfg.index.collection)
    opened = build(part.chosen.at(part.index_dir), part.chosen.source.documents(collection), part.index_dir)
    asking = part.chosen.source.queries(opened, cfg.search.force)
    answer_sets(opened, (asking.encode(open_queries(source)) for source in cfg.retrieve.queries), part.out_dir, cfg)


def fuse_parts(parts: Sequence[Part], fusion: Fusion, method: str, cfg: DictConfig) -> Path:
    """Write the fusion of the parts' runs on every query set, and what it cost, as a search writes it; its folder."""
    out_dir = Path(cfg.retrieve.out_dir) / method
    for name in cfg.retrieve.names:
        runs = [run_at(part.out_dir / name) for part in parts]
        fused, seconds = _timed(fusion, runs)
        keep_run(out_dir / name, cut_run(fused, cfg.search.top_k), tag=method)
        stats = {part.name: read_json(part.out_dir / name / "stats" / "search_stats.json") for part in parts}
        told = _costs(stats, latency_summary(seconds), method)
        write_json(out_dir / name / "stats" / "search_stats.json", told)
        write_json(out_dir / name / "stats" / "q_stats.json", {"n_queries": len(fused)})
        costs = [read_json(part.out_dir / name / "stats" / "costs.json") for part in parts]
        write_json(out_dir / name / "stats" / "costs.json", reduce(sum_of, costs))
        write_conditions(out_dir / name, cfg)
    return out_dir


def at_part(cfg: DictConfig, index_dir: Path, out_dir: Path) -> DictConfig:
    """``cfg`` with the folders of a part, to evaluate it."""
    own = deepcopy(cfg)
    OmegaConf.update(own, "index.dir", str(index_dir))
    OmegaConf.update(own, "retrieve.out_dir", str(out_dir))
    return own


def _dense_model(cfg: DictConfig) -> FromModel | None:
    """The model of ``hybrid.dense``; None where the config's own is to be used."""
    path = cfg.hybrid_parts.dense
    if path is None:
        return None
    own = deepcopy(cfg)
    values = {
        "init_dict": {"model_type_or_dir": path},
        "config.matching_type": "dense",
        "config.pretrained_no_yamlconfig": True,
        "config.tokenizer_type": None,
        "hf.data": None,
        "model": "${catalog.model.${kinds.model}}",
        "named": ["config.matching_type", "init_dict.model_type_or_dir", *sorted({*LENGTHS} & {*cfg.named})],
    }
    OmegaConf.set_struct(own, False)
    for address, value in values.items():
        OmegaConf.update(own, address, value, merge=False)
    return FromModel(own)


def _check_kind(part: Part) -> None:
    """InputError where the engine takes other documents than its source makes."""
    source, takes = part.chosen.source, engine_at(part.chosen.cfg, part.name, None).takes
    if takes == "dense" and source.kind != takes:
        raise InputError(f"{ENGINES} has dense, and this model makes sparse vectors: name a dense one, {DENSE}=MODEL")
    try:
        part.chosen.at(None)
    except InputError as error:
        raise InputError(f"{ENGINES}, {part.name}: {error}") from error


def _timed(fusion: Fusion, runs: Sequence[Run]) -> tuple[Run, list[float]]:
    """The fused run, and the seconds of each query."""
    fused: Run = {}
    seconds = []
    for query in dict.fromkeys(query for run in runs for query in run):
        began = time.perf_counter()
        fused |= fusion([{query: run[query]} if query in run else {} for run in runs])
        seconds.append(time.perf_counter() - began)
    return fused, seconds


def _costs(stats: dict[str, Any], fusing: dict[str, Any], method: str) -> dict[str, Any]:
    """Describe what a fused result rests on: its parts with their latency, and the sums of what all parts tell."""
    told: dict[str, Any] = {"engine": "hybrid", "strategy": method, "parts": stats, "fusion_latency_ms": fusing}
    flops = _sum(stats, "flops")
    index_bytes = _sum(stats, "index", "index_bytes")
    mean = _sum(stats, "latency_ms", "mean")
    told |= {} if flops is None else {"flops": flops}
    told |= {} if index_bytes is None else {"index": {"index_bytes": index_bytes}}
    if mean is not None and "mean" in fusing:  # one after the other; the percentiles of a sum are no sums
        threads = max(each["latency_ms"]["n_threads"] for each in stats.values())
        conditions = {"n_threads": threads, "n_queries": fusing["n_queries"]}
        told["latency_ms"] = conditions | {"mean": mean + fusing["mean"]}
    return told


def _sum(stats: dict[str, Any], *keys: str) -> float | None:
    """The sum of a number over all parts; None where one does not tell it."""
    found = []
    for value in stats.values():
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        found.append(value)
    return None if None in found else sum(found)
