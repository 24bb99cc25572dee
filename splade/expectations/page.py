"""The page of commands and values, in Markdown and JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from splade.expectations.rows import told_difference
from splade.expectations.running import Outcome, line_of

INTRODUCTION = """\
# Expected and found values

Each section names a model and a set, the commands that give its values, and where the expected ones come from.
A value *matches* if it differs from the expected one by no more than the tolerance.
"""


def markdown(outcomes: Sequence[Outcome], again: str = "python -m splade.reproduce") -> str:
    """The page. ``again`` is the command to which a row's name is appended to run it alone."""
    counts = Counter(one.verdict for one in outcomes)
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    parts = [INTRODUCTION, f"{len(outcomes)} rows: {summary}.\n", *_table(outcomes)]
    for _, group in groupby(outcomes, key=lambda one: (one.row.model, one.row.sets, one.row.commands)):
        parts += _section(list(group), again)
    return "\n".join(parts)


def as_json(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The outcomes as JSON: what was expected, what was found, and the verdict."""
    return [
        {
            "name": one.row.name,
            "model": one.row.model,
            "sets": list(one.row.sets),
            "metric": one.row.metric,
            "expected": one.row.value,
            "tolerance": one.row.tolerance,
            "source": one.row.source,
            "found": one.found,
            "verdict": one.verdict,
            "why": one.why,
            "commands": _commands(one),
        }
        for one in outcomes
    ]


def _table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "| row | model | set | metric | expected | found | difference | verdict |"
    yield "|---|---|---|---|--:|--:|--:|---|"
    for one in outcomes:
        row = one.row
        cells = (
            row.name,
            row.model,
            row.set_name,
            row.metric,
            f"{row.value:.4f}",
            *_figures(one),
            f"**{one.verdict}**",
        )
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _figures(one: Outcome) -> tuple[str, str]:
    if one.found is None or one.difference is None:
        return "–", "–"
    return f"{one.found:.4f}", told_difference(one.difference)


def _section(group: Sequence[Outcome], again: str) -> Iterator[str]:
    row = group[0].row
    yield f"## {row.model}: {row.set_name}\n"
    if len(row.sets) > 1:
        yield f"The unweighted mean over {', '.join(row.sets)}.\n"
    yield "```bash"
    yield from _commands(group[0])
    yield "```\n"
    yield "| row | metric | expected | tolerance | found | verdict | source |"
    yield "|---|---|--:|--:|--:|---|---|"
    for one in group:
        row = one.row
        found, _ = _figures(one)
        cells = (row.name, row.metric, f"{row.value:.4f}", f"{row.tolerance:g}", found, one.verdict, row.source)
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""
    for why in dict.fromkeys(one.why for one in group if one.why):
        yield f"{group[0].verdict.capitalize()}: {why}.\n"
    yield f"This alone: `{again} {group[0].row.name}`\n"


def _commands(one: Outcome) -> list[str]:
    """The lines to copy, each once: sets whose commands are the same share them."""
    return list(dict.fromkeys(line_of(command) for run in one.runs for command in run.commands))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
