"""Answers for those who run a server: its health, what it serves, its counts, and the list of its addresses."""

import asyncio

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from splade.serving.errors import Unhealthy
from splade.serving.routes.described import described
from splade.serving.serving import Serving


def router(serving: Serving) -> APIRouter:
    """The routes of a server."""
    routes = APIRouter(tags=["Watching"])

    async def health() -> JSONResponse:
        """Tell that the server answers; 503 where the thread that encodes has ended."""
        if any(system.sides is not None and not system.sides.batcher.works for system in serving.systems.values()):
            raise Unhealthy("the server cannot encode any more; its log has the reason")
        return JSONResponse({"status": "ok"})

    routes.get("/health")(health)
    routes.get("/ping", operation_id="ping")(health)

    @routes.get("/info")
    async def info() -> JSONResponse:
        """Describe the model, the limits and the indexes."""
        return JSONResponse(await asyncio.get_running_loop().run_in_executor(None, serving.info))

    @routes.get("/metrics")
    async def metrics() -> PlainTextResponse:
        """Give counts, sizes and durations for Prometheus."""
        return PlainTextResponse(serving.metrics.text(), media_type="text/plain; version=0.0.4")

    @routes.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        app: FastAPI = request.app
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
        return HTMLResponse(described(app.openapi()), headers=policy)

    @routes.get("/api-doc/openapi.json", include_in_schema=False)
    async def schema(request: Request) -> JSONResponse:
        app: FastAPI = request.app
        return JSONResponse(app.openapi())

    return routes
