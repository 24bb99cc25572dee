"""An index of OpenSearch or Elasticsearch, open for searching."""

import json
from typing import Any

import numpy as np

from splade.engines.places.rest.bodies import search_body
from splade.engines.places.rest.connection import Busy, Connection, reason
from splade.engines.places.rest.forms import NUMBER, Form
from splade.engines.places.store import Found
from splade.files import InputError
from splade.records import SparseRows

WINDOW = 10_000  # documents that a search returns at most: index.max_result_window


class OpenIndex:
    """An index as `Searching` has it."""

    most: int | None = WINDOW
    concurrent = True

    def __init__(self, connection: Connection, form: Form, index: str) -> None:
        self.connection, self.form, self.index = connection, form, index

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """One request for all rows; those that the server has no room for are asked again."""
        bodies = {row: search_body(self.form, rows, row, limit) for row in range(len(rows.offsets) - 1)}
        found: dict[int, Found] = {}
        asking = list(bodies)

        def ask() -> None:
            answers = self._answers([bodies[row][0] for row in asking])
            later = ""
            for row, answer in list(zip(asking, answers, strict=True)):
                if answer.get("status", 200) in (429, 503):
                    later = reason(answer)
                else:
                    found[row] = self._found(answer, bodies[row][1])
                    asking.remove(row)
            if later:
                raise Busy(f"{len(asking)} of {len(bodies)} searches were refused for now ({later})")

        self.connection.again(ask, f"{self.connection.name} search in {self.index}")
        return [found[row] for row in bodies]

    def _answers(self, bodies: list[Any]) -> list[dict[str, Any]]:
        once = self.connection.once
        if len(bodies) == 1:
            path = f"/{self.index}/_search?allow_partial_search_results=false"
            return [once("POST", path, bodies[0]).body]
        header = b'{"allow_partial_search_results":false}\n'
        lines = b"".join(header + json.dumps(body).encode() + b"\n" for body in bodies)
        return list(once("POST", f"/{self.index}/_msearch", lines).body["responses"])

    def _found(self, answer: dict[str, Any], scale: float) -> Found:
        name = self.connection.name
        if "error" in answer:
            raise InputError(f"engine={name}: search in {self.index}: {answer.get('status')} {reason(answer)}")
        failed = answer.get("_shards", {}).get("failed", 0)
        if failed or answer.get("timed_out"):
            raise Busy(f"the search was not whole ({failed} shards failed, timed out: {answer.get('timed_out')})")
        hits = answer["hits"]["hits"]
        scores = np.array([hit["_score"] for hit in hits], np.float32) / np.float32(scale)
        numbers = np.array([hit["fields"][NUMBER][0] for hit in hits], np.int64)
        return Found(numbers[scores > 0], scores[scores > 0])

    def facts(self) -> dict[str, Any]:
        """The form's own, the server's version, and the bytes of the primary shards."""
        answer = self.connection.call("GET", f"/{self.index}/_stats/store", accepted=(403,))
        told = {**self.form.facts(), "version": version_of(self.connection)}
        if answer.status != 403:
            told["bytes"] = answer.body["_all"]["primaries"]["store"]["size_in_bytes"]
        return told


def version_of(connection: Connection) -> str:
    """The server's name and version; "" where it does not tell this user."""
    answer = connection.call("GET", "/", accepted=(403,))
    told = answer.body.get("version", {}) if answer.status != 403 and isinstance(answer.body, dict) else {}
    product = "OpenSearch" if told.get("distribution") == "opensearch" else "Elasticsearch"
    return f"{product} {told['number']}" if told.get("number") else ""
