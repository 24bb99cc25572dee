"""The parts of the page about training: curves of losses and validation, and sparsity over the steps."""

from collections.abc import Sequence

from splade.reports.charts import line_chart, short
from splade.reports.experiment import Experiment, Rows
from splade.reports.markup import Html, missing, table, tag

LOSSES = {"loss": "loss", "total": "loss and penalties"}
NONZEROS = {"L0_q": "queries", "L0_d": "documents"}
DEAD = {"dead_q": "queries", "dead_d": "documents"}
RATES = {"lr": "Learning rate", "grad_norm": "Norm of the gradient", "documents_per_second": "Documents per second"}
OTHER = ("step", "epoch", "flops")


def curves(experiment: Experiment) -> list[Html]:
    """Loss, validation and rates over the steps."""
    rows = experiment.training
    if not rows:
        return [missing(experiment.missing.get("training", "There is no training log."))]
    charts = [line_chart("Loss", _series(rows, LOSSES), x="step")]
    charts += [line_chart(f"Validation: {name}", {name: points_of(rows, name)}, x="step") for name in validated(rows)]
    charts += [line_chart(title, {title: points_of(rows, name)}, x="step") for name, title in RATES.items()]
    last = max(row["step"] for row in rows)
    told = [tag("p", f"{len(rows)} rows of the log, up to step {short(last)}.")]
    if not validated(rows):
        told.append(missing("The log has no validation."))
    return [*told, _grid(charts), *_best(rows)]


def sparsity(experiment: Experiment) -> list[Html]:
    """Non-zeros, FLOPS, penalties and empty vectors over the steps, and what the results ended with."""
    rows = experiment.training
    parts: list[Html] = []
    measured = [
        (one.dataset, one.fact("q_stats.L0_q"), one.fact("search_stats.index.L0_d"), one.flops)
        for one in experiment.results
    ]
    if any(value is not None for _, *values in measured for value in values):
        head = ("set", "non-zeros per query", "per document", "FLOPS")
        parts.append(table(head, [(name, *map(figure, values)) for name, *values in measured], (1, 2, 3)))
    else:
        parts.append(missing("The results do not say their non-zeros and FLOPS."))
    charts = [
        line_chart("Non-zeros per vector in training", _series(rows, NONZEROS), x="step"),
        line_chart("FLOPS in training", {"FLOPS": points_of(rows, "flops")}, x="step"),
        line_chart("Penalties' values", _series(rows, {name: name for name in penalties(rows)}), x="step"),
        line_chart("Penalties' weights", _series(rows, {name: name for name in weights(rows)}), x="step"),
        line_chart("Share of vectors without a term", _series(rows, DEAD), x="step"),
    ]
    if not any(charts):
        why = experiment.missing.get("training", "The training log does not say it.")
        return [*parts, missing(f"Over training: {why}")]
    return [*parts, _grid(charts)]


def validated(rows: Rows) -> list[str]:
    """The columns of validation: those of rows that have no loss of a step."""
    names = {name: None for row in rows if "lr" not in row for name in row if name != "step"}
    return list(names)


def weights(rows: Rows) -> list[str]:
    """The columns with the weights of penalties."""
    return list({name: None for row in rows for name in row if name.startswith("lambda_")})


def penalties(rows: Rows) -> list[str]:
    """The columns with the values of penalties, each of which has a weight."""
    return [name.removeprefix("lambda_") for name in weights(rows) if points_of(rows, name.removeprefix("lambda_"))]


def points_of(rows: Rows, name: str) -> list[tuple[float, float]]:
    """Step and value of the rows that have a column."""
    return [(row["step"], row[name]) for row in rows if name in row]


def figure(value: object) -> str:
    """A number of a table; a dash for what is not known."""
    return "–" if value is None or isinstance(value, bool) or not isinstance(value, int | float) else f"{value:,.4g}"


def _best(rows: Rows) -> list[Html]:
    """The best value of each validation metric, and its step."""
    found = []
    for name in validated(rows):
        pick = min if "loss" in name.lower() else max
        step, value = pick(points_of(rows, name), key=lambda point: point[1])
        found.append((name, f"{value:.4f}", short(step)))
    return [table(("validation", "best", "at step"), found, (1, 2))] if found else []


def _series(rows: Rows, names: dict[str, str]) -> dict[str, list[tuple[float, float]]]:
    return {title: points for name, title in names.items() if (points := points_of(rows, name))}


def _grid(charts: Sequence[str]) -> Html:
    return tag("div", *(Html(chart) for chart in charts if chart), class_="charts")
