"""The store of vectors in an index of OpenSearch or Elasticsearch; the two differ in `Form` alone."""

import logging
import re
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np

from splade.engines.places.rest.bodies import document_lines, index_body
from splade.engines.places.rest.connection import Answer, Busy, Connection, Refused, reason
from splade.engines.places.rest.forms import FIELD, HEADROOM, Form
from splade.engines.places.rest.searching import OpenIndex, version_of
from splade.files import InputError
from splade.records import SparseBatch

logger = logging.getLogger(__name__)

TOO_LARGE = 413
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Sizes(NamedTuple):
    """Settings of an index, and of what is sent to it."""

    shards: int
    replicas: int
    merge: bool  # into one segment a shard, when all is there
    bulk_mb: float  # MiB of one request


def checked_sizes(shards: int, replicas: int, merge: bool, bulk_mb: float) -> Sizes:
    """The sizes; InputError for those out of range."""
    for name, value, least in (("shards", shards, 1), ("replicas", replicas, 0), ("bulk_mb", bulk_mb, 0.001)):
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise InputError(f"engine.{name}={value}: expected at least {least}")
    return Sizes(int(shards), int(replicas), bool(merge), float(bulk_mb))


def checked_prefix(prefix: str) -> str:
    """The beginning of the names of indices; InputError for one that the server refuses."""
    if prefix and (not NAME.fullmatch(prefix) or len(prefix) > 200):
        raise InputError(
            f"engine.index={prefix}: expected lower-case letters, digits and . _ -, a letter or digit first"
        )
    return prefix


