"""A comparison as a page of Markdown."""

import math
import re
from collections.abc import Iterator, Sequence

from splade.comparing.comparison import Comparison, Pair, averages
from splade.comparing.formats import COSTS, MeansOf, cost_text, is_best
from splade.comparing.moves import PairMoves, QueryMove

TEXT = 100  # characters of a text that a table shows


def as_markdown(comparison: Comparison, moved: Sequence[PairMoves] = ()) -> str:
    """Means with intervals, the tests of all pairs, and the queries that made the difference."""
    lines = ["# Comparison", ""]
    sets = comparison.means if len(comparison.sets) == 1 else comparison.means | {"average": averages(comparison)}
    for name, means in sets.items():
        lines += [f"## {_md(name)}", "", *_means_table(comparison, name, means), ""]
    lines += ["## Differences", "", *_wrapped_method(comparison), "", *_differences_table(comparison), ""]
    for pair in moved:
        lines += _moved_section(pair)
    return "\n".join(lines).rstrip() + "\n"


def _means_table(comparison: Comparison, name: str, means: MeansOf) -> Iterator[str]:
    systems = {system.name: system for system in comparison.sets.get(name, [])}
    costs = [cost for cost in COSTS if any(cost in system.costs for system in systems.values())]
    n_queries = {len(next(iter(system.per_query.values()))) for system in systems.values()}
    if n_queries:
        yield from [f"{n_queries.pop()} queries; in brackets, {_percent(comparison)} confidence intervals.", ""]
    yield _row(["system", *map(_md, comparison.metrics), *(COSTS[cost] for cost in costs)])
    yield _row(["---", *["--:"] * (len(comparison.metrics) + len(costs))])
    for system in next(iter(means.values())):
        cells = []
        for metric in comparison.metrics:
            mean, best = means[metric][system], is_best(means[metric], system)
            cells.append(f"{'**' * best}{mean.value:.4f}{'**' * best}{_interval(mean.low, mean.high)}")
        cells += [cost_text(cost, systems[system].costs.get(cost), "") for cost in costs]
        yield _row([_md(system), *cells])


def _wrapped_method(comparison: Comparison) -> list[str]:
    settings = comparison.settings
    sampled = any(not pair.exact for pair in comparison.pairs)
    how = f", {settings.n_samples} samples by seed {settings.seed}" if sampled else ", exact"
    return [
        f"Each row is the first system minus the second. Tests are paired and two-sided: Student's t and randomisation "
        f"(signs flipped{how}).",
        f"Holm's correction is over {comparison.family}, for each of the two tests on its own. *d* is Cohen's, of the "
        "paired differences.",
    ]


def _differences_table(comparison: Comparison) -> Iterator[str]:
    several = len(comparison.sets) > 1
    titles = ["first", "second", "metric", "difference", "*d*", "wins / losses / ties"]
    titles += ["p (t)", "Holm", "p (randomisation)", "Holm"]
    yield _row([*["query set"] * several, *titles])
    yield _row([*["---"] * several, "---", "---", "---", *["--:"] * 7])
    for pair in comparison.pairs:
        cells = [_md(pair.first), _md(pair.second), _md(pair.metric)]
        cells += [f"{pair.difference:+.4f}{_interval(pair.low, pair.high, '+')}"]
        cells += [f"{pair.effect:+.2f}" if math.isfinite(pair.effect) else ""]
        cells += [f"{pair.wins} / {pair.losses} / {pair.ties}", *_p_values(pair, comparison)]
        yield _row([*[_md(pair.dataset)] * several, *cells])


def _p_values(pair: Pair, comparison: Comparison) -> list[str]:
    corrected = [_p(pair.p_t_holm), _p(pair.p_randomisation_holm)]
    bold = [
        f"**{text}**" if value < 1 - comparison.settings.level else text
        for text, value in zip(corrected, (pair.p_t_holm, pair.p_randomisation_holm), strict=True)
    ]
    return [_p(pair.p_t), bold[0], _p(pair.p_randomisation), bold[1]]


def _moved_section(pair: PairMoves) -> Iterator[str]:
    title = f"{_md(pair.first)} against {_md(pair.second)}, by {_md(pair.metric)} ({_md(pair.dataset)})"
    yield from [f"## Queries: {title}", ""]
    for what, queries in (("most won", pair.won), ("most lost", pair.lost)):
        if not queries:
            yield from [f"No query is {what.removeprefix('most ')}.", ""]
            continue
        values = [_md(pair.first), _md(pair.second), "difference"]
        yield _row([what, "query", *values, "relevant document that moved most", "ranks"])
        yield _row(["---", "---", "--:", "--:", "--:", "---", "---"])
        for query in queries:
            yield _row([_md(query.query_id), _short(query.text), *_values(query), *_document(query)])
        yield ""
        for query in queries:
            yield from _terms(query)


def _values(query: QueryMove) -> list[str]:
    return [f"{query.first:.4f}", f"{query.second:.4f}", f"{query.difference:+.4f}"]


def _document(query: QueryMove) -> list[str]:
    document = query.document
    if document is None:
        return ["", ""]
    ranks = " and ".join("none" if rank is None else str(rank) for rank in document.ranks)
    text = f": {_short(document.text)}" if document.text else ""
    return [f"{_md(document.doc_id)} (grade {document.grade}){text}", f"{ranks}"]


def _terms(query: QueryMove) -> Iterator[str]:
    explained = None if query.document is None else query.document.explained
    if explained is None:
        return
    yield from [f"Terms of query {_md(query.query_id)}, by their part of the difference of two scores:", ""]
    yield _row(["term", _md(explained.first), _md(explained.second), "difference"])
    yield _row(["---", "--:", "--:", "--:"])
    for term in explained.terms:
        yield _row([_md(term.term), f"{term.first:.3f}", f"{term.second:.3f}", f"{term.difference:+.3f}"])
    first, second = explained.scores
    yield from [_row(["all terms", f"{first:.3f}", f"{second:.3f}", f"{first - second:+.3f}"]), ""]


def _interval(low: float, high: float, sign: str = "") -> str:
    return f" [{low:{sign}.3f}, {high:{sign}.3f}]" if math.isfinite(low) else ""


def _percent(comparison: Comparison) -> str:
    return f"{100 * comparison.settings.level:.3g} %"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(text: str | None) -> str:
    words = " ".join((text or "").split())
    return _md(words if len(words) <= TEXT else f"{words[:TEXT]}…")


def _md(text: str) -> str:
    """A text in which Markdown finds no marks, on one line."""
    return re.sub(r"([\\|*<`\[\]])", r"\\\1", " ".join(text.split()))
