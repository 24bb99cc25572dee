"""Our own addresses: search in the index, and explanations of scores."""

import asyncio
import time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from splade.engines.protocol import Queries
from splade.serving.errors import NotValid
from splade.serving.explaining import asked_bag, explained, hit_matches, told_terms
from splade.serving.forms import ExplainRequest, SearchRequest
from splade.serving.routes.answers import REFUSALS, number
from splade.serving.searching import Shown, Wish, given_query, ranking_of, text_query, texts_for
from splade.serving.serving import Serving
from splade.serving.sides import Encoded, Times
from splade.serving.system import Standing, System


def router(serving: Serving) -> APIRouter:
    """The routes of a server."""
    routes = APIRouter(responses=REFUSALS, tags=["Search"])

    @routes.post("/search")
    async def search(form: SearchRequest) -> JSONResponse:
        """Find the best documents for a query: a text, or a vector in the terms of the index."""
        began = time.monotonic()
        serving.metrics.count("te_request_count", 'method="search"')
        if form.k > serving.limits.max_k:
            raise NotValid(f"`k` is {form.k}, and a search may give {serving.limits.max_k} hits")
        system, standing = serving.system(form.system), serving.standing(form.system)
        deadline = serving.deadline()
        queries, encoded = await _queries(system, standing, form, deadline)
        wish = Wish(form.k, form.filter, form.strategy, form.recall, serving.threshold)
        loop, searching = asyncio.get_running_loop(), time.monotonic()
        arguments = (system, standing, queries, wish, form, encoded, deadline)
        answer = await loop.run_in_executor(serving.searchers, _found, *arguments)
        seconds = time.monotonic() - searching
        serving.metrics.observe("te_request_search_duration", seconds)
        times = Times() if encoded is None else encoded.times
        answer["time_ms"] = {
            **{name: round(1000 * value, 3) for name, value in times._asdict().items()},
            "search": round(1000 * seconds, 3),
            "total": round(1000 * (time.monotonic() - began), 3),
        }
        serving.metrics.count("te_request_success", 'method="search"')
        return JSONResponse(answer)

    @routes.post("/explain")
    async def explain(form: ExplainRequest) -> JSONResponse:
        """Tell the terms of a query or a document and the words behind them; of both, what makes their score."""
        serving.metrics.count("te_request_count", 'method="explain"')
        sides, loop = serving.sides(form.system), asyncio.get_running_loop()
        answer = await loop.run_in_executor(serving.searchers, explained, sides, form.query, form.document)
        serving.metrics.count("te_request_success", 'method="explain"')
        return JSONResponse(answer)

    return routes


async def _queries(
    system: System, standing: Standing, form: SearchRequest, deadline: float
) -> tuple[Queries, Encoded | None]:
    """The query as the engine takes it, and what the encoder made of its text."""
    if not isinstance(form.query, str):
        if standing.opened.takes == "dense" or (standing.opened.takes == "texts" and standing.inverted is None):
            raise NotValid("`query`: this engine takes texts; give the query as one")
        return Queries(given_query(form.query.indices, form.query.values, standing.opened.vocab_size)), None
    if system.sides is None or standing.asking is None:
        return text_query(form.query), None
    encoded = await system.sides.encode("query", [form.query], deadline=deadline)
    return standing.asking.in_terms(encoded.batch), encoded


def _found(
    system: System,
    standing: Standing,
    queries: Queries,
    wish: Wish,
    form: SearchRequest,
    encoded: Encoded | None,
    deadline: float,
) -> dict[str, Any]:
    ranking = ranking_of(standing, queries, wish)
    searcher = standing.searcher(wish.strategy, wish.recall)
    texts = texts_for(standing.texts, ranking.doc_ids) if form.text or form.explain else [None] * len(ranking.doc_ids)
    answer: dict[str, Any] = {
        "hits": [
            _hit(id, score, text if form.text else None)
            for id, score, text in zip(ranking.doc_ids, ranking.scores.tolist(), texts, strict=True)
        ],
        "strategy": None if searcher is None else searcher.strategy,
        "engine": system.engine,
        "n_docs": standing.opened.n_docs,
        "generation": standing.generation,
    }
    if form.explain:
        bag = asked_bag(system, standing, queries, form.query if isinstance(form.query, str) else None, encoded)
        answer["query"] = bag.to_dict()
        read = [None if text is None else text.read for text in texts]
        matches = hit_matches(system, standing, bag, ranking.doc_ids, read, deadline)
        for hit, match, text in zip(answer["hits"], matches, texts, strict=True):
            hit["terms"] = told_terms(match, text)
            hit["missing"] = [term.token for term in match.missing_in_document]
    return answer


def _hit(id: str, score: float, text: Shown | None) -> dict[str, Any]:
    hit: dict[str, Any] = {"id": id, "score": number(score)}
    return hit if text is None else hit | {"title": text.title, "text": text.text}