class Server:
    """A `Store`: an index for each place, a document's number as its ``_id``.

    Documents without terms are not sent. An index is made when its first documents come, whose largest weight gives a
    ceiling of quantisation where the field has one.
    """

    name: ClassVar[str]
    at_once: int = 1000

    def __init__(self, connection: Connection, form: Form, prefix: str, sizes: Sizes) -> None:
        self.connection, self.form, self.prefix, self.sizes = connection, form, prefix, sizes
        self._waiting: dict[str, dict[str, Any]] = {}  # places without an index yet, with what they are about
        self._ceilings: dict[str, float] = {}

    def create(self, place: str, about: dict[str, Any]) -> None:
        """Remove an index of this name; the new one is made by `put` or `finish`."""
        self.drop(place)
        self._waiting[place] = about

    def put(self, place: str, first: int, batch: SparseBatch) -> None:
        """Send documents, some MiB at a time; those that the server has no room for are sent again."""
        self.form.check(batch)
        if not batch.rows.weights.size:
            return
        largest = float(batch.rows.weights.max())
        self._make(place, largest * HEADROOM)
        if largest > (ceiling := self._ceiling(place)):
            logger.warning(
                "documents from number %d on have weights up to %.4g; where the search is approximate, those above "
                "%.4g count as that. engine.ceiling_ingest=%.4g avoids it",
                *(first, largest, ceiling, largest),
            )
            self._ceilings[place] = np.inf  # said once
        for lines in self._requests(first, batch):
            self._send(place, lines)

    def finish(self, place: str) -> None:
        """Refresh, set replicas and refreshing as a server has them, and merge if asked to."""
        self._make(place, None)
        self._on("POST", place, "/_refresh", slow=True)
        settings = {"index": {"refresh_interval": None, "number_of_replicas": self.sizes.replicas}}
        self._on("PUT", place, "/_settings", settings)
        if self.sizes.merge:
            self._on("POST", place, "/_forcemerge?max_num_segments=1", slow=True)
            self._on("POST", place, "/_refresh", slow=True)

    def count(self, place: str) -> int | None:
        """The documents of the index: all of them have terms."""
        answer = self._on("GET", place, "/_count", accepted=(404,))
        return None if answer.status == 404 else int(answer.body["count"])

    def about(self, place: str) -> dict[str, Any] | None:
        """Return what the mapping's ``_meta`` keeps."""
        mappings = self._mappings(place)
        return None if mappings is None else dict(mappings.get("_meta", {}).get("splade", {}))

    def drop(self, place: str) -> None:
        """Remove the index."""
        self._waiting.pop(place, None)
        self._on("DELETE", place, "", accepted=(404,))

    def places(self) -> list[str]:
        """The indices whose names begin with the prefix, without it."""
        found = self.connection.call("GET", f"/_cat/indices/{self.prefix}*?format=json&h=index", accepted=(404,))
        rows = found.body if found.status != 404 else []
        return sorted(row["index"].removeprefix(self.prefix) for row in rows)

    def open(self, place: str) -> "OpenIndex":
        """Open the index for searching."""
        return OpenIndex(self.connection, self.form, self.prefix + place)

    def identity(self) -> dict[str, Any]:
        """The form of the field, and the number of shards."""
        return {**self.form.identity(), "shards": self.sizes.shards}

    def _on(self, method: str, place: str, path: str, body: Any = None, **how: Any) -> Answer:
        index = self.prefix + place
        if not NAME.fullmatch(index):  # a pattern would reach other indices too
            raise InputError(f"engine={self.name}: {index!r} is not the name of one index")
        return self.connection.call(method, f"/{index}{path}", body, **how)

    def _mappings(self, place: str) -> dict[str, Any] | None:
        answer = self._on("GET", place, "/_mapping", accepted=(404,))
        return None if answer.status == 404 else dict(next(iter(answer.body.values()))["mappings"])

    def _ceiling(self, place: str) -> float:
        """The ceiling in the mapping, which an earlier process may have chosen."""
        if place not in self._ceilings:
            properties: dict[str, Any] = (self._mappings(place) or {}).get("properties", {})
            parameters = properties.get(FIELD, {}).get("method", {}).get("parameters", {})
            told = parameters.get("quantization_ceiling_ingest", np.inf)
            self._ceilings[place] = float(told)
        return self._ceilings[place]

    def _make(self, place: str, ceiling: float | None) -> None:
        """Make the index of a place that has none yet."""
        if (about := self._waiting.get(place)) is None:
            return
        form = self.form.fitted(version_of(self.connection), ceiling)
        settings = {"number_of_shards": self.sizes.shards, "number_of_replicas": 0, "refresh_interval": "-1"}
        answer = self._on("PUT", place, "", index_body(form, settings, about), accepted=(400,))
        # An earlier attempt of this call, whose answer was lost, may have made it.
        if answer.status == 400 and not ("already_exists" in reason(answer.body) and self.about(place) == about):
            raise InputError(f"engine={self.name}: cannot make the index {self.prefix}{place}: {reason(answer.body)}")
        del self._waiting[place]
        self._ceilings[place] = form.ceiling

    def _requests(self, first: int, batch: SparseBatch) -> Iterator[dict[int, bytes]]:
        """Lines by document number, of at most ``bulk_mb`` where one document is no larger."""
        lines: dict[int, bytes] = {}
        size, most = 0, self.sizes.bulk_mb * 2**20
        for (number, line), n_terms in zip(document_lines(first, batch), np.diff(batch.rows.offsets), strict=True):
            if not n_terms:
                continue
            if lines and size + len(line) > most:
                yield lines
                lines, size = {}, 0
            lines[number] = line
            size += len(line)
        if lines:
            yield lines

    def _send(self, place: str, lines: dict[int, bytes]) -> None:
        """Send documents until the server has them all; halves of them where it finds the request too large."""
        waiting = dict(lines)
        path = f"/{self.prefix}{place}/_bulk"

        def send() -> None:
            answer = self.connection.once("POST", path, b"".join(waiting.values()), accepted=(TOO_LARGE,))
            if answer.status == TOO_LARGE:
                raise Refused(f"engine={self.name}: the server finds {len(waiting)} documents too large", answer)
            later = self._settle(place, waiting, answer.body)
            if later:
                raise Busy(f"{len(waiting)} of {len(lines)} documents were refused for now ({later})")

        try:
            self.connection.again(send, f"{self.name} POST {path}")
        except Refused as error:
            if error.answer.status != TOO_LARGE or len(waiting) == 1:
                raise
            numbers = list(waiting)
            for half in (numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]):
                self._send(place, {number: waiting[number] for number in half})

    def _settle(self, place: str, waiting: dict[int, bytes], body: Any) -> str:
        """Take what the server has from ``waiting``; the reason for what it will take later, "" where nothing waits."""
        later = ""
        for item in body["items"]:
            told = next(iter(item.values()))
            if told["status"] < 300:
                waiting.pop(int(told["_id"]), None)
            elif told["status"] in (429, 503):
                later = reason(told)
            else:
                raise InputError(
                    f"engine={self.name}: {self.prefix}{place} refuses the document with number {told['_id']}: "
                    f"{told['status']} {reason(told)}"
                )
        return later
