"""The evaluation of one set of a suite: its conventions, what its result rests on, and the result.

A result says what it rests on: model, engine and their settings, the files of the set, the conventions. Where all of
that is as before, the set need not be repeated.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from splade.data.text_files.formats import TITLES
from splade.engines import Documents, Opened
from splade.evaluation.conventions import Conventions, SelfMatches
from splade.evaluation.coverage import relevant_self_matches
from splade.evaluation.measured import measured
from splade.evaluation.metrics import check_metrics
from splade.evaluation.report import stored_facts
from splade.files import InputError
from splade.results import is_result, read_result, write_result
from splade.suites import EvaluationSet, Parts
from splade.workflow.engines import Chosen, engine_at, engine_settings
from splade.workflow.evaluating.conventions import conventions_of
from splade.workflow.evaluating.systems import system_of
from splade.workflow.query_sets import count_unknown_of
from splade.workflow.searching import DROPPED, answer

logger = logging.getLogger(__name__)

LENGTHS = {"model": None, "beir": 256}
"""The numbers of tokens that are read of documents and queries, by name; None stands for the model's own."""
SWITCHES = ("offline", "skip_missing", "keep_index", "again")
ASKED = ("self_matches", "ties", "unanswered", "relevance_level", "titles")
OF_ENCODER = ("fp16", "bf16", "int8", "compile")


class Task(NamedTuple):
    """One set of a suite: its conventions, and the folders of its result and its index."""

    one: EvaluationSet
    rules: Conventions
    metrics: list[str]
    titles: str
    folder: Path
    title: str  # in messages
    alone: bool  # no other set is asked for


def tasks_of(cfg: DictConfig, sets: Sequence[EvaluationSet]) -> list[Task]:
    """The task of each set; InputError for settings that are none, before any work."""
    asked = cfg.beir
    _check(asked, sets)
    return [
        Task(
            one,
            conventions_of(
                {
                    "self_matches": asked.self_matches or one.self_matches,
                    "ties": asked.ties,
                    "unanswered": asked.unanswered,
                    "relevance_level": asked.relevance_level or one.relevance_level,
                },
                "+beir.",
            ),
            list(asked.metrics or one.metrics),
            asked.titles or one.titles,
            Path(cfg.retrieve.out_dir) / "beir" / one.name,
            f"{one.name} ({one.split})",
            len(sets) == 1,
        )
        for one in sets
    ]


def _check(asked: DictConfig, sets: Sequence[EvaluationSet]) -> None:
    """InputError where a setting of ``beir`` is none, or a set has no name that a folder can have."""
    choices: dict[str, tuple[Any, ...]] = {"titles": (None, *TITLES), "lengths": tuple(LENGTHS)}
    choices |= dict.fromkeys(SWITCHES, (True, False))
    for name, accepted in choices.items():
        if asked[name] not in accepted:
            said = ", ".join(str(value).lower() for value in accepted if value is not None)
            raise InputError(f"+beir.{name}={asked[name]}: accepted are {said}")
    for one in sets:
        if {"", ".", ".."} & set(one.name.split("/")):
            raise InputError(f"+beir.dataset={asked.dataset}: {one.name!r} cannot be the name of a folder")
    if not sets:
        raise InputError(f"+beir.dataset={asked.dataset}: names no set")
    if asked.metrics is not None:
        try:
            check_metrics(list(asked.metrics))
        except ValueError as error:
            raise InputError(f"+beir.metrics={asked.metrics}: {error}") from error


def with_lengths(cfg: DictConfig) -> DictConfig:
    """``cfg``, in which ``beir.lengths=beir`` stands for 256 tokens of documents and of queries."""
    length = LENGTHS[cfg.beir.lengths]
    if length is None:
        return cfg
    changed = deepcopy(cfg)
    for name in ("max_length", "max_length_q"):
        OmegaConf.update(changed, f"config.{name}", length, force_add=True)
    changed.named = sorted({*changed.named, "config.max_length", "config.max_length_q"})
    return changed


class System(NamedTuple):
    """The system that a suite evaluates: the name of it, and what its results rest on whatever the set."""

    name: str
    state: dict[str, Any]  # JSON values


