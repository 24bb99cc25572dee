"""A client of Milvus whose calls come through, or fail in words; and milvus-lite behind it, as long as it is used."""

import gc
import logging
import re
import weakref
from pathlib import Path
from typing import Any

from splade.engines.places.packages import hear, package
from splade.engines.places.retries import Retries
from splade.files import InputError

BUSY = {2, 4, 8, 11}  # not available, too many requests, over the rate limit, behind: error codes of a server
PASSING = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"}  # of gRPC
REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED", 1400, 1401}  # a wrong token, or one without the right
QUOTA = 9  # writing is denied: the disk or memory of the server is at its limit
LOGGERS = ("milvus_lite.server_manager", "milvus_lite.adapter.grpc.servicer", "grpc._server", "pymilvus.decorators")
CHATTY = ("milvus_lite", "faiss")  # which tell of each start and stop
RETRIES = Retries(attempts=5)  # on top of the client's own, which go on until a call's time is over
FIRST = 10.0  # seconds to connect
STARTS = 3  # of an embedded server

_EMBEDDED: "weakref.WeakValueDictionary[str, Connection]" = weakref.WeakValueDictionary()


def connected(address: str | Path, token: str | None, timeout: float) -> "Connection":
    """A connection to the server at ``address``, or to the database in that folder, which this process has once."""
    if isinstance(address, str):
        return Connection(address, token, timeout)
    key = str(address.resolve())
    there = _EMBEDDED.get(key)
    if there is None:
        gc.collect()  # databases that nobody uses any more are closed now, and not while the next one starts
        address.parent.mkdir(parents=True, exist_ok=True)
        there = _EMBEDDED[key] = Connection(address, None, timeout)
    return there


class Connection:
    """A client; an embedded database is open until nobody holds its connection any more.

    ``version`` is the server's, ``release`` its first two numbers.
    """

    def __init__(self, address: str | Path, token: str | None, timeout: float) -> None:
        self.address, self.timeout = str(address), timeout
        self.is_embedded = not isinstance(address, str)
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        self.module = package("pymilvus", "milvus")
        if self.is_embedded:
            package("milvus_lite", "milvus")
        self.client_version = f"pymilvus {self.module.__version__}"
        self.client = self._client(token or "", min(timeout, FIRST))
        if self.is_embedded:
            weakref.finalize(self, _end, self.client, self.address)
        self.version = str(self.call("get_server_version"))
        self.is_lite = self.version.startswith("milvus_lite")
        numbers = re.findall(r"\d+", self.version)[:2]
        self.release = tuple(map(int, numbers)) if len(numbers) == 2 else (0, 0)

    def _client(self, token: str, timeout: float) -> Any:
        """A client; an embedded server that does not answer in time, on a busy machine, is started again."""
        heard, *_ = [hear(name) for name in LOGGERS]
        for attempt in range(1, STARTS + 1):
            heard.last = ""
            try:
                return self.module.MilvusClient(self.address, token=token, timeout=timeout)
            except self._errors() as error:
                if not self.is_embedded or heard.last or attempt == STARTS:
                    raise InputError(self._in_words(error, "connecting", heard.last)) from error
                _release(self.address)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def call(self, name: str, *arguments: Any, **named: Any) -> Any:
        """The answer of a method of the client, called again while the server is busy; InputError where it fails."""
        method, timeout = getattr(self.client, name), named.pop("timeout", self.timeout)
        if name not in ("list_collections", "list_indexes"):  # which take none, and are short
            named["timeout"] = timeout
        try:
            return RETRIES.call(lambda: method(*arguments, **named), self._wait, f"{self.address}: {name}")
        except self._errors() as error:
            raise InputError(self._in_words(error, name)) from error

    def _errors(self) -> tuple[type[Exception], ...]:
        return (self.module.MilvusException, package("grpc", "milvus").RpcError)

    def _wait(self, error: Exception) -> float | None:
        if not isinstance(error, self._errors()):
            return None
        code = _code(error)
        return 0.0 if code in BUSY or code in PASSING or getattr(error, "retriable", False) else None

    def _in_words(self, error: Exception, what: str, heard: str = "") -> str:
        where = f"engine=milvus, {self.address}" if self.is_embedded else f"engine.uri={self.address}"
        code, told = _code(error), heard or _message(error)
        if {code, _code(error.__cause__)} & REFUSED:
            return f"{where}: the token is refused. Set the environment's MILVUS_TOKEN, or engine.token_file"
        if self.is_embedded and "holds the lock" in told:
            return f"{where}: another process has it open. Wait for it, or stop it"
        if code == QUOTA:
            return f"{where}: the server takes no more documents (its disk or memory is at the limit): {told}"
        if self.is_embedded:
            return f"{where}: {what} failed: {told}"
        if what == "connecting" or code in PASSING or code in BUSY:
            return f"{where}: no answer ({what}: {told}). Is Milvus running there, and can this machine reach it?"
        return f"{where}: {what} failed: {told}"


def _code(error: BaseException | None) -> Any:
    """The number of an error of Milvus, or the name of one of gRPC."""
    code = getattr(error, "code", None)
    code = code() if callable(code) else code
    return getattr(code, "name", code)


def _message(error: Exception) -> str:
    told = getattr(error, "message", None) or (error.details() if hasattr(error, "details") else None) or str(error)
    return " ".join(str(told).split())[:500]


def _end(client: Any, path: str) -> None:
    client.close()
    _release(path)


def _release(path: str) -> None:
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(path)
