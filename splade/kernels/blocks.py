"""The layout that all strategies search.

Documents are given *positions*, so that similar ones are neighbours. 2^range_bits positions make a
*range*, whose scores fit into the cache; 2^block_bits of them a *block*, the unit that is visited
or left out. A term's postings are sorted by position; those of one range are a *run*, and a
posting's position inside its range takes 16 bits. Longer runs have a *skip table* that says where
slots of about 16 postings begin. Each term's largest weight in each block, rounded up to 8 bits,
is its *bound*: one row of bytes for frequent terms (the head), a sparse row for others (the tail).
A term found in half of the documents or more has, beside its postings, a *dense row*: its weight at every
position, 0 where it has none, which is added up without looking at positions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.compiled import inner_kernel
from splade.kernels.intrinsics import bit_length

SHORT = 32  # postings of a run that needs no skip table: one or two cache lines
SLOT = 16  # postings of a skip table's slot, about
DENSE_SHARE = 2  # a term found in one of so many documents, or in more, has a dense row
HEAD_SHARE = 6  # a term found in more than one of so many blocks belongs to the head
LEVELS = 255  # largest code of a bound
STRIDE = 64  # rows of the head are padded to this many bytes


class Blocks(NamedTuple):
    """Postings in blocks, with bounds: flat arrays that may be memory-mapped."""

    order: NDArray[np.uint32]  # [n_docs] the document at each position
    offsets: NDArray[np.int64]  # [V + 1] where each term's postings begin
    local: NDArray[np.uint16]  # [n_postings] position in its range, increasing within a run
    impacts: NDArray[np.generic]  # [n_postings] float32, uint16 (bits of float16) or uint8 weights
    runs: NDArray[np.uint32]  # [V * (n_ranges + 1) * 2] start of each run in its term, and of its skip table
    skips: NDArray[np.uint16]  # skip tables: where each slot begins in its run, and where the last one ends
    head_rows: NDArray[np.int32]  # [V] row of a term in the head, or -1
    head: NDArray[np.uint8]  # [head terms, stride] bounds of all blocks
    tail_offsets: NDArray[np.int64]  # [V + 1]
    tail_blocks: NDArray[np.integer]  # uint16 or uint32, increasing within a term
    tail_bounds: NDArray[np.uint8]  # the bound of that block
    dense_rows: NDArray[np.int32]  # [V] the dense row of a term, or -1
    dense: NDArray[np.generic]  # [dense terms * n_docs] a row after the other, as impacts
    steps: NDArray[np.float32]  # [V] what one level of a term's bounds is worth
    scale: np.float32  # of `as_weight`: 1 but for uint8
    n_docs: np.int64
    n_ranges: np.int64
    n_blocks: np.int64
    range_bits: np.int64
    block_bits: np.int64


@inner_kernel
def slot_bits(length, most):  # type: ignore[no-untyped-def]
    """The skip table of a run of ``length`` > SHORT postings has 2^this slots; at most 2^most."""
    return min(np.int64(bit_length(np.uint32((length - 1) // SLOT))), most)
