"""The search page at ``/``, and the files that it is made of; a browser runs nothing else and fetches nothing else."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from splade.serving.serving import Serving

FOLDER = Path(__file__).parents[1] / "page"
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
LOCAL = {
    "Cross-Origin-Opener-Policy": "same-origin"
}  # browsers take it from this machine, and complain of it elsewhere


def router(serving: Serving) -> APIRouter:
    """The routes of a server; the page's files are those of the folder ``page/``, and no others."""
    routes = APIRouter(include_in_schema=False)
    headers = HEADERS | (LOCAL if serving.about.local else {})
    files = {path.name: path for path in FOLDER.iterdir() if path.suffix in KINDS}

    @routes.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse((FOLDER / "index.html").read_text(encoding="utf-8"), headers=headers)

    @routes.get("/page/{name}")
    async def part(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "there is no such file")
        return Response(files[name].read_bytes(), headers=headers, media_type=KINDS[files[name].suffix])

    return routes
