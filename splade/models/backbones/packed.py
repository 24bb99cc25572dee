"""Packed texts, and their products with the vocabulary a block at a time.

On a CPU the naive head is slow less for its arithmetic than for the fresh memory that [B, L, V] takes. Here every
block of logits is written into the same buffer, small enough to stay in the caches until it has been read.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

import torch
from torch import Tensor

TERMS = 1024  # of the vocabulary in one product
ROWS = 1024  # tokens in one product, where no text is longer


class Packed(NamedTuple):
    """Hidden states of texts laid one after the other without padding, and the matrix that makes logits of them."""

    tokens: Tensor  # [T, D]
    lengths: tuple[int, ...]  # of the B texts, in tokens; their sum is T
    weight: Tensor  # [V, D]
    bias: Tensor | None  # [V]
    dtype: torch.dtype  # of the product

    @property
    def starts(self) -> list[int]:
        """The first token of each text, and the end of the last."""
        return [0, *accumulate(self.lengths)]

    @property
    def wide(self) -> torch.dtype:
        """The type of everything after the product: float32, or float64 where the product has it."""
        return torch.promote_types(self.dtype, torch.float32)

    @property
    def place_dtype(self) -> torch.dtype:
        """The smallest type that holds every token's place in its text: int16, or int32."""
        small = max(self.lengths, default=0) <= torch.iinfo(torch.int16).max
        return torch.int16 if small else torch.int32


class Run(NamedTuple):
    """Neighbouring texts of one length."""

    text: int
    n_texts: int
    length: int


class Block(NamedTuple):
    """Logits of a few texts and terms, valid until the next block is asked for."""

    runs: list[Run]
    first_token: int
    terms: slice
    logits: Tensor  # [tokens of the runs, terms], without bias

    def by_run(self) -> Iterator[tuple[slice, Tensor]]:
        """The texts of each run, and their logits [n_texts, length, terms]."""
        row = 0
        for text, n_texts, length in self.runs:
            rows = self.logits[row : row + n_texts * length]
            yield slice(text, text + n_texts), rows.view(n_texts, length, -1)
            row += n_texts * length


def blocks(packed: Packed, columns: Tensor | None = None) -> Iterator[Block]:
    """All blocks of logits in one reused buffer: the vocabulary outside, the texts inside.

    With ``columns``, an increasing list of terms, only these; ``Block.terms`` are then places in the list.
    Texts without tokens are in no block.
    """
    groups = list(_groups(packed.lengths))
    largest = max((sum(run.n_texts * run.length for run in runs) for _, runs in groups), default=0)
    n_terms = len(packed.weight if columns is None else columns)
    buffer = packed.tokens.new_empty(largest * min(TERMS, n_terms), dtype=packed.dtype)
    tokens = packed.tokens.to(packed.dtype)
    for start in range(0, n_terms, TERMS):
        terms = slice(start, min(start + TERMS, n_terms))
        chunk = packed.weight[terms] if columns is None else packed.weight[columns[terms]]
        chunk = chunk.to(packed.dtype)  # [terms, D]
        for first, runs in groups:
            n_tokens = sum(run.n_texts * run.length for run in runs)
            logits = buffer[: n_tokens * len(chunk)].view(n_tokens, len(chunk))
            torch.mm(tokens[first : first + n_tokens], chunk.t(), out=logits)
            yield Block(runs, first, terms, logits)


def _groups(lengths: Sequence[int]) -> Iterator[tuple[int, list[Run]]]:
    """Runs of texts with about ``ROWS`` tokens together, and the first token of each such group."""
    runs: list[Run] = []
    first = held = text = 0
    for length, same in groupby(lengths):
        left = len(list(same))
        while left and length:
            if held and held + length > ROWS:
                yield first, runs
                first, runs, held = first + held, [], 0
            n_texts = min(max((ROWS - held) // length, 1), left)
            runs.append(Run(text, n_texts, length))
            held, text, left = held + n_texts * length, text + n_texts, left - n_texts
        text += left
    if runs:
        yield first, runs
