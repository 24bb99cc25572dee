"""Counts, checksums and losses of vectors, batch by batch: the same for the same vectors in any batches."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.exporting.target import FileTarget, kept_rows
from splade.records import SparseBatch


class Tally:
    """Adds up what is written of one side, as the engine of ``target`` keeps it.

    ``checksum`` covers ids, terms and weights in order; for a target that reorders, in any order of documents. The loss
    of a weight is its change, in shares of it; a term that is left out lost all. Memory: none that grows.
    """

    def __init__(self, target: FileTarget, side: str) -> None:
        self.target, self.side = target, side
        self.n_texts = self.n_empty = self.n_terms = self.dropped_terms = 0
        self.lost_sum, self.largest_loss = 0.0, 0.0
        self.crc = 0

    def add(self, batch: SparseBatch) -> None:
        """Count vectors as they were before they are written."""
        before = batch.rows.weights.astype(np.float64)
        after = np.asarray(self.target.kept_weights(self.side, batch), np.float64)
        lost = np.abs(after - before) / before
        self.lost_sum += float(lost.sum())
        self.largest_loss = max(self.largest_loss, float(lost.max(initial=0.0)))
        self.dropped_terms += int((after <= 0).sum())
        self.add_kept(kept_rows(self.target, self.side, batch))

    def add_kept(self, batch: SparseBatch) -> None:
        """Count vectors as they were read back."""
        sizes = np.diff(batch.rows.offsets)
        self.n_texts += len(batch.ids)
        self.n_empty += int((sizes == 0).sum())
        self.n_terms += int(sizes.sum())
        for text_id, start, end in zip(batch.ids, batch.rows.offsets[:-1], batch.rows.offsets[1:], strict=True):
            if start == end and self.target.leaves_out_empty:
                continue
            own = _crc(text_id, batch.rows.columns[start:end], batch.rows.weights[start:end])
            self.crc = self.crc ^ own if self.target.reorders else zlib.crc32(own.to_bytes(4, "little"), self.crc)

    def told(self) -> dict[str, Any]:
        """The counts for the manifest."""
        n_before = self.n_terms + self.dropped_terms
        loss = {"mean": self.lost_sum / max(n_before, 1), "largest": self.largest_loss}
        return self.told_kept() | {"dropped_terms": self.dropped_terms, "loss": loss}

    def told_kept(self) -> dict[str, Any]:
        """The counts that are known of files alone."""
        counted = {"n_full": self.n_texts - self.n_empty, "n_terms": self.n_terms, "checksum": f"{self.crc:08x}"}
        return counted if self.target.leaves_out_empty else {"n_texts": self.n_texts} | counted


def _crc(text_id: str, columns: NDArray[np.int32], weights: NDArray[np.float32]) -> int:
    crc = zlib.crc32(text_id.encode() + b"\0")
    crc = zlib.crc32(np.ascontiguousarray(columns, "<i4").data, crc)
    return zlib.crc32(np.ascontiguousarray(weights, "<f4").data, crc)
