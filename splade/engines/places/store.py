"""The contract of a system that holds vectors and searches them: documents are numbers there, nothing more."""

from typing import Any, ClassVar, NamedTuple, Protocol

from numpy.typing import NDArray

from splade.records import SparseBatch, SparseRows


class Found(NamedTuple):
    """The answer to one query, best first."""

    numbers: NDArray[Any]  # int64 [n], of documents
    scores: NDArray[Any]  # float32 [n], non-increasing, as the system computes them


class Searching(Protocol):
    """A place that is open for searching.

    ``most`` is the largest ``limit`` that it takes, None for any. ``concurrent`` is True where `search` may be called
    from several threads at a time.
    """

    most: int | None
    concurrent: bool

    def search(self, rows: SparseRows, limit: int) -> list[Found]:
        """At most ``limit`` documents for each of ``rows``, none of which is empty; scores of 0 are no answers."""

    def facts(self) -> dict[str, Any]:
        """Describe what is searched: ``strategy``, ``version``, ``bytes`` where known, ``quantization`` in words."""


class Store(Protocol):
    """A system, local or remote, with named places for the vectors of documents.

    Constructing one connects to nothing. Methods raise InputError in words for what a user can mend (the package is
    not installed, no server, a wrong password, a name that it does not take), after the retries that make sense.
    """

    name: ClassVar[str]  # as config.engine has it
    at_once: int  # documents that `put` is given at a time, at most

    def create(self, place: str, about: dict[str, Any]) -> None:
        """Make an empty place, where there was another one of this name too; keep ``about`` with it if possible."""

    def put(self, place: str, first: int, batch: SparseBatch) -> None:
        """Put documents there, numbered from ``first`` on.

        The same call again, after a failure or a kill in the middle, changes nothing. Documents without terms may be
        left out. InputError for what the system cannot hold.
        """

    def finish(self, place: str) -> None:
        """Make everything that was put searchable; returns when it is."""

    def count(self, place: str) -> int | None:
        """The number of documents with terms that are there; None where there is no such place."""

    def about(self, place: str) -> dict[str, Any] | None:
        """Return what `create` was given; None where the system cannot keep it."""

    def drop(self, place: str) -> None:
        """Remove a place; nothing where there is none."""

    def places(self) -> list[str]:
        """The names of the places that the system has, whoever made them."""

    def open(self, place: str) -> Searching:
        """Open a finished place."""

    def identity(self) -> dict[str, Any]:
        """The settings that decide what is stored (quantisation, form); others than before build it again.

        JSON values, without secrets.
        """
