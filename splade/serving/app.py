"""The application: routes, refusals in their forms, and `Around` around all of it."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from splade.serving.around import App, Around, refusal
from splade.serving.errors import Refused
from splade.serving.routes import neighbours, ours, page, tei, watching
from splade.serving.serving import Serving


def application(serving: Serving) -> App:
    """The ASGI application of a server."""
    return Around(inner(serving), serving)


def inner(serving: Serving) -> FastAPI:
    """The routes, without what stands around them."""
    app = FastAPI(
        title="splade",
        version=serving.about.version,
        description="Sparse vectors of texts, and search in an index of them.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    for routes in (tei, neighbours, ours, watching, page):
        app.include_router(routes.router(serving))

    def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused)
        serving.metrics.count("te_request_failure", f'err="{error.kind}"')
        return _answer(request, error.status, error.message, error.kind, error.headers)

    def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        serving.metrics.count("te_request_failure", 'err="validation"')
        return _answer(request, 422, in_words(error), "validation")

    def not_served(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == 400:  # nested too deep, which FastAPI does not count among JSON's faults
            return _answer(request, 422, "`body`: not JSON that can be read", "validation")
        return _answer(request, error.status_code, str(error.detail), "validation", dict(error.headers or {}))

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, not_served)
    return app


def in_words(error: RequestValidationError) -> str:
    """The first thing that is wrong with a request: its place and a sentence, and nothing of what was sent."""
    first = max(error.errors(), key=lambda each: len(each["loc"]))  # of several forms, the one that fits furthest
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return f"`{place or 'body'}`: {first['msg']}"


def _answer(
    request: Request, status: int, message: str, kind: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(refusal(request.url.path, status, message, kind), status, headers)
