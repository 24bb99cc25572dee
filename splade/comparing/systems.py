"""Systems to compare, read from run files and result folders: their values on each query, and what they cost."""

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from splade.comparing.places import Place, named, places_in
from splade.data.qrels import read_qrels
from splade.evaluation.coverage import coverage
from splade.evaluation.metrics import evaluate_per_query
from splade.evaluation.names import parse, parse_all
from splade.evaluation.runs import run_at
from splade.files import InputError
from splade.records import Qrels, Run
from splade.results import Result

logger = logging.getLogger(__name__)

DEFAULT_METRIC = "ndcg_cut_10"
PerQuery = dict[str, dict[str, float]]


class System(NamedTuple):
    """A system on one query set: its value of each metric on each judged query."""

    name: str
    dataset: str
    source: Path  # the run file, or the folder of the result
    per_query: PerQuery  # {metric: {query: value}}; a query without results has 0
    costs: dict[str, float]  # "flops", "latency_ms", "index_bytes", as far as they are known
    qrels: str | None  # where the judgements are; None where nothing tells

    def rankings(self, query_ids: Sequence[str]) -> Run:
        """The rankings of some queries, best first; queries that were not answered have an empty one."""
        try:
            run = run_at(self.source)
        except InputError:  # a result whose run was removed
            return {query: {} for query in query_ids}
        found = {query: run.get(query, {}) for query in query_ids}
        return {query: dict(sorted(scores.items(), key=lambda item: -item[1])) for query, scores in found.items()}


def read_systems(
    paths: Sequence[str | Path],
    *,
    qrels: str | None = None,
    metrics: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, list[System]]:
    """The systems of ``paths`` by query set, in order.

    A path is a run file, the folder of a result, a folder of results on several query sets, or a folder of such
    folders, one for each system. ``qrels`` judges all runs, and all are then of one query set; without it, results
    tell their values themselves, and run files are judged as the results beside them. ``metrics`` None are those that
    all results have. ``names`` replaces the names of the systems. InputError where systems are not of one query set,
    have the same name, or there are fewer than two.
    """
    systems = named([system for path in paths for system in places_in(path)], names)
    if len(systems) < 2:
        raise InputError(
            f"compare.runs={[str(path) for path in paths]}: one system, and a comparison needs two or more"
        )
    dataset = _single_set(systems, qrels)
    places: dict[str, list[tuple[str, Place]]] = {}
    for name, found in systems.items():
        for place in found:
            places.setdefault(dataset or place.dataset or "", []).append((name, place))
    wanted = _metrics_of(places, qrels, metrics)
    judged = {set_name: _judged(set_name, found, qrels, wanted) for set_name, found in places.items()}
    compared = {set_name: found for set_name, found in judged.items() if len(found) > 1}
    for set_name in judged.keys() - compared.keys():
        logger.warning("%s: %s alone has it, and it is left out", set_name, judged[set_name][0].name)
    if not compared:
        raise InputError(
            f"no two of the systems {', '.join(systems)} have a query set in common: they have {', '.join(judged)}"
        )
    for set_name, systems_of_set in compared.items():
        _refuse_other_queries(set_name, systems_of_set)
        _tell_conventions(set_name, places[set_name])
    return compared


def _single_set(systems: Mapping[str, Sequence[Place]], qrels: str | None) -> str | None:
    """The one query set of all systems, where given qrels or run files make it one; else None."""
    runs = [str(place.path) for found in systems.values() for place in found if place.result is None]
    if qrels is None and not runs:
        return None
    several = [name for name, found in systems.items() if len(found) > 1]
    sets = list(dict.fromkeys(place.dataset for found in systems.values() for place in found if place.dataset))
    what = (
        f"compare.qrels={qrels} judges one query set" if qrels is not None else f"{runs[0]} is a run of one query set"
    )
    if several or (qrels is None and len(sets) > 1):
        raise InputError(
            f"{what}, and there are several: {', '.join(sets)} ({several[0] if several else 'compare.runs'}). Name the "
            "folders of single query sets, as OUT/DEV"
        )
    if qrels is None and not sets:
        raise InputError(f"compare.qrels is not set: name the judgements of {runs[0]}, as compare.qrels=qrels.txt")
    if len(sets) == 1:
        return sets[0]
    name = Path(str(qrels)).name.removesuffix(".gz")
    return (name.rpartition(".")[0] or name).removeprefix("qrels.")


def _metrics_of(
    places: Mapping[str, list[tuple[str, Place]]], qrels: str | None, metrics: Sequence[str] | None
) -> list[str]:
    """The names of the metrics to compare: those asked for, or those that all results have."""
    if metrics is not None:
        try:
            keys = [metric.key for metric in parse_all(metrics)]
        except ValueError as error:
            raise InputError(f"compare.metrics: {error}") from error
        if not keys:
            raise InputError("compare.metrics=[]: name a metric, as ndcg_cut_10")
        return keys
    results = [place.result for found in places.values() for _, place in found]
    if qrels is not None or None in results:
        return [DEFAULT_METRIC]
    kept = [result.per_query for result in results if result is not None]
    common = [metric for metric in kept[0] if all(metric in each for each in kept)]
    if not common:
        raise InputError(
            "compare.metrics is not set, and the results have no metric in common: name one, as ndcg_cut_10"
        )
    return common


