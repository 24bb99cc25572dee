"""HTTP to a server that speaks JSON: kept connections, who one is, retries, and errors in words."""

import base64
import http.client
import json
import logging
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from splade.engines.places.retries import Retries
from splade.engines.places.secrets import refuse_secret_in
from splade.files import InputError

logger = logging.getLogger(__name__)

BUSY = (429, 502, 503, 504)
LONGEST_ASKED = 120.0  # seconds that a server's Retry-After is obeyed for
QUICK = 2  # calls to a server that has never answered: it may not be there at all


class Busy(Exception):
    """The server asks to come back later, after ``seconds`` if it says so."""

    def __init__(self, what: str, seconds: float = 0.0) -> None:
        super().__init__(what)
        self.seconds = seconds


class Answer(NamedTuple):
    """A status and what came with it: JSON, or text where it is none."""

    status: int
    body: Any


class Refused(InputError):
    """An answer that no retry mends."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


class Access(NamedTuple):
    """The user as a header, and the certificates of servers to believe. None of it is printed."""

    header: str | None = None
    ca_file: str | None = None
    verify: bool = True

    def __repr__(self) -> str:
        return f"Access(header={'set' if self.header else None}, ca_file={self.ca_file}, verify={self.verify})"


def basic(user: str, password: str) -> str:
    """The header of a user with a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


class Connection:
    """A server at ``url``; threads may call it together, each call has a connection to itself.

    ``secret_variable`` is named where ``url`` has a secret in it, which is refused. ``timeout`` is in seconds, of each
    read. Nothing is connected to before the first call.
    """

    def __init__(
        self,
        url: str,
        access: Access = Access(),  # noqa: B008, immutable
        *,
        name: str,
        secret_variable: str,
        timeout: float = 120.0,
        retries: Retries = Retries(),  # noqa: B008, immutable
    ) -> None:
        refuse_secret_in(url, "engine.url", secret_variable)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise InputError(f"engine.url={url}: expected http://HOST:PORT or https://HOST:PORT")
        self.url, self.name, self.access, self.timeout, self.retries = url, name, access, timeout, retries
        self._parts = parts
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._known = False
        if access.header and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            logger.warning("%s: the password or key goes over the network in the clear; use https", url)
        weakref.finalize(self, _close_all, self._idle)

    def call(
        self, method: str, path: str, body: Any = None, *, accepted: tuple[int, ...] = (), slow: bool = False
    ) -> Answer:
        """The answer to a request, after the retries that make sense; ``body`` is bytes of NDJSON, or JSON.

        InputError for what a user can mend; `Refused` for an error status that is not in ``accepted``. ``slow`` waits
        for the answer however long it takes.
        """
        return self.again(lambda: self.once(method, path, body, accepted, slow), f"{self.name} {method} {path}")

    def again(self, call: Any, what: str) -> Any:
        """The result of ``call``, made again where `Busy` or a lost connection ends it; InputError in the end."""
        retries = self.retries if self._known else self.retries._replace(attempts=min(QUICK, self.retries.attempts))
        try:
            return retries.call(call, _wait_for, what)
        except Busy as error:
            raise InputError(
                f"engine={self.name}: {error}, after {retries.attempts} attempts. Try again later"
            ) from None
        except ssl.SSLCertVerificationError as error:
            raise InputError(
                f"engine.url={self.url}: the server's certificate is not trusted ({error.verify_message}). Give the "
                "authority's in engine.ca_file, or engine.verify=false to believe any"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise InputError(
                f"engine.url={self.url}: no answer ({type(error).__name__}: {error}). Start the server, or correct "
                "the address"
            ) from error

    def once(
        self, method: str, path: str, body: Any = None, accepted: tuple[int, ...] = (), slow: bool = False
    ) -> Answer:
        """The answer to a request that is made once; `Busy`, `Refused`, OSError or HTTPException."""
        lines = isinstance(body, bytes)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/x-ndjson" if lines else "application/json"
        if self.access.header:
            headers["Authorization"] = self.access.header
        told = body if lines or body is None else json.dumps(body, ensure_ascii=False).encode()
        with self._connected() as connection:
            if connection.sock is not None:
                connection.sock.settimeout(None if slow else self.timeout)
            connection.timeout = None if slow else self.timeout
            status, after, content = _exchange(connection, method, self._parts.path.rstrip("/") + path, told, headers)
        self._known = True
        answer = Answer(status, _decoded(content))
        if status < 300 or status in accepted:
            return answer
        if status in BUSY:
            raise Busy(f"{status} {reason(answer.body)}", seconds_of(after))
        raise Refused(self._said(method, path, answer), answer)

    def _said(self, method: str, path: str, answer: Answer) -> str:
        told = reason(answer.body)
        if answer.status == 401:
            return f"engine={self.name}: {self.url} does not know this user, password or key (401 {told})"
        if answer.status == 403:
            return f"engine={self.name}: this user or key may not {method} {path} (403 {told})"
        return f"engine={self.name}: {method} {path}: {answer.status} {told}"

    @contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._new()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)

    def _new(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self.timeout)
        return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=self._trust())

    def _trust(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.access.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"engine.ca_file={self.access.ca_file}: no certificates in PEM form ({error})") from error
        if not self.access.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def checked_access(header: str | None, url: str, ca_file: str | Path | None, verify: bool) -> Access:
    """The access for ``url``; InputError for settings of TLS that it has no use for."""
    if url.startswith("http://") and (ca_file is not None or not verify):
        setting = f"engine.ca_file={ca_file}" if ca_file is not None else "engine.verify=false"
        raise InputError(f"{setting}: engine.url={url} has no certificate. Use https, or remove it")
    return Access(header, None if ca_file is None else str(Path(ca_file).expanduser()), verify)


def reason(body: Any) -> str:
    """An answer's own words of what is wrong, in one line."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        causes = error.get("root_cause") or [error]
        deepest = error.get("caused_by", {}).get("reason")
        told = f"{causes[0].get('type', '')}: {causes[0].get('reason', '')}" + (f" ({deepest})" if deepest else "")
    else:
        told = str(error)
    return " ".join(told.split())[:500]


def seconds_of(told: str | None) -> float:
    """Seconds of a Retry-After, given as a number or a date; 0 where there is none."""
    if not told:
        return 0.0
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(told) - datetime.now(timezone.utc)).total_seconds()
        except (TypeError, ValueError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_ASKED)


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int, str | None, bytes]:
    """Status, Retry-After and content. A kept connection that the server has closed meanwhile is opened again."""
    kept = connection.sock is not None
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
    except (ConnectionError, http.client.BadStatusLine):
        if not kept:
            raise
        connection.close()
        connection.request(method, path, body, headers)
        response = connection.getresponse()
    return response.status, response.getheader("Retry-After"), response.read()


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content) if content else {}
    except ValueError:
        return content.decode("utf-8", "replace")


def _wait_for(error: Exception) -> float | None:
    if isinstance(error, Busy):
        return error.seconds
    if isinstance(error, ssl.SSLError) or (isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN):
        return None
    return 0.0 if isinstance(error, OSError | http.client.HTTPException) else None


def _close_all(connections: list[http.client.HTTPConnection]) -> None:
    for connection in connections:
        connection.close()
