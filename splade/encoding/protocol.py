"""The interface of every encoder of texts, whether a model runs in it or a table is looked up. Starts without torch."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from numpy.typing import ArrayLike

from splade.encoding.reading import Reading
from splade.records import Provenance, SparseBatch, Text, TokenBatch


class TextEncoder(Protocol):
    """One side of a model as a function from texts to sparse vectors over ``vocab_size`` terms.

    ``max_length`` tokens of a text are read; ``n_cut`` counts the longer texts among those read so far.
    """

    side: str
    max_length: int
    n_cut: int

    @property
    def vocab_size(self) -> int:
        """The number of terms."""

    @property
    def precision(self) -> str:
        """The name of the number format that weights are computed in."""

    def fingerprint(self) -> str:
        """32 hex digits that name the document side of the model; an index carries those of its encoder."""

    @property
    def terms(self) -> list[str]:
        """The name of every term, by its number, all different."""

    def readings(self, tokens: Sequence[str]) -> list[str]:
        """Names of terms as a reader reads them."""

    def provenance(self, text: Text, terms: ArrayLike) -> Provenance:
        """The tokens that are read of ``text``, and what each of them gives ``terms``, numbers of the vocabulary."""

    def reading(self) -> Reading:
        """Its way from texts to token ids, that any number of threads may go at a time."""

    def encode(self, texts: Iterable[Text], *, encoded: Any = None) -> Iterator[SparseBatch]:
        """Sparse vectors of ``texts``, batch by batch, in their order."""

    def encode_all(self, texts: Iterable[Text], *, encoded: Any = None) -> SparseBatch:
        """Sparse vectors of all ``texts`` in one batch."""

    def encode_tokens(self, tokens: TokenBatch) -> SparseBatch:
        """Sparse vectors of texts that were tokenised; of one thread at a time."""

    def tell_cut(self, name: str, before: int, n_texts: int) -> int:
        """The number of texts that were cut since ``n_cut`` was ``before``; said of ``name``, of whose they are."""


def named_terms(tokens: Sequence[str | None], vocab_size: int) -> list[str]:
    """The token of every term, all different: those without one are called ``[term_<id>]``."""
    terms: dict[str, None] = {}
    for term in range(vocab_size):
        token = tokens[term] if term < len(tokens) else None
        while token is None or token in terms:
            token = f"[term_{term}]" if token is None else f"{token}'"
        terms[token] = None
    return list(terms)
