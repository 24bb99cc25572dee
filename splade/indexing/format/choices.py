"""The choices that are made when an index is built."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from splade.indexing.format.pruning import Pruning


class Shape(NamedTuple):
    """The number of document positions in a range and in a block, as powers of two; at most 15, a block at least 6."""

    range_bits: int = 15
    block_bits: int = 6


class Layout(NamedTuple):
    """The choices that are made when an index is built.

    ``weights`` is how weights are kept: "float32", "float16", or "uint8" (`splade.indexing.format.weights`).
    ``cluster`` makes similar documents neighbours, so that blocks can be left out; None means from 8192
    documents on, and where they are not neighbours already. ``seed`` draws the clusters' centres; the same seed gives
    the same bytes for any ``n_threads``. ``n_threads=None`` means one per processor, at most 8. ``shape`` is a
    `Shape`, or the documents of a block alone, a power of two: larger blocks have fewer bounds, which saves bytes, and
    let `block_max` leave out less. ``prune_…`` are the rules of `Pruning`. ``max_bytes`` is the size that all arrays
    together may have; where they would have more, weights, blocks and pruning are chosen anew
    (`splade.indexing.layout.fitting`).
    """

    weights: str = "float32"
    cluster: bool | None = None
    seed: int = 0
    n_threads: int | None = None
    shape: Shape | int = Shape()
    prune_top_terms: int | None = None
    prune_min_weight: float = 0.0
    prune_term_quantile: float = 0.0
    prune_mass: float = 1.0
    max_bytes: float | None = None

    @property
    def threads(self) -> int:
        """Threads to build with."""
        return self.n_threads or min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 8)

    @property
    def sizes(self) -> Shape:
        """Sizes of ranges and blocks; ValueError for a block that is no power of two from 64 to 32,768."""
        if isinstance(self.shape, Shape):
            return self.shape
        bits = self.shape.bit_length() - 1
        if self.shape != 1 << max(bits, 0) or not 6 <= bits <= Shape().range_bits:
            raise ValueError(f"a block must have 64, 128, 256 … or 32768 documents, got {self.shape}")
        return Shape(block_bits=bits)

    @property
    def pruning(self) -> Pruning:
        """The rules of static pruning; ValueError where one makes no sense."""
        rules = Pruning(self.prune_top_terms, self.prune_min_weight, self.prune_term_quantile, self.prune_mass)
        return rules.checked()

    @property
    def limit(self) -> int | None:
        """Bytes that all arrays together may have, None for any number; ValueError below 1."""
        if self.max_bytes is None:
            return None
        if not 1 <= self.max_bytes < 1 << 63:
            raise ValueError(f"max_bytes must be 1 or more, or None for any size, got {self.max_bytes}")
        return int(self.max_bytes)

    @property
    def identity(self) -> dict[str, Any]:
        """The choices that decide the bytes of an index, as JSON holds them.

        A mass of 1 and no limit, which change nothing, are left out: such an index has the header of earlier versions.
        """
        choices = self._asdict() | {"shape": list(self.sizes)}
        del choices["n_threads"]
        if self.prune_mass == 1:
            del choices["prune_mass"]
        del choices["max_bytes"]
        return choices | ({} if self.limit is None else {"max_bytes": self.limit})

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any]) -> "Layout":
        """The layout that `identity` was taken of."""
        return cls(**{**identity, "shape": Shape(*identity["shape"])})
