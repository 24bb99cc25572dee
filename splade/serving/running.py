"""The process of a server: a socket, uvicorn on it, and an end that answers what came before."""

import asyncio
import logging
import socket
from collections.abc import Callable

import uvicorn

from splade.files import InputError
from splade.serving.around import App
from splade.serving.limits import is_loopback

logger = logging.getLogger(__name__)

BACKLOG = 2048


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at ``host`` and ``port`` (0: any free one); InputError where it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        raise InputError(
            f"serve.host={host} serve.port={port}: nothing can be served there ({error.strerror or error}). Name "
            "another port, or 0 for any that is free"
        ) from error
    return listening


def refuse_open_door(host: str, key: str | None, without_key: bool) -> None:
    """InputError where others than this machine could ask without a key, and nobody said that they may."""
    if key is None and not without_key and not is_loopback(host):
        raise InputError(
            f"serve.host={host}: other machines could ask this server, and it has no key. Put one into the "
            "environment's SPLADE_API_KEY or a file (serve.api_key_file), or set serve.without_key=true"
        )


def address_of(listening: socket.socket) -> str:
    """The address of a socket, as a browser takes it."""
    host, port = listening.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def run(app: App, listening: socket.socket, *, seconds_to_stop: float, ready: Callable[[], object]) -> None:
    """Serve ``app`` until SIGTERM or SIGINT; requests that came before are answered, for so many seconds.

    ``ready()`` is called once connections are taken. Lines of uvicorn below a warning are not wanted; its others are
    logged as ours are.
    """
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=max(1, round(seconds_to_stop)),
    )
    server = Announcing(config, ready)
    with asyncio.Runner() if hasattr(asyncio, "Runner") else _OldRunner() as runner:  # type: ignore[attr-defined]
        runner.run(server.serve([listening]))
    if not server.started:
        raise InputError("the server did not start; the lines above have the reason")


class Announcing(uvicorn.Server):
    """A server that says when it takes connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()


class _OldRunner:
    """`asyncio.Runner`, before Python 3.11."""

    def __enter__(self) -> "_OldRunner":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def run(self, work: object) -> None:
        asyncio.run(work)  # type: ignore[arg-type]