def system_from(chosen: Chosen) -> System:
    """The system of a config: model, engine, settings of both, and the conventions that the user named for all sets."""
    cfg = chosen.cfg
    kind = type(engine_at(cfg, chosen.name, None))
    state = {
        "model": chosen.source.fingerprint,
        "engine": engine_settings(cfg, chosen.name) | {"class": f"{kind.__module__}.{kind.__qualname__}"},
        "index": OmegaConf.to_container(cfg.index.layout, resolve=True),
        "encoder": {} if chosen.source.kind == "texts" else {name: cfg.encoder[name] for name in OF_ENCODER},
        "lengths": lengths_of(chosen),
        "search": {name: cfg.search[name] for name in ("top_k", "threshold", "prune_top_terms", "prune_mass")},
        "asked": {name: cfg.beir[name] for name in ASKED} | {"name": cfg.retrieve.system},
    }
    name = system_of(cfg, chosen.name, "" if chosen.source.kind == "texts" else None)
    return System(name, _as_json(state))


def rests_on(system: System, task: Task, parts: Parts, documents: Documents) -> dict[str, Any]:
    """The state that a task's metrics rest on, as JSON: the system, and under ``set`` the files and the conventions."""
    own = {
        "documents": documents.origin,
        **parts.state,
        "split": task.one.split,
        "conventions": task.rules._asdict(),
        "metrics": task.metrics,
    }
    return {"system": system.state, "set": _as_json(own)}


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(value, default=str)))


def lengths_of(chosen: Chosen) -> dict[str, int] | str:
    """The numbers of tokens that are read of documents and of queries."""
    if chosen.source.kind == "texts":
        return "whole texts"
    model = chosen.source.model  # type: ignore[attr-defined]
    return {"documents": int(model.max_length("document")), "queries": int(model.max_length("query"))}


def finished(task: Task, state: Mapping[str, Any]) -> dict[str, float] | None:
    """The metrics of a result that is there already and rests on ``state``; None without one."""
    if not is_result(task.folder) or not (task.folder / "run.json").is_file():
        return None
    try:
        result = read_result(task.folder)
    except InputError as error:
        logger.warning("%s; %s is measured again", error, task.title)
        return None
    return result.metrics if result.fact("rests_on") == state else None


def evaluated(
    chosen: Chosen, system: System, task: Task, parts: Parts, built: Opened, state: Mapping[str, Any]
) -> dict[str, float]:
    """Search a set in its index, measure the run, and write the result, which rests on ``state``; the metrics."""
    cfg, name, rules = chosen.cfg, task.one.name, task.rules
    (task.folder / "perf.json").unlink(missing_ok=True)  # until the new run has figures, the folder is no result
    own = SelfMatches(rules.self_matches, name)
    queries = chosen.source.queries(built).encode(parts.queries)
    run = answer(built, queries, task.folder, cfg, system=system.name, self_matches=own)
    kept = SelfMatches("off", name)  # the run has lost its own already
    found = measured(run, parts.qrels, task.metrics, rules, kept, dropped_before=own.dropped, written="document number")
    lost = relevant_self_matches(parts.qrels, rules.relevance_level) if own.drops else []
    if lost:
        logger.warning(
            "%s: %d relevant documents are dropped as self-matches (query and document %s …) and count as not found; "
            "+beir.self_matches=off keeps them",
            task.title, len(lost), ", ".join(map(repr, lost[:3])),
        )  # fmt: skip
    own_conventions = {"titles": parts.documents.titles, "lengths": state["system"]["lengths"]}
    details = {
        "dataset": name,
        "system": system.name,
        "split": task.one.split,
        "judged_documents_not_in_index": count_unknown_of(task.title, parts.qrels, built),
        "relevant_documents_dropped_as_self_matches": len(lost),
        **found.details,
        "conventions": found.details["conventions"] | own_conventions,
        "rests_on": dict(state),
    }
    write_result(task.folder, found.metrics, details | _facts(task.folder), found.per_query)
    dropped = f"; {len(own.dropped)} self-matches dropped" if own.dropped else ""
    logger.info("%s: %s; %s%s", task.title, found.covered.sentence(rules.answered_only), rules.sentence(), dropped)
    for metric, value in found.metrics.items():
        logger.info("%s: %s %.4f", task.title, metric, value)
    return found.metrics


def _facts(folder: Path) -> dict[str, Any]:
    return {name: value for name, value in stored_facts(folder).items() if name != DROPPED.stem}
