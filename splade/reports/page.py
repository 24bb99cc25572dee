"""The page, put together of its parts; a part that is not at hand says why in its place."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from splade.expectations.rows import Row
from splade.reports import results, training
from splade.reports.experiment import Experiment
from splade.reports.hardest import HardQuery
from splade.reports.markup import Html, document, tag
from splade.reports.queries import hard_queries


class Part(NamedTuple):
    """A part of the page: its title, and its content."""

    title: str
    content: Sequence[Html]

    @property
    def anchor(self) -> str:
        """The name that links to it have."""
        return self.title.lower().replace(" ", "-")


def page(
    experiment: Experiment,
    hard: Mapping[str, tuple[str, list[HardQuery]]] | None = None,
    rows: Sequence[Row] = (),
    named: Sequence[str] = (),
) -> str:
    """The HTML of the report.

    ``hard`` has for each data set its metric and its hardest queries. ``rows`` are expected values, those of the same
    data sets are shown; ``named`` are the names of rows that are this experiment's own, which are judged.
    """
    hard = hard or {}
    parts = [
        Part("Metrics", results.metrics(experiment)),
        Part("Expected values", results.expected(experiment, rows, named)),
        Part("Training", training.curves(experiment)),
        Part("Sparsity", training.sparsity(experiment)),
        Part("Hardest queries", hard_queries(experiment, hard)),
        Part("Posting lists", results.posting_lists(experiment)),
        Part("Costs", results.costs(experiment)),
        Part("Conventions", results.conventions(experiment)),
        Part("Versions and machine", results.conditions(experiment)),
        Part("Config", results.config(experiment)),
    ]
    links = [tag("li", tag("a", part.title, href=f"#{part.anchor}")) for part in parts]
    sections = [
        tag("section", tag("h2", part.title, id=part.anchor), *part.content, **{"aria-labelledby": part.anchor})
        for part in parts
    ]
    title = f"Report: {experiment.name}"
    where = tag("p", "Results in ", tag("code", str(experiment.out_dir)), ".", class_="soft")
    top = tag("header", tag("h1", title), where, results.summary(experiment))
    return document(title, top, tag("nav", tag("ul", *links), **{"aria-label": "Parts"}), tag("main", *sections))
