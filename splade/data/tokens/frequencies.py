"""In how many texts of a collection each token occurs, and the weight that follows for queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.data.tokens.tokenize import tokenize
from splade.records import Text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WINDOW = 4096  # texts tokenised at once


class Frequencies(NamedTuple):
    """Document frequencies of every token of a vocabulary."""

    counts: NDArray[np.int64]  # [V], at most n_docs
    n_docs: int
    n_tokens: int  # of all texts, special ones left out

    @property
    def mean_length(self) -> float:
        """Tokens of a text, special ones left out; 0 of no texts."""
        return self.n_tokens / max(self.n_docs, 1)

    def idf(self) -> NDArray[np.float64]:
        """``ln(1 + (N - n + .5) / (n + .5))`` [V] for N texts, n of them with the token: never negative.

        The IDF of BM25 as Lucene takes it. Tokens that occur nowhere have the largest of all.
        """
        return np.log1p((self.n_docs - self.counts + 0.5) / (self.counts + 0.5))


def document_frequencies(tokenizer: PreTrainedTokenizerBase, texts: Iterable[Text], max_length: int) -> Frequencies:
    """Frequencies of tokens in ``texts``; ``max_length`` tokens of each are read, as documents are encoded."""
    counts, n_docs, n_tokens = np.zeros(len(tokenizer), np.int64), 0, 0
    special = np.isin(np.arange(len(counts)), tokenizer.all_special_ids)
    for window in _windows(texts):
        tokens = tokenize(tokenizer, window, max_length)
        rows, _ = np.nonzero(tokens.attention_mask)
        ids = tokens.input_ids[tokens.attention_mask == 1]
        pairs = np.unique(rows * len(counts) + ids)
        counts += np.bincount(pairs % len(counts), minlength=len(counts))
        n_docs += len(window)
        n_tokens += int((~special[ids]).sum())
    return Frequencies(counts, n_docs, n_tokens)


def _windows(texts: Iterable[Text]) -> Iterator[list[Text]]:
    stream = iter(texts)
    while window := list(islice(stream, WINDOW)):
        yield window
