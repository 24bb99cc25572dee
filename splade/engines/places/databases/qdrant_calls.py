"""A client of a Qdrant server whose calls come through, or fail in words."""

import json
import logging
import re
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from splade.engines.places.databases.qdrant_settings import KEY
from splade.engines.places.packages import package
from splade.engines.places.retries import Retries
from splade.files import InputError

PASSING = (429, 500, 502, 503, 504)
RETRIES, FIRST = Retries(), Retries(attempts=3)  # the first call tells a wrong address sooner
ASKED = 2.0  # seconds between two looks at what a server is still doing
LOCAL = ("localhost", "127.0.0.1", "::1")

logger = logging.getLogger(__name__)


class Client:
    """A client of the REST interface; ``version`` is the server's, ``release`` its first two numbers."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        self.url = url
        client = package("qdrant_client", "qdrant")
        self.types = package("qdrant_client.models", "qdrant")
        self.exceptions = package("qdrant_client.http.exceptions", "qdrant")
        self.exhausted = package("qdrant_client.common.client_exceptions", "qdrant").ResourceExhaustedResponse
        self.client_version = f"qdrant-client {version('qdrant-client')}"
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each request
        if key is not None and url.startswith("http://") and urlsplit(url).hostname not in LOCAL:
            logger.warning("engine.url=%s: the API key is sent without encryption; use https://", url)
        # The key goes by a header: given as api_key it would be warned of, above in our words.
        headers = None if key is None else {"api-key": key}
        seconds = int(timeout) or 1
        self.client = client.QdrantClient(url=url, headers=headers, timeout=seconds, check_compatibility=False)
        self.version = str(self.call("info", retries=FIRST).version)
        numbers = re.findall(r"\d+", self.version)[:2]
        self.release = tuple(map(int, numbers)) if len(numbers) == 2 else (0, 0)

    def call(self, name: str, *arguments: Any, retries: Retries | None = None, **named: Any) -> Any:
        """The answer of a method of the client, called again while the server is busy; InputError where it fails."""
        method = getattr(self.client, name)
        try:
            retries = RETRIES if retries is None else retries
            return retries.call(lambda: method(*arguments, **named), self._wait, f"engine.url={self.url}: {name}")
        except self._errors() as error:
            raise InputError(self._in_words(error, name)) from error

    def wait_until_green(self, place: str) -> None:
        """Return when the server indexes and optimises a collection no more."""
        waiting = False
        while True:
            about = self.call("get_collection", place)
            status = str(getattr(about.status, "value", about.status))
            if status == "red":
                told = f"{place} is red: {about.optimizer_status}. See the server's log"
                raise InputError(f"engine.url={self.url}: {told}")
            if status == "green":
                return
            if not waiting:
                logger.info("engine.url=%s: waiting while %s is being indexed", self.url, place)
                waiting = True
            if status == "grey":  # work is pending that only a change sets off
                self.call("update_collection", place, optimizers_config=self.types.OptimizersConfigDiff())
            RETRIES.sleep(ASKED)

    def _errors(self) -> tuple[type[Exception], ...]:
        return (self.exceptions.ApiException, self.exhausted)

    def _wait(self, error: Exception) -> float | None:
        if isinstance(error, self.exhausted):
            return float(error.retry_after_s)  # type: ignore[attr-defined]
        if isinstance(error, self.exceptions.UnexpectedResponse):
            return 0.0 if error.status_code in PASSING else None
        if isinstance(error, self.exceptions.ResponseHandlingException):
            return 0.0 if type(error.source).__module__.startswith(("httpx", "httpcore")) else None
        return None

    def _in_words(self, error: Exception, what: str) -> str:
        where, status = f"engine.url={self.url}", getattr(error, "status_code", None)
        if status in (401, 403):
            return f"{where}: the API key is refused ({status}). Set the environment's {KEY}, or engine.api_key_file"
        if status == 413:
            return f"{where}: a request is larger than the server takes ({what}). Lower engine.batch"
        if isinstance(error, self.exceptions.ResponseHandlingException):
            told = str(error.source) or type(error.source).__name__
            return f"{where}: no answer ({what}: {told}). Is Qdrant running there, and can this machine reach it?"
        return f"{where}: {what} failed{'' if status is None else f' ({status})'}: {_told(error)}"


def _told(error: Any) -> str:
    """The server's own words about what is wrong."""
    try:
        return str(json.loads(error.content)["status"]["error"])[:500]
    except (AttributeError, KeyError, TypeError, ValueError):
        return " ".join(str(error).split())[:500]
