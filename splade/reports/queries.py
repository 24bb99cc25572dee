"""The part of the page about the hardest queries."""

from collections.abc import Iterator, Mapping

from splade.reports.experiment import Experiment
from splade.reports.hardest import HardQuery, Shown, Terms
from splade.reports.markup import Html, fold, joined, missing, tag

LONGEST = 400  # characters of a text that are shown


def hard_queries(experiment: Experiment, hard: Mapping[str, tuple[str, list[HardQuery]]]) -> list[Html]:
    """The hardest queries of each data set, with their terms; each opens at a click."""
    parts: list[Html] = []
    for one in experiment.results:
        if len(experiment.results) > 1:
            parts.append(tag("h3", one.dataset))
        metric, queries = hard.get(one.dataset, ("", []))
        for key in (f"queries {one.dataset}", f"terms {one.dataset}"):
            if key in experiment.missing:
                parts.append(missing(experiment.missing[key]))
        if queries:
            parts.append(tag("p", f"The {len(queries)} queries with the lowest {metric}, lowest first."))
            parts += [_query(query, metric, opened=not number) for number, query in enumerate(queries)]
        elif f"queries {one.dataset}" not in experiment.missing:
            parts.append(missing("No query is shown: none was asked for, or none has a value and a relevant document."))
    return parts or [missing(experiment.missing.get("metrics", "There are no results."))]


def _query(query: HardQuery, metric: str, *, opened: bool) -> Html:
    title = joined(tag("span", f"{metric} {query.value:.3f}", class_="number"), query.text or query.id)
    return fold(title, *_content(query), opened=opened)


def _content(query: HardQuery) -> Iterator[Html]:
    yield tag("p", f"Query {query.id}. Relevant documents: {query.n_relevant}.", class_="soft")
    if query.terms is not None:
        yield tag("p", "Its heaviest terms, with their weights:")
        yield _terms(query.terms)
    if query.relevant is not None:
        yield from _document("Best relevant document", query.relevant)
    if query.first is not None:
        yield from _document("First document that is not judged relevant", query.first)
    elif query.relevant is not None and query.relevant.rank is None:
        yield tag("p", "Nothing was found.")


def _document(title: str, shown: Shown) -> Iterator[Html]:
    rank = "not in the ranking" if shown.rank is None else f"rank {shown.rank}"
    score = "" if shown.score is None else f", score {shown.score:.4g}"
    yield tag("p", tag("strong", f"{title}: "), tag("code", shown.id), f", {rank}{score}.")
    if shown.text is not None:
        yield tag("p", shown.text[:LONGEST] + ("…" if len(shown.text) > LONGEST else ""))
    if shown.terms is not None:
        yield tag("p", "Terms of its score:" if shown.terms else "It shares no term with the query.", class_="soft")
        yield _terms(shown.terms)


def _terms(terms: Terms) -> Html:
    items = [tag("li", tag("b", term), f" {weight:.2f}") for term, weight in terms]
    return tag("ul", *items, class_="terms") if items else Html("")
