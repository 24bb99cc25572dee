"""The parts of the page about results: metrics, expected values, posting lists, costs, conventions and config."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from splade.expectations.rows import Row, told_difference
from splade.reports.charts import bar_chart, line_chart, short
from splade.reports.experiment import Experiment, Postings
from splade.reports.markup import Html, facts, flat, fold, missing, table, tag, tiles
from splade.reports.training import figure

PERCENTILES = ("mean", "p50", "p95", "p99")
MOST_TILES, MOST_TERMS = 8, 20


def summary(experiment: Experiment) -> Html:
    """The first figures, large."""
    several = len(experiment.results) > 1
    values = {
        f"{one.dataset}: {metric}" if several else metric: f"{value:.4f}"
        for one in experiment.results
        for metric, value in one.metrics.items()
    }
    if not several:
        for one in experiment.results:
            known = {"FLOPS": one.flops, "index bytes": one.index_bytes, "ms per query": one.latency_ms()}
            values |= {name: short(value) for name, value in known.items() if value is not None}
    return tiles(dict(list(values.items())[:MOST_TILES]))


def metrics(experiment: Experiment) -> list[Html]:
    """The metrics of each set, and the queries that they rest on."""
    if not experiment.results:
        return [missing(experiment.missing["metrics"])]
    names = list(dict.fromkeys(metric for one in experiment.results for metric in one.metrics))
    rows = []
    for one in experiment.results:
        judged, answered = one.fact("queries.judged"), one.fact("queries.answered")
        share = one.fact("queries.judged_at_10")
        found = [f"{one.metrics[name]:.4f}" if name in one.metrics else "–" for name in names]
        rows.append(
            (
                one.dataset,
                *found,
                figure(judged),
                figure(answered),
                f"{share:.0%}" if isinstance(share, int | float) else "–",
            )
        )
    head = ("set", *names, "judged queries", "answered", "judged among the best 10")
    return [table(head, rows, range(1, len(head)))]


def expected(experiment: Experiment, rows: Sequence[Row], named: Sequence[str] = ()) -> list[Html]:
    """Expected values of the same sets beside those found; rows of this experiment's own model are judged."""
    found = {(one.dataset, metric): value for one in experiment.results for metric, value in one.metrics.items()}
    shown = []
    for row in rows:
        values = [found[name, row.metric] for name in row.sets if (name, row.metric) in found]
        if len(values) == len(row.sets):
            value = fmean(values)
            difference = told_difference(value - row.value)
            wanted, verdict = f"{row.value:.4f} ± {row.tolerance:g}", _verdict(row, value, named)
            shown.append((row.set_name, row.metric, f"{value:.4f}", wanted, verdict, difference, row.model, row.source))
    if not shown:
        return [missing("No expected value is known for these sets and metrics.")]
    head = ("set", "metric", "found", "expected", "verdict", "difference", "model", "source")
    told = "" if named else " Name this experiment's own row with report.expected=ROW to have it judged."
    return [tag("p", f"Values of expected/, on the same sets.{told}"), table(head, shown, (2, 3, 5))]


def _verdict(row: Row, value: float, named: Sequence[str]) -> Html | str:
    if row.name not in named:
        return "another model" if named else "not judged"
    same = row.matches(value)
    return tag("span", "matches" if same else "differs", class_="good" if same else "bad")


def posting_lists(experiment: Experiment) -> list[Html]:
    """Lengths of the posting lists of each index, sorted, and the terms with the longest ones."""
    parts = [part for postings in experiment.postings for part in _posting_lists(postings)]
    why = [value for key, value in experiment.missing.items() if key.startswith("postings")]
    parts += [missing(told) for told in dict.fromkeys(why)]
    return parts or [missing("There is no index at hand.")]


