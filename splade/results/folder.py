"""A result folder, written and read.

A result is one system on one query set. Its folder holds ``run.json`` and ``run.trec`` (the rankings), ``perf.json``
(the metrics alone), ``per_query.json`` (``{metric: {query: value}}``), ``details.json`` (what the metrics rest on and
what they cost), ``stats/`` (what the search wrote of itself) and ``config.yaml``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from splade.evaluation.runs import run_at
from splade.files import InputError, read_json, write_json
from splade.records import Run


class Result(NamedTuple):
    """One system on one query set, as its folder has it."""

    folder: Path
    system: str  # the name of the system, to tell it from others
    dataset: str
    metrics: dict[str, float]
    per_query: dict[str, dict[str, float]]  # {metric: {query: value}}; empty where it was not kept
    details: dict[str, Any]

    def run(self) -> Run:
        """Read the rankings; InputError where the folder has none."""
        return run_at(self.folder)

    def fact(self, address: str) -> Any:
        """Return a value of ``details.json`` by its keys, ``"search_stats.flops"``; None where it is absent."""
        value: Any = self.details
        for key in address.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def flops(self) -> float | None:
        """Expected postings that a query and a document share; None where it was not measured."""
        return self._number("search_stats.flops")

    @property
    def index_bytes(self) -> float | None:
        """Bytes of the index on disk; None where they are not known."""
        return self._number("search_stats.index.index_bytes")

    def latency_ms(self, which: str = "mean") -> float | None:
        """Milliseconds a query: ``mean``, ``p50``, ``p95`` or ``p99``; None where it was not measured."""
        return self._number(f"search_stats.latency_ms.{which}")

    def _number(self, address: str) -> float | None:
        value = self.fact(address)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def write_result(
    folder: str | Path,
    metrics: Mapping[str, float],
    details: Mapping[str, Any],
    per_query: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Write what was measured of the run that is in ``folder``: each file whole, ``perf.json`` last.

    A folder with ``perf.json`` is therefore a complete result. ``per_query`` None removes that of an earlier result.
    """
    folder = Path(folder)
    (folder / "perf.json").unlink(missing_ok=True)
    if per_query is None:
        (folder / "per_query.json").unlink(missing_ok=True)
    else:
        write_json(folder / "per_query.json", {metric: dict(values) for metric, values in per_query.items()})
    write_json(folder / "details.json", dict(details))
    write_json(folder / "perf.json", dict(metrics))


def is_result(folder: str | Path) -> bool:
    """True for a folder with ``perf.json``: what is written last."""
    return (Path(folder) / "perf.json").is_file()


def read_result(folder: str | Path) -> Result:
    """Read the result in ``folder``; InputError where it is none, or a file of it holds something else.

    Folders without ``details.json`` or ``per_query.json`` (of other versions, or made by hand) are read too. Where
    ``details.json`` has no ``system`` or ``dataset``, they are called as the folder is.
    """
    folder = Path(folder)
    if not is_result(folder):
        raise InputError(f"{folder}: no result, there is no perf.json. Run splade.retrieve or splade.evaluate first")
    details = _mapping(folder / "details.json") if (folder / "details.json").is_file() else {}
    per_query = _mapping(folder / "per_query.json") if (folder / "per_query.json").is_file() else {}
    for metric, values in per_query.items():
        _numbers(folder / "per_query.json", values, f"{metric}: ")
    return Result(
        folder=folder,
        system=str(details.get("system") or folder.resolve().name),
        dataset=str(details.get("dataset") or folder.resolve().name),
        metrics=_numbers(folder / "perf.json", read_json(folder / "perf.json")),
        per_query=per_query,
        details=details,
    )


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: {type(value).__name__}, expected an object")
    return value


def _numbers(path: Path, values: Any, where: str = "") -> dict[str, float]:
    if not isinstance(values, dict):
        raise InputError(f"{path}: {where}{type(values).__name__}, expected {{name: number}}")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{path}: {where}{name!r} is {value!r}, expected a number")
    return values
