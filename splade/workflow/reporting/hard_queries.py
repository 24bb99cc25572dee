"""The hardest queries of a result with their texts and terms, as far as the experiment's folders lead to them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from splade.config import configure
from splade.engines import Bm25
from splade.engines.bm25 import is_bm25
from splade.engines.inverted import OpenedInverted
from splade.engines.protocol import texts_of
from splade.files import InputError
from splade.indexing import Index
from splade.records import SparseBatch, Text
from splade.reports import HardQuery, hardest
from splade.reports.hardest import worst
from splade.results import Result
from splade.workflow.given_vectors import given_queries
from splade.workflow.reporting.reported import CHECKPOINT, Known, index_of, sources_of
from splade.workflow.reporting.score_terms import text_of


def check_asked(results: Sequence[Result], n_queries: Any, metric: str | None) -> None:
    """InputError for a number of queries below 0, and for a metric that no result has for single queries."""
    if isinstance(n_queries, bool) or not isinstance(n_queries, int) or n_queries < 0:
        raise InputError(f"report.n_queries={n_queries}: give a whole number of 0 or more")
    known = list(dict.fromkeys(name for one in results for name in one.per_query))
    if metric is not None and known and metric not in known:
        raise InputError(
            f"report.metric={metric}: the results have {', '.join(known)} for each query; choose one of these"
        )


def hard_of(
    result: Result, known: Known, n_queries: int, metric: str | None, *, encode: bool, missing: dict[str, str]
) -> tuple[str, list[HardQuery]]:
    """The metric and the hardest queries of ``result``; what is not at hand is told in ``missing``."""
    about, sources = f"queries {result.dataset}", sources_of(result, known)
    if not result.per_query:
        missing[about] = "This result has no values of single queries (per_query.json). Run splade.evaluate on it."
        return "", []
    metric = metric if metric in result.per_query else next(iter(result.per_query))
    qrels = _tried(sources.qrels, missing, about, "The judgements are not known: details.json names no qrels.")
    if qrels is None:
        return metric, []
    try:
        run = result.run()
    except InputError as error:
        missing[about] = f"There is no ranking to show: {error}."
        return metric, []
    chosen = worst(result.per_query[metric], run, qrels, n_queries)
    queries = _tried(sources.queries, missing, about, "The texts of the queries are not known: no config names them.")
    documents = _tried(sources.documents, missing, f"texts {result.dataset}", "")
    missing.pop(f"texts {result.dataset}", None)
    about = f"terms {result.dataset}"
    index = _tried(lambda: index_of(sources.index_dir), missing, about, "")
    vectors = None
    if index is not None and queries is not None:
        texts = [Text(id, text) for id in chosen if (text := text_of(queries)(id)) is not None]
        vectors = _tried(lambda: _vectors(texts, index, sources.index_dir, known, encode), missing, about, "")
    elif index is not None:
        missing[about] = "The terms of the queries are not known without their texts."
    return metric, hardest(
        result, chosen, metric, qrels, run=run, queries=text_of(queries), documents=text_of(documents), index=index,
        vectors=vectors,
    )  # fmt: skip


def _vectors(texts: Sequence[Text], index: Index, folder: Path | None, known: Known, encode: bool) -> SparseBatch:
    """The vectors of queries in the terms of ``index``; InputError, with the reason, where they cannot be made."""
    if is_bm25(index.fingerprint):
        return Bm25(folder).open().vectors(texts_of(texts))
    given = known.value("data.Q_VECTORS_PATH")
    if given:
        path = given if isinstance(given, str) else next(iter(given))
        found: SparseBatch = given_queries(path, OpenedInverted(index)).vectors
        return found
    if not encode:
        raise InputError("The terms of queries were not asked for (report.encode=false)")
    if known.file is None or known.saved is None:
        raise InputError("The model is not known: the experiment has no config.yaml that says which it is")
    return _encoded(texts, index, known)


def _encoded(texts: Sequence[Text], index: Index, known: Known) -> SparseBatch:
    from splade.workflow.encoding import QueryEncoder, encoder_from  # here: a report without terms needs no torch
    from splade.workflow.exported.models import model_from

    checkpoint = known.folder(CHECKPOINT, "checkpoint")
    overrides = [] if checkpoint is None else [f"{CHECKPOINT}='{checkpoint}'"]
    cfg = configure("encode", overrides, env={"SPLADE_CONFIG_FULLPATH": str(known.file)})
    encoder = encoder_from(cfg, model_from(cfg), "query")
    vectors: SparseBatch = QueryEncoder(encoder, index).vectors(texts, "hardest queries").vectors
    return vectors


def _tried(make: Callable[[], Any] | None, missing: dict[str, str], about: str, why: str) -> Any:
    """The result of ``make``; None, with the reason in ``missing``, where there is none or it cannot be read."""
    try:
        if make is not None:
            return make()
        missing[about] = why
    except (InputError, OSError) as error:
        missing[about] = f"{error}".rstrip(".") + "."
    return None
