"""A server of a hand-made model: every token of a text weighs what a table has for it, on both sides."""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np

from splade.data.collections.opening import open_collection
from splade.encoding.tables import Table, TableEncoder
from splade.engines.inverted import OpenedInverted
from splade.indexing import InvertedIndex, Vocabulary
from splade.records import SparseBatch, Text
from splade.serving.app import application
from splade.serving.limits import Limits
from splade.serving.metrics import Metrics
from splade.serving.serving import About, Serving
from splade.serving.sides import Sides
from splade.serving.system import Parts, System
from splade.workflow.querying.encoding import QueryEncoder
from tests.conftest import ROOT

TOKENIZER = (ROOT / "data/toy/encoder/tokenizer.json").read_text()
VOCABULARY = 3000
DOCUMENTS = {"d1": "heart attack", "d2": "the heart of a whale", "d3": "a whale swims", "d4": ""}


def weights() -> np.ndarray:
    """Weight 1 for every token, and nothing for the five special ones."""
    found = np.ones(VOCABULARY, np.float32)
    found[:5] = 0
    return found


class Side(TableEncoder):
    """The table as one side; ``gate``, where there is one, is passed before every batch."""

    def __init__(self, side: str, max_length: int = 8, gate: Any = None) -> None:
        super().__init__(Table(weights(), TOKENIZER, "f" * 32, {}, 2), max_length=max_length)
        self.side, self.gate = side, gate  # type: ignore[misc]

    def encode_tokens(self, tokens: Any) -> SparseBatch:
        if self.gate is not None:
            self.gate()
        return super().encode_tokens(tokens)


def index_of(documents: dict[str, str]) -> InvertedIndex:
    """An index of documents by the hand-made model."""
    encoder = Side("document", 64)
    batch = encoder.encode_all([Text(id, text) for id, text in documents.items()])
    return InvertedIndex.from_csr(batch, fingerprint="f" * 32, vocabulary=Vocabulary(encoder.terms))


def serving_of(
    folder: Any = None, *, gate: Any = None, key: str | None = None, local: bool = False, **limits: Any
) -> Serving:
    """A server; with ``folder``, of the collection in it too: ``raw.tsv`` and the index that is made there."""
    bounds, metrics = Limits(**limits), Metrics()
    sides = Sides(lambda side: Side(side, gate=gate), bounds, metrics)
    for side in ("query", "document"):
        sides.encoder(side)
    system = System("default", sides, (lambda: parts_in(folder)) if folder else None, engine="inverted")
    about = About("models/toy", "toy", "0.0", key, local)
    return Serving({"default": system}, bounds, metrics, about, ThreadPoolExecutor(2))


def parts_in(folder: Any) -> Parts:
    opened = OpenedInverted(InvertedIndex.open(folder))
    return Parts(opened, QueryEncoder(Side("query"), opened), open_collection(folder))


def write(folder: Any, documents: dict[str, str]) -> None:
    """Documents and their index in ``folder``."""
    folder.mkdir(exist_ok=True)
    (folder / "raw.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in documents.items()))
    index_of(documents).save(folder)


served = functools.cache(application)
"""The application of a server, made once."""


def client(serving: Serving) -> httpx.AsyncClient:
    """A client of a server in this process; an error that is not answered is raised here."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(served(serving)), base_url="http://localhost")


def ask(serving: Serving, path: str, json: Any = None, *, method: str = "POST", **how: Any) -> httpx.Response:
    """The answer to one request."""

    async def asked() -> httpx.Response:
        async with client(serving) as connection:
            return await connection.request(method, path, **({"json": json} if json is not None else {}), **how)

    return asyncio.run(asked())
