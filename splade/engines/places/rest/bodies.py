"""The bodies that are sent to OpenSearch and Elasticsearch: an index, documents, searches. Files have the same."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from splade.engines.places.rest.forms import FIELD, NUMBER, Form
from splade.records import SparseBatch, SparseRows


def index_body(form: Form, settings: dict[str, Any], about: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The body that makes an index: ``settings`` of it, and ``fields`` beside the vector and the number.

    ``about`` goes into the mapping's ``_meta``. Unknown fields are refused by the server.
    """
    properties = {NUMBER: {"type": "long", "index": False}, **fields, FIELD: form.mapping()}
    mappings = {"dynamic": "strict", "_meta": {"splade": about}, "properties": properties}
    return {"settings": {"index": {**settings, **form.settings()}}, "mappings": mappings}


def vectors(rows: SparseRows) -> Iterator[str]:
    """The rows as `json_object`."""
    columns, weights = rows.columns.tolist(), rows.weights.tolist()
    for start, stop in zip(rows.offsets[:-1].tolist(), rows.offsets[1:].tolist(), strict=True):
        yield json_object(columns[start:stop], weights[start:stop])


def json_object(columns: list[int], weights: list[float]) -> str:
    """A vector as a JSON object from term id to weight; nine digits hold a float32 exactly."""
    flat: list[float] = [0.0] * (2 * len(columns))
    flat[::2], flat[1::2] = columns, weights
    return "{" + ('"%d":%.9g,' * len(columns))[:-1] % tuple(flat) + "}"  # all at once, in half the time


def document_lines(first: int, batch: SparseBatch, *, with_ids: bool = False) -> Iterator[tuple[int, bytes]]:
    """Number and bulk lines, an action and a document, of each text; those without terms have no vector.

    The number is the ``_id``: the same document again replaces itself. ``with_ids`` adds ``doc_id``.
    """
    for row, vector in enumerate(vectors(batch.rows)):
        own = f',"doc_id":{json.dumps(batch.ids[row], ensure_ascii=False)}' if with_ids else ""
        own += f',"{FIELD}":{vector}' if vector != "{}" else ""
        lines = f'{{"index":{{"_id":"{first + row}"}}}}\n{{"{NUMBER}":{first + row}{own}}}\n'
        yield first + row, lines.encode()


def search_body(form: Form, rows: SparseRows, row: int, limit: int, fields: tuple[str, ...] = (NUMBER,)) -> Any:
    """The body of a search, and the factor that its scores have; the row is not empty.

    Answers have ``fields`` from doc values and no stored field: no ``_source`` is read.
    """
    own = slice(int(rows.offsets[row]), int(rows.offsets[row + 1]))
    weights = rows.weights[own].astype(np.float64)
    scale = form.scale(float(weights.max()))
    pairs = zip(rows.columns[own].tolist(), (weights * scale).tolist(), strict=True)
    tokens = {str(term): float(f"{weight:.9g}") for term, weight in pairs}
    body = {"size": limit, "stored_fields": "_none_", "docvalue_fields": list(fields), "track_total_hits": False}
    return {**body, "query": form.query(tokens, limit)}, scale
