"""Hits of one query: documents, scores and texts, whatever engine has them."""

import logging
import re
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.data.collections.collection import Collection
from splade.engines.bm25 import OpenedBm25
from splade.engines.protocol import Queries, texts_of
from splade.files import InputError
from splade.kernels.sparse import from_csr
from splade.records import Ranking, SparseBatch, Text
from splade.serving.errors import Backend, NotValid
from splade.serving.system import Standing

logger = logging.getLogger(__name__)

STRATEGIES = ("auto", "exhaustive", "block_max", "approximate", "two_step")
"""The strategies that a request may name."""
_reading = threading.Lock()  # of collections, whose first reader notes where the lines are


class Wish(NamedTuple):
    """The way in which one query is to be searched."""

    k: int = 10
    allowed: Sequence[str] | None = None
    strategy: str | None = None
    recall: float | None = None
    threshold: float = 0.0


def given_query(indices: Sequence[int], values: Sequence[float], vocab_size: int) -> SparseBatch:
    """A query that comes as term numbers and weights, in any order; NotValid where it is none."""
    if len(indices) != len(values):
        raise NotValid(f"`query` has {len(indices)} indices and {len(values)} values; give one value for each index")
    columns, weights = np.asarray(indices, np.int64), np.asarray(values, np.float64)
    wrong = (columns < 0) | (columns >= vocab_size)
    if wrong.any():
        raise NotValid(f"`query.indices`: {columns[wrong][0]} is no term; they are 0 to {vocab_size - 1}")
    if len(np.unique(columns)) < len(columns):
        raise NotValid("`query.indices` names a term twice; give each once")
    with np.errstate(over="ignore"):
        weights = weights.astype(np.float32)
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise NotValid("`query.values`: weights must be finite numbers above 0")
    order = np.argsort(columns)
    rows = from_csr(np.array([0, len(columns)], np.int64), columns[order], weights[order], vocab_size)
    return SparseBatch(("0",), rows, vocab_size)


def vector_of(standing: Standing, queries: Queries) -> SparseBatch | None:
    """The sparse vector that a query is searched with; None of dense ones, and of texts in other places."""
    if isinstance(standing.opened, OpenedBm25) and not isinstance(queries.vectors, SparseBatch):
        return standing.opened.vectors(queries.vectors)
    return queries.vectors if isinstance(queries.vectors, SparseBatch) else None


def text_query(text: str) -> Queries:
    """A query of an engine that takes texts."""
    return Queries(texts_of([Text("0", text)]))


def ranking_of(standing: Standing, queries: Queries, wish: Wish) -> Ranking:
    """The best documents for one query; NotValid for a wish that this engine or index cannot fulfil."""
    searcher = _searcher(standing, wish)
    if searcher is None:
        _refuse_wishes(wish)
        return _elsewhere(standing, queries, wish)
    try:
        vector = vector_of(standing, queries)
        assert vector is not None
        return next(iter(searcher.search(vector, k=wish.k, threshold=wish.threshold, allowed=_allowed(wish))))
    except InputError as error:
        raise NotValid(re.sub(r"^allowed\b", "`filter`", str(error))) from error  # as the request names it


class Shown(NamedTuple):
    """The text of a document, as it was encoded, and the title that it begins with, or ""."""

    title: str
    read: str

    @property
    def text(self) -> str:
        """The text behind the title."""
        return self.read[len(self.title) :].lstrip() if self.read.startswith(self.title) else self.read


def _elsewhere(standing: Standing, queries: Queries, wish: Wish) -> Ranking:
    """The ranking of another place than an inverted index; one request at a time, but for our dense vectors.

    Backend where it fails: its own words may name addresses that are no client's business, and are logged.
    """
    try:
        with nullcontext() if standing.opened.takes == "dense" else standing.alone:
            return next(iter(standing.opened.search(queries, wish.k, threshold=wish.threshold)))
    except Exception as error:
        logger.warning("a search in %s failed: %s", standing.opened.path, error, exc_info=not _is_told(error))
        raise Backend("the engine failed; the server's log has the reason") from error


def _is_told(error: Exception) -> bool:
    """True for an error whose message is all that there is to know."""
    return isinstance(error, InputError | OSError)


def texts_for(texts: Collection | None, ids: Sequence[str]) -> list[Shown | None]:
    """The texts of ids, None where they are not at hand."""
    if texts is None or not ids:
        return [None] * len(ids)
    found: list[Shown | None] = []
    try:
        with _reading:
            for id, number in zip(ids, texts.find(ids).tolist(), strict=True):
                one = texts.at(number) if number >= 0 else None
                found.append(None if one is None or one.id != id else Shown(texts.title_of(number), one.text))
    except (InputError, OSError, IndexError, UnicodeDecodeError) as error:
        logger.warning("%s cannot be read any more, and hits have no texts: %s", texts.source, error)
        return [None] * len(ids)
    return found


def _allowed(wish: Wish) -> NDArray[Any] | list[str] | None:
    return None if wish.allowed is None else list(dict.fromkeys(wish.allowed)) or np.empty(0, np.int64)


def _searcher(standing: Standing, wish: Wish) -> Any:
    if wish.strategy is not None and wish.strategy not in STRATEGIES:
        raise NotValid(f"`strategy` {wish.strategy!r} is not one of {', '.join(STRATEGIES)}")
    if wish.recall is not None and wish.strategy not in (None, "approximate"):
        raise NotValid(f"`recall` goes with the strategy approximate, not with {wish.strategy!r}")
    return standing.searcher(wish.strategy, wish.recall)


def _refuse_wishes(wish: Wish) -> None:
    """NotValid where another place than our inverted index is asked for what it has not."""
    for name, value in (("filter", wish.allowed), ("strategy", wish.strategy), ("recall", wish.recall)):
        if value is not None:
            raise NotValid(
                f"`{name}` is for inverted indexes of this program; the engine that this server asks has none of it: "
                "leave it out"
            )
