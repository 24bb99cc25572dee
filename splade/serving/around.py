"""The layers around every request: its size, key, trace and count, and the words of every refusal."""

import asyncio
import hmac
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from splade.serving.errors import NotAllowed, NotHere, Refused, TooLarge
from splade.serving.limits import is_loopback
from splade.serving.serving import Serving

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

OPEN = ("/health", "/ping", "/metrics", "/docs", "/openapi.json", "/api-doc/openapi.json", "/page/")
"""Paths, or their beginnings, that need no key; the page at GET / too."""
OPENAI = "/v1/"
TRACE = re.compile(rb"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Around:
    """An ASGI application around ``app``: every refusal, also of ``app``, leaves as JSON without a trace."""

    def __init__(self, app: App, serving: Serving) -> None:
        self.app, self.serving = app, serving

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        trace = headers.get(b"traceparent", b"")
        kept = [(b"traceparent", trace)] if TRACE.fullmatch(trace) else []
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", []), *SAFE, *kept]
            await send(message)

        began = time.monotonic()
        try:
            self._check_host(headers)
            self._check_key(scope, headers)
            if scope["method"] == "POST":
                body = await self._body(headers, receive)
                with self.serving.answering():
                    await self.app(scope, _once(body, receive), answer)
                self.serving.metrics.observe("te_request_duration", time.monotonic() - began)
            else:
                await self.app(scope, receive, answer)
        except Refused as error:
            self.serving.metrics.count("te_request_failure", f'err="{error.kind}"')
            content = refusal(scope["path"], error.status, error.message, error.kind)
            await _send(answer, error.status, content, error.headers)
        except (asyncio.CancelledError, _GoneError):
            raise
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            self.serving.metrics.count("te_request_failure", 'err="backend"')
            if started:
                raise
            words = "the server failed to answer; its log has the reason"
            await _send(answer, 500, refusal(scope["path"], 500, words, "backend"), {})

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        """Refuse another site's name for this machine, by which its pages could read what is served here."""
        host = headers.get(b"host", b"localhost").decode("latin-1")
        name = host.rpartition(":")[0] if re.search(r":\d*$", host) else host
        if self.serving.about.local and not is_loopback(name):
            raise NotHere(f"this server is reached as localhost or 127.0.0.1, not as {name[:100]!r}")

    def _check_key(self, scope: Any, headers: dict[bytes, bytes]) -> None:
        key, path = self.serving.about.key, scope["path"]
        is_page = path == "/" and scope["method"] in ("GET", "HEAD")
        if key is None or is_page or path.startswith(OPEN):
            return
        given = headers.get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), key.encode()):
            raise NotAllowed("this server asks for a key: send the header `Authorization: Bearer KEY`")

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        limit = self.serving.limits.payload_limit
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            raise TooLarge(f"a body of {int(length)} bytes; no more than {limit} are read")
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise _GoneError
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise TooLarge(f"a body of more than {limit} bytes, which is all that is read")
            more = message.get("more_body", False)
        return b"".join(parts)


class _GoneError(Exception):
    """The client went before its request was there."""


def refusal(path: str, status: int, message: str, kind: str) -> dict[str, Any]:
    """A refusal in the form of Text Embeddings Inference, or of OpenAI at its addresses."""
    if not path.startswith(OPENAI):
        return {"error": message, "error_type": kind}
    named = {401: "authentication_error", 429: "rate_limit_error"}
    type = named.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": type, "param": None, "code": kind}}


def _once(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _send(send: Send, status: int, content: Any, headers: dict[str, str]) -> None:
    body = json.dumps(content).encode()
    own = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *own]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})
