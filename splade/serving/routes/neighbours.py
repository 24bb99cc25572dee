"""Forms that clients of other systems send: Elasticsearch, Qdrant and Pinecone, OpenAI."""

import time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from splade.serving.errors import NotValid
from splade.serving.forms import ElasticInference, Embeddings, IndicesValuesRequest
from splade.serving.routes.answers import REFUSALS, check_batch, listed, numbers, timed
from splade.serving.serving import Serving
from splade.serving.sides import Encoded


def router(serving: Serving) -> APIRouter:
    """The routes of a server."""
    routes = APIRouter(responses=REFUSALS, tags=["Forms of other systems"])

    @routes.post("/_inference/sparse_embedding/{id}")
    async def elasticsearch(id: str, form: ElasticInference) -> JSONResponse:  # noqa: ARG001 - one model, any name
        """Encode texts as Elasticsearch's inference does: the weight of each token by its name."""
        began = time.monotonic()
        inputs = [form.input] if isinstance(form.input, str) else form.input
        check_batch(inputs, serving, "input")
        sides, side = serving.sides(), "query" if (form.input_type or "").lower() == "search" else "document"
        encoded = await sides.encode(side, inputs, deadline=serving.deadline())
        terms = sides.encoder(side).terms
        answer = [
            {"is_truncated": row.cut, "embedding": {terms[term]: weight for term, weight in _entries(encoded, place)}}
            for place, row in enumerate(encoded.rows)
        ]
        return JSONResponse({"sparse_embedding": answer}, headers=timed(encoded, time.monotonic() - began))

    @routes.post("/embed_sparse/indices_values")
    async def indices_values(form: IndicesValuesRequest) -> JSONResponse:
        """Encode texts as Qdrant and Pinecone take them: `{"indices", "values"}` for each."""
        began = time.monotonic()
        inputs, _ = listed(form.inputs)
        check_batch(inputs, serving)
        encoded = await serving.sides().encode(
            form.prompt_name or "document", inputs, deadline=serving.deadline(), truncate=form.truncate is not False
        )
        answer = [_vector(encoded, place) for place in range(len(inputs))]
        return JSONResponse(answer, headers=timed(encoded, time.monotonic() - began))

    @routes.post("/v1/embeddings")
    async def openai(form: Embeddings) -> JSONResponse:
        """Encode texts at OpenAI's address, with `encoding_format` sparse: its own are dense, and refused."""
        began = time.monotonic()
        if form.encoding_format != "sparse":
            raise NotValid(
                "this model's vectors are sparse, and OpenAI's embeddings are dense lists of numbers: send "
                '`"encoding_format": "sparse"` for {"indices", "values"}, or use /embed_sparse'
            )
        inputs, _ = listed(form.input)
        check_batch(inputs, serving, "input")
        encoded = await serving.sides().encode("document", inputs, deadline=serving.deadline())
        vectors = [_vector(encoded, place) for place in range(len(inputs))]
        entries = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
        usage = {"prompt_tokens": encoded.n_tokens, "total_tokens": encoded.n_tokens}
        answer = {"object": "list", "data": entries, "model": serving.about.served_model_name, "usage": usage}
        return JSONResponse(answer, headers=timed(encoded, time.monotonic() - began))

    return routes


def _entries(encoded: Encoded, place: int) -> list[tuple[int, float]]:
    columns, weights = encoded.vector(place)
    return list(zip(columns.tolist(), numbers(weights), strict=True))


def _vector(encoded: Encoded, place: int) -> dict[str, Any]:
    columns, weights = encoded.vector(place)
    return {"indices": columns.tolist(), "values": numbers(weights)}
