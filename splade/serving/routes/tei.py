"""The addresses of Text Embeddings Inference: sparse embeddings, tokens, reranking."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from splade.encoding.reading import Reading
from splade.kernels.sparse import slice_rows
from splade.serving.errors import Empty, NotTokenized
from splade.serving.forms import Decode, EmbedSparse, Rerank, Tokenize
from splade.serving.routes.answers import REFUSALS, check_batch, listed, number, numbers, timed
from splade.serving.serving import Serving
from splade.serving.sides import Encoded


def router(serving: Serving) -> APIRouter:
    """The routes of a server."""
    routes = APIRouter(responses=REFUSALS, tags=["Text Embeddings Inference"])

    async def embed_sparse(form: EmbedSparse) -> JSONResponse:
        """Encode texts into sparse vectors: a list of `{"index", "value"}` for each, by index."""
        began = time.monotonic()
        inputs, is_batch = listed(form.inputs)
        serving.metrics.count("te_request_count", f'method="{"batch" if is_batch else "single"}"')
        check_batch(inputs, serving)
        encoded = await serving.sides().encode(
            form.prompt_name or "document",
            inputs,
            **_how_read(form, serving),
        )
        answer = [
            [{"index": index, "value": value} for index, value in zip(*_plain(encoded, place), strict=True)]
            for place in range(len(inputs))
        ]
        serving.metrics.count("te_request_success", f'method="{"batch" if is_batch else "single"}"')
        return JSONResponse(answer, headers=timed(encoded, time.monotonic() - began))

    routes.post("/embed_sparse")(embed_sparse)
    routes.post("/", operation_id="embed_sparse_at_root")(embed_sparse)

    @routes.post("/tokenize")
    async def tokenize(form: Tokenize) -> JSONResponse:
        """Cut texts into tokens: `{"id", "text", "special", "start", "stop"}` for each, none cut off."""
        texts = [form.inputs] if isinstance(form.inputs, str) else form.inputs
        if not texts:
            raise Empty("`inputs` is empty: give a text, or a list with one at least")
        check_batch(texts, serving)
        reading = await _in_thread(_reading, serving, form.prompt_name or "document")
        return JSONResponse(await _in_thread(_tokens, reading, texts, form.add_special_tokens))

    @routes.post("/decode")
    async def decode(form: Decode) -> JSONResponse:
        """Spell token ids: a text for each list of them."""
        many = bool(form.ids) and isinstance(form.ids[0], list)
        lists: Any = form.ids if many else [form.ids]
        if not form.ids or not all(lists):
            raise Empty("`ids` is empty: give token ids, one at least")
        check_batch(lists, serving, "ids")
        reading = await _in_thread(_reading, serving, "document")
        return JSONResponse(await _in_thread(_spelt, reading, lists, form.skip_special_tokens))

    @routes.post("/rerank")
    async def rerank(form: Rerank) -> JSONResponse:
        """Order texts by the inner product of their vectors with the query's, best first."""
        began = time.monotonic()
        serving.metrics.count("te_request_count", 'method="batch"')
        if not form.texts:
            raise Empty("`texts` is empty: give one text at least")
        check_batch(form.texts, serving, "texts", serving.limits.max_rerank_texts)
        sides, how = serving.sides(), _how_read(form, serving)
        query, texts = await asyncio.gather(
            sides.encode("query", [form.query], **how), sides.encode("document", form.texts, **how)
        )
        answer = _ranked(query, texts, form)
        serving.metrics.count("te_request_success", 'method="batch"')
        return JSONResponse(answer, headers=timed(texts, time.monotonic() - began))

    return routes


def _how_read(form: EmbedSparse | Rerank, serving: Serving) -> dict[str, Any]:
    """The arguments by which the texts of a request are read; their time begins now."""
    direction = "left" if form.truncation_direction.lower() == "left" else "right"
    return {"deadline": serving.deadline(), "truncate": form.truncate is not False, "direction": direction}


def _plain(encoded: Encoded, place: int) -> tuple[list[int], list[float]]:
    columns, weights = encoded.vector(place)
    return columns.tolist(), numbers(weights)


def _reading(serving: Serving, side: str) -> Reading:
    return serving.sides().encoder(side).reading()


async def _in_thread(function: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def _tokens(reading: Reading, texts: Sequence[str], special: bool) -> list[list[dict[str, Any]]]:
    return [
        [
            {
                "id": piece.id,
                "text": piece.token if piece.special else text[piece.start : piece.stop],
                "special": piece.special,
                "start": None if piece.special else piece.start,
                "stop": None if piece.special else piece.stop,
            }
            for piece in reading.pieces(text, special=special)
        ]
        for text in texts
    ]


def _spelt(reading: Reading, lists: Sequence[Sequence[int]], skip_special: bool) -> list[str]:
    for ids in lists:
        if wrong := [id for id in ids if not 0 <= id < reading.n_tokens]:
            raise NotTokenized(f"`ids`: {wrong[0]} is no token id; they are 0 to {reading.n_tokens - 1}")
    return [reading.text_of(ids, skip_special=skip_special) for ids in lists]


def _ranked(query: Encoded, texts: Encoded, form: Rerank) -> list[dict[str, Any]]:
    weights = np.zeros(query.batch.vocab_size)
    columns, values = query.vector(0)
    weights[columns] = values
    scores = []
    for place in range(len(form.texts)):
        row = slice_rows(texts.batch.rows, place, place + 1)
        scores.append(float(weights[row.columns] @ row.weights))
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    return [
        {
            "index": place,
            "score": number(scores[place] if form.raw_scores else scores[place] / (1 + scores[place])),
            **({"text": form.texts[place]} if form.return_text else {}),
        }
        for place in order
    ]
