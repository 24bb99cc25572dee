"""The process of a server: a socket, uvicorn on it, and an end that answers what came before."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import uvicorn

from splade.files import InputError
from splade.serving.around import App
from splade.serving.limits import is_loopback

logger = logging.getLogger(__name__)

BACKLOG = 2048
CACHES = (
    "LRU_CACHE_CAPACITY",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
)  # of torch and of oneDNN, which read them at first use
KEPT_SHAPES = "16"


def bound_caches(environment: MutableMapping[str, str]) -> None:
    """Have torch keep what it prepared for products of a few shapes alone, unless the user has said how many.

    It keeps 1,024 by default, some 300 KB each, and nearly every batch of requests has a length of its own: a server
    would grow by 300 MB and find next to nothing again. Call it before a model computes.
    """
    for name in CACHES:
        environment.setdefault(name, KEPT_SHAPES)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at ``host`` and ``port`` (0: any free one); InputError where it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return _listening(family, address)
    except OSError as error:
        raise InputError(
            f"serve.host={host} serve.port={port}: nothing can be served there ({error.strerror or error}). Name "
            "another port, or 0 for any that is free"
        ) from error


def _listening(family: int, address: Any) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
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


def server_of(app: App, *, seconds_to_stop: float, ready: Callable[[], object]) -> uvicorn.Server:
    """A server of ``app``; once told to stop it answers what came before, for so many seconds.

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
    return Announcing(config, ready)


def run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(server.serve([listening]))


class Announcing(uvicorn.Server):
    """A server that says when it takes connections, and ends as a program that did what it was told."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT, which do not end the process once more when all is answered."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
