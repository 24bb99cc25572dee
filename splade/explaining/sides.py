"""The sides of a model as explanations need them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from numpy.typing import ArrayLike

from splade.records import Provenance, SparseBatch, Text


class SideEncoder(Protocol):
    """One side of a model as an explanation needs it; `splade.encoding.Encoder` is one."""

    side: str

    @property
    def terms(self) -> Sequence[str]:
        """The name of every term, by its number, all different."""

    def readings(self, tokens: Sequence[str]) -> list[str]:
        """Names of terms as a reader reads them."""

    def encode_all(self, texts: Iterable[Text]) -> SparseBatch:
        """The sparse vectors of texts."""

    def provenance(self, text: Text, terms: ArrayLike) -> Provenance:
        """The tokens of a text, and what each of them gave to terms."""
