"""Rows of expected values, as the files of ``expected/`` have them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from splade.evaluation.metrics import check_metrics
from splade.files import InputError

ALL = "all"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
OWN_PLACEHOLDERS = ("set", "out", "index")
REQUIRED = ("name", "model", "set", "command", "metric", "value", "tolerance", "source")
OPTIONAL = ("needs", "result")
NAME = re.compile(r"[\w.-]+")
ROUNDING = 1e-9  # decimal values have no exact binary ones: 0.5 - 0.49 is above 0.01
PRINTED = "printed"
"""The ``result`` of a row whose command prints the value, as ``METRIC VALUE``."""


class Row(NamedTuple):
    """One expected value of one metric, and the commands that give it.

    ``commands`` are words without ``python -m``; ``{data}``, ``{model}``, ``{set}``, ``{out}`` and ``{index}`` in them
    stand for the folder of the data, the folder of the model, the name of the set, and the folders to write.
    """

    name: str
    file: str  # the stem of the file that holds it
    model: str
    sets: tuple[str, ...]  # of several, the unweighted mean counts
    commands: tuple[str, ...]
    metric: str
    value: float
    tolerance: float  # the largest difference from ``value`` that still counts as the same
    source: str
    needs: Mapping[str, str]  # {placeholder: name of the data or model}
    result: str  # the folder below {out} that holds perf.json, or PRINTED

    def matches(self, value: float) -> bool:
        """True where ``value`` is the expected one, within the tolerance."""
        return abs(value - self.value) <= self.tolerance + ROUNDING

    @property
    def set_name(self) -> str:
        """The sets in a word or two."""
        return self.sets[0] if len(self.sets) == 1 else f"mean of {len(self.sets)} sets"


def told_difference(difference: float) -> str:
    """A difference from an expected value, as tables show it."""
    return f"{round(difference, 4) + 0.0:+.4f}"  # + 0.0: no minus before a nought


def rows_of(files: Mapping[str, Any]) -> list[Row]:
    """The rows of ``{file: what it holds}``; InputError names the file and the row of what cannot be used."""
    rows: list[Row] = []
    for file, listed in files.items():
        if not isinstance(listed, list):
            raise InputError(f"{file}: expected a list of rows, got {type(listed).__name__}")
        for number, entry in enumerate(listed, 1):
            rows.append(_row(file, f"{file}, row {number}", entry))
    taken = {ALL: "every row"} | {row.file: f"the file {row.file}.yaml" for row in rows}
    for row in rows:
        if row.name in taken:
            raise InputError(
                f"{row.file}.yaml: the name {row.name} stands for {taken[row.name]} already; rename the row"
            )
        taken[row.name] = f"a row of {row.file}.yaml"
    return rows


def choose_rows(rows: Sequence[Row], names: str | Iterable[str], setting: str = "reproduce.name") -> list[Row]:
    """The rows that ``names`` name, in the order of ``rows``: a row, a file's stem, a pattern (``bm25-*``), or all.

    InputError for a name that none has, with the nearest one; ``setting`` is where the names come from.
    """
    chosen: set[str] = set()
    for name in [names] if isinstance(names, str) else names:
        found = [row.name for row in rows if name in (ALL, row.file) or fnmatchcase(row.name, name)]
        if not found:
            known = sorted({row.file for row in rows} | {row.name for row in rows})
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"{setting}={name}: no expected row has this name{hint}\nthere are: {', '.join(known)}")
        chosen.update(found)
    return [row for row in rows if row.name in chosen]


def _row(file: str, where: str, entry: Any) -> Row:
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: expected a mapping with {', '.join(REQUIRED)}, got {entry!r}")
    if isinstance(entry.get("name"), str):
        where = f"{where} ({entry['name']})"
    problems = [*_problems(entry)]
    if problems:
        raise InputError(f"{where}: {'; '.join(problems)}")
    command, sets = entry["command"], entry["set"]
    return Row(
        name=entry["name"],
        file=file.removesuffix(".yaml"),
        model=entry["model"],
        sets=(sets,) if isinstance(sets, str) else tuple(sets),
        commands=(command,) if isinstance(command, str) else tuple(command),
        metric=entry["metric"],
        value=float(entry["value"]),
        tolerance=float(entry["tolerance"]),
        source=entry["source"],
        needs=dict(entry.get("needs") or {}),
        result=entry.get("result", "{set}"),
    )


def _problems(entry: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about what is wrong with the keys and values of a row."""
    missing = [key for key in REQUIRED if entry.get(key) in (None, "", [])]
    if missing:
        yield f"{', '.join(missing)} missing"
    for key in entry:
        if key not in (*REQUIRED, *OPTIONAL):
            near = get_close_matches(str(key), (*REQUIRED, *OPTIONAL), n=1)
            yield f"there is no key {key}" + (f", did you mean {near[0]}?" if near else "")
    if not missing:
        yield from _problems_of_values(entry)
        yield from _problems_of_placeholders(entry)


def _problems_of_values(entry: Mapping[str, Any]) -> Iterator[str]:
    for key in ("name", "model", "metric", "source"):
        if not isinstance(entry[key], str):
            yield f"{key} must be a text, got {entry[key]!r}"
    if not NAME.fullmatch(str(entry["name"])):
        yield f"name {entry['name']!r} may have letters, digits, '_', '-' and '.'"
    for key in ("value", "tolerance"):
        if isinstance(entry[key], bool) or not isinstance(entry[key], int | float):
            yield f"{key} must be a number, got {entry[key]!r}"
        elif key == "tolerance" and entry[key] < 0:
            yield f"tolerance must be at least 0, got {entry[key]!r}"
    try:
        check_metrics([str(entry["metric"])])
    except ValueError as error:
        yield str(error)


def _problems_of_placeholders(entry: Mapping[str, Any]) -> Iterator[str]:
    """Sentences about sets, commands and needs, and the placeholders that the commands have for them."""
    needs = entry.get("needs") or {}
    for key in ("set", "command"):
        if not isinstance(entry[key], str) and not (isinstance(entry[key], list) and _texts(entry[key])):
            yield f"{key} must be a text or a list of texts, got {entry[key]!r}"
            return
    if not isinstance(needs, Mapping) or not _texts(list(needs.values())):
        yield f"needs must be {{data or model: name}}, got {needs!r}"
        return
    for key in needs:
        if key != "data" and not key.startswith("model"):
            yield f"needs.{key}: a need is data, or begins with model"
    texts = [entry["command"]] if isinstance(entry["command"], str) else entry["command"]
    used = {name for text in [*texts, str(entry.get("result", ""))] for name in PLACEHOLDER.findall(text)}
    for name in sorted(used - {*OWN_PLACEHOLDERS, *needs}):
        yield f"{{{name}}} stands for nothing: use {', '.join(f'{{{own}}}' for own in (*OWN_PLACEHOLDERS, *needs))}"
    if not isinstance(entry["set"], str) and "set" not in used:
        yield "several sets, and the command has no {set}"


def _texts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) and value for value in values)
