"""Weights as whole numbers, which engines of quantised postings add up exactly."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from splade.exporting.anserini import checked_factor, rounded
from splade.exporting.target import Documents, Observed
from splade.files import InputError
from splade.kernels.sparse import keep_entries
from splade.records import SparseBatch

FACTOR = 100.0
MOST_BITS = 24  # whole numbers of so many bits are exact as float32, which postings are gathered in


class Impacts:
    """The whole number nearest to a weight times a factor, half-way cases to the even one; 0 is left out.

    Documents' factor is ``factor_document``; where it is None, the one that makes the largest weight the largest number
    of ``bits`` bits; where both are None, 100. InputError for a factor that is not above 0, for bits that are not in
    [1, 24], and, in `prepare`, where the largest weight needs more bits.
    """

    def __init__(self, factor_document: float | None, factor_query: float, bits: int | None) -> None:
        if bits is not None and (isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= MOST_BITS):
            raise InputError(f"export.bits={bits!r}: expected null, or a whole number from 1 to {MOST_BITS}")
        self.bits = bits
        self.given = (
            None if factor_document is None else checked_factor("quantization_factor_document", factor_document)
        )
        self.document = self.given or FACTOR
        self.query = checked_factor("quantization_factor_query", factor_query)

    def prepare(self, observed: Observed) -> None:
        """Choose documents' factor by their largest weight."""
        most = 2 ** (self.bits or MOST_BITS) - 1
        if self.given is None:
            self.document = most / observed.largest if self.bits and observed.largest else FACTOR
        needed = int(np.rint(observed.largest * self.document))
        if needed > most:
            raise InputError(
                f"the largest weight of a document, {observed.largest:g}, becomes {needed} with "
                f"export.quantization_factor_document={self.document:g}; at most {most} fits into "
                f"{self.bits or MOST_BITS} bits. Give a smaller factor, or null and export.bits"
            )

    def of(self, side: str) -> float:
        """The factor of a side."""
        return self.document if side == "document" else self.query

    def whole(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.int64]:
        """The impacts of weights."""
        return rounded(weights, self.of(side))

    def weights(self, side: str, whole: NDArray[np.int64]) -> NDArray[np.float32]:
        """The weights that impacts stand for."""
        return (whole / self.of(side)).astype(np.float32)

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights as impacts, divided by the factor again."""
        return self.weights(side, self.whole(side, weights))

    def batches(self, documents: Documents) -> Iterator[SparseBatch]:
        """Batches of documents whose weights are impacts, without those of 0."""
        for batch, _ in documents:
            yield self.batch("document", batch)

    def batch(self, side: str, batch: SparseBatch) -> SparseBatch:
        """``batch`` with impacts for weights, without those of 0."""
        whole = self.whole(side, batch.rows.weights)
        rows = batch.rows._replace(weights=whole.astype(np.float32))
        return batch._replace(rows=keep_entries(rows, whole > 0))

    def told(self) -> str:
        """Tell in words how weights are quantised."""
        by = f" (the largest weight gets {2**self.bits - 1})" if self.bits and self.given is None else ""
        return f"rint(weight x factor), factors {self.document:g} for documents{by}, {self.query:g} for queries"


def counted(batches: Iterable[SparseBatch]) -> tuple[int, int]:
    """The number of texts, and of those without terms."""
    n_texts = n_empty = 0
    for batch in batches:
        n_texts += len(batch.ids)
        n_empty += int((np.diff(batch.rows.offsets) == 0).sum())
    return n_texts, n_empty