def _judged(dataset: str, places: list[tuple[str, Place]], qrels: str | None, metrics: list[str]) -> list[System]:
    known = list(dict.fromkeys(place.qrels for _, place in places if place.qrels is not None))
    source = qrels or (known[0] if known else None)
    read: dict[str, Qrels] = {}

    def judgements(path: str) -> Qrels:
        return read[path] if path in read else read.setdefault(path, read_qrels(path))

    if qrels is None:
        _refuse_other_judgements(dataset, known, judgements)
    found: list[System] = []
    answered: dict[str, set[str]] = {}
    for name, place in places:
        stored = None if qrels is not None or place.result is None else _stored(place.result, metrics)
        if stored is None:
            if source is None:
                raise InputError(_no_values(place, metrics))
            stored, answered[name] = _measured(place, judgements(source), source, metrics)
        found.append(System(name, dataset, place.path, stored, _costs(place.result), source))
    _refuse_other_runs(dataset, answered)
    return found


def _stored(result: Result, metrics: Sequence[str]) -> PerQuery | None:
    """The values that a result keeps, by the names asked for; None where it lacks one of them."""
    kept: dict[object, str] = {}
    for name in result.per_query:
        try:
            kept[parse(name)[0]._replace(key="")] = name
        except ValueError:  # a metric of another version: found by its name alone
            continue
    found = {
        metric: metric if metric in result.per_query else kept.get(parse(metric)[0]._replace(key=""))
        for metric in metrics
    }
    return None if None in found.values() else {metric: result.per_query[str(key)] for metric, key in found.items()}


def _measured(place: Place, qrels: Qrels, source: str, metrics: Sequence[str]) -> tuple[PerQuery, set[str]]:
    """The values of a run, and the judged queries that it answers."""
    run = run_at(place.path)
    try:
        covered = coverage(run, qrels)
    except InputError as error:
        raise InputError(f"{place.path} and {source}: {error}") from error
    logger.info("%s: %s", place.path, covered.sentence())
    return evaluate_per_query(run, qrels, metrics), {query for query in qrels if run.get(query)}


def _no_values(place: Place, metrics: Sequence[str]) -> str:
    kept = place.result.per_query if place.result is not None else {}
    return (
        f"{place.path}: it has no {' or '.join(metric for metric in metrics if metric not in kept)} of each query "
        f"(it has {', '.join(kept) or 'none'}), nor the path of the judgements: set compare.qrels, or choose "
        "compare.metrics among those"
    )


def _costs(result: Result | None) -> dict[str, float]:
    if result is None:
        return {}
    found = {"flops": result.flops, "latency_ms": result.latency_ms(), "index_bytes": result.index_bytes}
    return {name: value for name, value in found.items() if value is not None}


def _refuse_other_judgements(dataset: str, paths: Sequence[str], judgements: Callable[[str], Qrels]) -> None:
    """InputError where two of the qrels that results name are there and differ."""
    read = {path: judgements(path) for path in paths if len(paths) > 1 and Path(path).exists()}
    first = next(iter(read), None)
    for path, found in read.items():
        if first is not None and found != read[first]:
            raise InputError(
                f"{dataset}: the results were judged by {first} and by {path}, which differ: they do not compare. Give "
                "one of them as compare.qrels, to judge all runs by it"
            )


def _refuse_other_runs(dataset: str, answered: Mapping[str, set[str]]) -> None:
    """InputError where two runs answer no query in common."""
    for (first, one), (second, other) in combinations(answered.items(), 2):
        if one and other and not one & other:
            raise InputError(
                f"{dataset}: {first} and {second} answer no judged query in common ({min(one)!r}, {min(other)!r} …); "
                "runs of other query sets do not compare"
            )


def _refuse_other_queries(dataset: str, systems: Sequence[System]) -> None:
    """InputError where the systems have values on other queries."""
    first = systems[0]
    expected = next(iter(first.per_query.values()))
    for system in systems[1:]:
        for metric, values in system.per_query.items():
            if values.keys() != expected.keys():
                raise InputError(
                    f"{dataset}: {first.name} has {len(expected)} judged queries, {system.name} {len(values)} "
                    f"({metric}), of which {len(values.keys() & expected.keys())} are the same: they were evaluated on "
                    "other query sets or qrels, and do not compare. Set compare.qrels to judge their runs alike"
                )


def _tell_conventions(dataset: str, places: Sequence[tuple[str, Place]]) -> None:
    """Warn of results that were evaluated by different conventions."""
    told = [(name, _conventions(place.result)) for name, place in places if place.result is not None]
    for name, conventions in told[1:]:
        for key in conventions.keys() & told[0][1].keys():
            if conventions[key] != told[0][1][key]:
                logger.warning(
                    "%s: %s of %s is %r, and of %s %r: the difference is a part of what is compared",
                    dataset, key, told[0][0], told[0][1][key], name, conventions[key],
                )  # fmt: skip


def _conventions(result: Result) -> dict[str, object]:
    """The conventions of an evaluation, and the threads at which its latency was measured."""
    found = dict(result.fact("conventions") or {})
    threads = result.fact("search_stats.latency_ms.n_threads")
    return found if threads is None else found | {"threads of the latency": threads}
