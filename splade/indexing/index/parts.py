"""An immutable index as others see it, and its place in an index of several."""

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splade.indexing.format.choices import Layout
from splade.indexing.format.doc_ids import DocIds
from splade.indexing.format.pruning import Pruned
from splade.indexing.format.vocabulary import Vocabulary
from splade.indexing.format.weights import Codec
from splade.indexing.layout.fitting import Fit
from splade.indexing.layout.promise import Calibration
from splade.kernels.blocks import Blocks
from splade.records import SparseRows


class Segment(Protocol):
    """An immutable index with its documents' ids and counts; `splade.indexing.InvertedIndex` is the only kind."""

    blocks: Blocks
    doc_ids: DocIds
    n_docs: int
    vocab_size: int
    n_postings: int
    empty_docs: int
    fingerprint: str
    metadata: dict[str, Any]
    path: Path | None
    codec: Codec
    layout: Layout
    pruned: Pruned | None
    updates: int
    fit: Fit | None
    calibration: Calibration | None

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary, which names each term; None where the names are not known."""

    @property
    def n_bytes(self) -> int:
        """The size of all arrays."""

    def vectors(self, docs: ArrayLike) -> SparseRows:
        """The vectors of document numbers, a row of terms each, in their order."""


class Part(NamedTuple):
    """An immutable index whose documents are numbered from ``first``."""

    segment: Segment
    first: int
    live: NDArray[np.uint8]  # [n_docs], 0 for deleted documents; empty where there are none
