"""Sections of a card that result folders and the config of a training fill."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from splade.results import Result

CONVENTIONS = {
    "self_matches": "{}",
    "ties": "ties {}",
    "unanswered": "unanswered queries {}",
    "relevance_level": "relevant from grade {} on",
}
PACKAGES = ("splade", "torch", "transformers", "numpy", "numba", "pytrec-eval-terrier", "python")
MACHINE = {"gpu": "GPU", "processor": "processor", "cores": "cores", "memory_gb": "memory (GiB)", "system": "system"}


def metrics(results: Sequence[Result]) -> list[str]:
    """The metrics of each query set, and the conventions that they rest on."""
    if not results:
        return ["## Metrics", "None were given when this was pushed."]
    names = list(dict.fromkeys(name for one in results for name in one.metrics))
    rows = [
        (one.dataset, one.fact("queries.judged"), _engine(one), *(_figure(one.metrics.get(name)) for name in names))
        for one in results
    ]
    told = {_conventions(one) for one in results}
    sentences = told if len(told) == 1 else [f"{one.dataset}: {_conventions(one)}" for one in results]
    return [
        "## Metrics",
        table(["query set", "judged queries", "search", *names], rows),
        "Conventions: " + ". ".join(sentences) + ".",
    ]


def sparsity(results: Sequence[Result]) -> list[str]:
    """The mean non-zeros of queries and documents, and FLOPS, of each query set; nothing without any."""
    rows = [
        (
            one.dataset,
            _figure(one.fact("q_stats.L0_q"), 1),
            _figure(one.fact("search_stats.index.L0_d"), 1),
            _figure(one.flops, 3),
        )
        for one in results
        if one.fact("q_stats.L0_q") is not None or one.flops is not None
    ]
    if not rows:
        return []
    return [
        "## Sparsity",
        table(["query set", "L0_q", "L0_d", "FLOPS"], rows),
        "`L0_q` and `L0_d` are the mean numbers of terms of a query and of a document; FLOPS is the expected number of "
        "terms that a query shares with a document.",
    ]


def recipe(values: Mapping[str, Any]) -> list[str]:
    """The settings of the training; a sentence where they are not known."""
    if not values:
        return ["## Recipe", "The config of the training is not known."]
    return ["## Recipe", table(["setting", "value"], values.items())]


def conditions(results: Sequence[Result]) -> list[str]:
    """Versions and machines that the metrics were measured with; nothing where they are not known."""
    told = [one.fact("conditions") for one in results]
    known = [each for each in told if isinstance(each, Mapping)]
    rows = [
        row
        for each in known
        for row in (
            *((name, each.get("versions", {}).get(name)) for name in PACKAGES),
            ("revision of the code", each.get("revision")),
            *((words, each.get("machine", {}).get(name)) for name, words in MACHINE.items()),
        )
        if row[1] is not None
    ]
    if not rows:
        return []
    return ["## Versions and hardware", "Metrics were measured with:", table(["", ""], dict.fromkeys(rows))]


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _engine(result: Result) -> str:
    told = [result.fact(f"search_stats.{name}") for name in ("engine", "strategy")]
    return ", ".join(str(each) for each in told if each is not None)


def _conventions(result: Result) -> str:
    told = result.fact("conventions")
    if not isinstance(told, Mapping):
        return "not recorded"
    return "; ".join(words.format(told[name]) for name, words in CONVENTIONS.items() if name in told)


def _figure(value: Any, digits: int = 4) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else ""


def _cell(value: Any) -> str:
    text = "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return " ".join(text.split()).replace("|", "\\|")
