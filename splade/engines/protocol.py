"""The contract of every place where vectors live and are searched, and the types that go in and come out.

An `Engine` is constructed for a place: ``MyEngine(folder, **own_arguments)``, where ``folder`` is a path, or None for
an engine that keeps its vectors in memory. `Engine.build` and `Engine.open` return an `Opened`, which answers queries.
:mod:`splade.engines.conformance` holds an engine to this contract.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from numpy.typing import NDArray

from splade.dense.index import DenseBatch
from splade.indexing import Vocabulary
from splade.kernels.sparse import slice_rows
from splade.records import Ranking, SparseBatch, Text

Kind = Literal["sparse", "dense", "texts"]
"""The kinds of batches: `SparseBatch`, `DenseBatch` or `Texts`."""


class Texts(NamedTuple):
    """Texts with their ids, for an engine that weighs words itself."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]


def texts_of(texts: Iterable[Text]) -> Texts:
    """Texts as a batch."""
    given = list(texts)
    return Texts(tuple(text.id for text in given), tuple(text.text for text in given))


Batch = SparseBatch | DenseBatch | Texts


class Documents(NamedTuple):
    """Documents on their way into an engine, and a description that tells them from others."""

    batches: Callable[[int], Iterable[Any]]
    """The batches in order, from a document number on, all of one kind; shows its progress."""

    vocab_size: int | None  # terms, or numbers of a dense vector; None: as many terms as are met
    vocabulary: Vocabulary | None  # the terms by number, those that are met in `batches` added to it
    fingerprint: str  # of the encoder; "" where it is unknown
    origin: dict[str, Any]  # tells these documents from others; kept with them
    n_cut: Callable[[int, int], int] | None = None
    """The number of texts that are longer than what is read of them; says it.

    Takes how many an earlier run had encoded, and how many there are.
    """


class Lost(NamedTuple):
    """The terms of queries that an index does not know, counted under the names that are reported."""

    unknown_tokens: int = 0  # terms of queries, counted for each query
    queries_with_unknown_tokens: int = 0
    lost_weight_share: float = 0.0  # of the weight of all queries together


class Queries(NamedTuple):
    """Queries of the kind that an engine takes; sparse ones over the columns of the index that they search."""

    vectors: Any  # a Batch
    lost: Lost = Lost()
    fingerprint: str = ""  # of the encoder; "" where it is unknown
    n_cut: int | None = None  # queries that are longer than what was read of them; None where nothing was read
    encode_seconds: float | None = None  # that their vectors took; None where no model made them


class Terms(Protocol):
    """The part of an `Opened`, or of an index, that says which terms it has and who made it."""

    vocab_size: int
    fingerprint: str
    metadata: dict[str, Any]
    path: Path | None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The terms by number; None where their names are not known."""


class Opened(Protocol):
    """Documents that can be searched. Immutable: what is written later is seen by opening again.

    ``path`` names the place in messages. ``metadata`` is the ``origin`` of the documents. ``fingerprint`` is the
    encoder's, "" where the place cannot keep one. ``takes`` is the kind of the queries.
    """

    takes: ClassVar[Kind]
    n_docs: int
    vocab_size: int
    fingerprint: str
    metadata: dict[str, Any]
    path: Path | None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The terms by number; None where their names are not known, and for dense vectors."""

    def search(
        self,
        queries: Queries,
        k: int,
        *,
        n_threads: int = 1,
        threshold: float = 0.0,
        seconds: list[float] | None = None,
    ) -> Iterator[Ranking]:
        """A `Ranking` for each query, in order: best first, at most ``k`` documents, ties by document number.

        ``threshold`` is the score to exceed; 0 restricts dense scores, which may be negative, in no way. ``seconds``
        receives how long each query took; an engine without it is free to search several together. InputError for
        queries that this place cannot answer, ValueError for other arguments out of range, both before the first
        ranking.
        """

    def unknown(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of ``doc_ids`` that no search can find: they are not there, or were deleted."""

    def facts(self, queries: Queries | None = None) -> dict[str, Any]:
        """Describe what a result rests on: ``engine``, ``strategy``, and under ``index`` sizes and precision.

        With ``queries``, what is known of searching these: ``flops`` of sparse vectors.
        """


class Engine(Protocol):
    """A place for documents. ``takes`` says of which kind its documents and queries are.

    Constructing one checks its arguments, ValueError or InputError, and reads, writes and connects to nothing.
    """

    takes: ClassVar[Kind]

    def build(self, documents: Documents) -> Opened:
        """Put ``documents`` there and open them.

        Documents of the same encoder and origin that are there already are kept, and none of ``batches`` is read.
        Others are replaced, when all is done: until then the place answers as before. An interrupted build leaves
        nothing that opens, and the same call completes it. InputError while another writer is at this place.
        """

    def open(self) -> Opened:
        """Open the documents that are there; InputError where there are none, or they are not whole."""

    def exists(self) -> bool:
        """True where `open` has something to open."""

    def is_built(self, documents: Documents) -> bool:
        """True where `build` would keep what is there."""


def part_of(queries: Queries, start: int, stop: int) -> Queries:
    """The queries from number ``start`` to ``stop``, or to the end."""
    return queries._replace(vectors=slice_of(queries.vectors, start, stop))


def slice_of(batch: Any, start: int, stop: int) -> Any:
    """A batch of the same kind: from number ``start`` to ``stop``, or to the end."""
    stop = min(stop, len(batch.ids))
    if isinstance(batch, SparseBatch):
        return SparseBatch(batch.ids[start:stop], slice_rows(batch.rows, start, stop), batch.vocab_size)
    return type(batch)(*(field[start:stop] for field in batch))


def unknown_in(numbers: Callable[[Sequence[str]], NDArray[Any]], doc_ids: Iterable[str]) -> list[str]:
    """Those of ``doc_ids`` that have no number: ``numbers`` gives -1 for these."""
    asked = list(doc_ids)
    return [id for id, number in zip(asked, numbers(asked), strict=True) if number < 0]


def refuse_other_kind(engine: Any, batch: Any, kind: type) -> None:
    """TypeError where ``batch`` is not of the kind that ``engine`` takes."""
    if not isinstance(batch, kind):
        raise TypeError(f"{type(engine).__name__} takes {kind.__name__}, got {type(batch).__name__}")


def same_origin(opened: Terms, documents: Documents, fingerprint: str | None = None) -> bool:
    """True where what is opened is of the encoder and the origin of ``documents``."""
    expected = documents.fingerprint if fingerprint is None else fingerprint
    return opened.fingerprint == expected and opened.metadata == documents.origin