def _posting_lists(postings: Postings) -> Iterator[Html]:
    yield tag("p", "Index: ", tag("code", str(postings.source)), ".", class_="soft")
    lengths = list(postings.lengths.values())
    if not lengths:
        yield missing("It has no postings.")
        return
    known: dict[str, float] = {"postings": sum(lengths), "terms in use": len(lengths), "longest list": lengths[0]}
    if postings.vocab_size is not None:
        known["terms unused"] = postings.vocab_size - len(lengths)
    if postings.n_docs:
        known |= {"documents": postings.n_docs, "postings per document": sum(lengths) / postings.n_docs}
    yield tiles({name: short(value) for name, value in known.items()})
    points = [(float(rank), float(length)) for rank, length in enumerate(lengths, 1)]
    title = f"Documents per term, longest list first ({postings.source})"
    chart = line_chart(title, {"documents": points}, x="terms", log=True, area=True)
    rows = [
        (term, short(length), f"{length / postings.n_docs:.1%}" if postings.n_docs else "–")
        for term, length in list(postings.lengths.items())[:MOST_TERMS]
    ]
    longest = table(("term", "documents", "share"), rows, (1, 2), caption="The longest posting lists")
    yield tag("div", Html(chart), longest, class_="charts")


def costs(experiment: Experiment) -> list[Html]:
    """Latency, bytes, times, memory and energy of each set."""
    parts: list[Html] = []
    charts = []
    for one in experiment.results:
        latency = {which: value for which in PERCENTILES if (value := one.latency_ms(which)) is not None}
        threads = one.fact("search_stats.latency_ms.n_threads")
        title = f"{one.dataset}: time per query" + (f", {threads} thread{'s' * (threads != 1)}" if threads else "")
        charts.append(bar_chart(title, latency, "ms"))
    if any(charts):
        parts.append(tag("div", *(Html(chart) for chart in charts if chart), class_="charts"))
    else:
        parts.append(missing("The time per query was not measured."))
    known = {one.dataset: dict(_costs_of(one.details)) for one in experiment.results}
    names = list(dict.fromkeys(name for values in known.values() for name in values))
    if names:
        rows = [(name, *(known[one.dataset].get(name, "–") for one in experiment.results)) for name in names]
        head = ("cost", *(one.dataset for one in experiment.results))
        parts.append(table(head, rows, range(1, len(head))))
    if not any(one.fact("costs") for one in experiment.results):
        parts.append(missing("Times to encode and index, memory and energy were not recorded with these results."))
    return parts


def conventions(experiment: Experiment) -> list[Html]:
    """The conventions of each set, as they were recorded."""
    return _each(
        experiment,
        "conventions",
        "The conventions were not recorded with this result.",
        also=("qrels", "split", "queries"),
    )


def conditions(experiment: Experiment) -> list[Html]:
    """Versions, machine, revision, seed and command of each set."""
    why = "Versions, machine, revision, seed and command were not recorded with this result."
    return _each(experiment, "conditions", why)


def config(experiment: Experiment) -> list[Html]:
    """The saved config, whole, and everything else that was recorded."""
    parts = [missing(experiment.missing["config"])] if "config" in experiment.missing else []
    if experiment.config:
        parts.append(fold("config.yaml", tag("pre", experiment.config)))
    for one in experiment.results:
        parts.append(fold(f"{one.dataset}: all of details.json", facts(flat(one.details))))
    if experiment.index_stats:
        parts.append(fold("index_stats.json", facts(flat(experiment.index_stats))))
    return parts


def _each(experiment: Experiment, key: str, why: str, also: Sequence[str] = ()) -> list[Html]:
    """The facts under ``key`` of each result; results that agree share a table."""
    groups: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for one in experiment.results:
        told = one.fact(key)
        values = flat(told) if isinstance(told, Mapping) else {}
        if values:
            values |= flat({name: one.details[name] for name in also if name in one.details})
        groups.setdefault(repr(sorted(values.items())), ([], values))[0].append(one.dataset)
    parts: list[Html] = []
    for names, values in groups.values():
        if len(experiment.results) > 1:
            parts.append(tag("h3", ", ".join(names)))
        parts.append(facts(values) if values else missing(why))
    return parts or [missing(experiment.missing.get("metrics", "There are no results."))]


def _costs_of(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values of what a result says it cost."""
    for name, value in _mapping(_mapping(details.get("search_stats")).get("index")).items():
        if name in ("index_bytes", "n_docs", "n_postings") and isinstance(value, int | float):
            yield name.replace("_", " "), short(value)
    for name, value in flat(_mapping(details.get("costs"))).items():
        yield name.replace("_", " ").replace(".", ": "), str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
