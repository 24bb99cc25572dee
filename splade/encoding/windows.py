"""Texts read window by window, and the ones that are cut counted: what all encoders do alike. Starts without torch."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from splade.batches import concatenated
from splade.encoding.reading import Reading
from splade.records import SparseBatch, Text, TokenBatch

logger = logging.getLogger(__name__)

Encoded = Callable[[int], object]
"""Told how many texts have been encoded since it was called before."""


class WindowEncoder(ABC):
    """The base of encoders: one side of a model that reads texts window by window.

    ``max_length`` tokens of a text are read; ``n_cut`` counts the longer texts among those read so far.
    """

    side: str
    max_length: int
    n_cut: int

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """The number of terms."""

    @property
    @abstractmethod
    def window(self) -> int:
        """The number of texts that are read together."""

    @abstractmethod
    def reading(self) -> Reading:
        """Its way from texts to token ids, that any number of threads may go at a time."""

    @abstractmethod
    def encode(self, texts: Iterable[Text], *, encoded: Encoded | None = None) -> Iterator[SparseBatch]:
        """Sparse vectors of ``texts`` in their order, a window at a time."""

    def encode_all(self, texts: Iterable[Text], *, encoded: Encoded | None = None) -> SparseBatch:
        """Sparse vectors of all ``texts`` in one batch; for query sets and other small collections."""
        batches = list(self.encode(texts, encoded=encoded))
        ids = tuple(text_id for batch in batches for text_id in batch.ids)
        return SparseBatch(ids, concatenated([batch.rows for batch in batches]), self.vocab_size)

    def count_cut(self, texts: Iterable[Text]) -> None:
        """Count the ``texts`` that are longer than the tokens read, as encoding them would."""
        for _ in self._windows(texts):
            pass

    def tell_cut(self, name: str, before: int, n_texts: int) -> int:
        """The number of texts that were cut since ``n_cut`` was ``before``; said of ``name``, of whose they are."""
        n_cut = self.n_cut - before
        if n_cut:
            plural, address = ("queries", "config.max_length_q") if self.side == "query" else ("documents", "")
            logger.warning(
                "%s: %d of %d %s are longer than the %d tokens that are read (%s); the rest of them is left out",
                name, n_cut, n_texts, plural, self.max_length, address or "config.max_length",
            )  # fmt: skip
        return n_cut

    def _windows(self, texts: Iterable[Text]) -> Iterator[TokenBatch]:
        stream = iter(texts)
        while window := list(islice(stream, self.window)):
            tokens = self._read(window)
            self.n_cut += tokens.n_cut
            yield tokens

    def _read(self, texts: Sequence[Text]) -> TokenBatch:
        return self.reading().batch([text.text for text in texts], [text.id for text in texts])
