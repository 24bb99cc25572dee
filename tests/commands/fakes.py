"""A model and an encoder of five terms, for commands whose subject is neither."""

from collections.abc import Iterable, Iterator

import numpy as np

from splade.records import SparseBatch, SparseRows, Text

TOKENS = ("cat", "dog", "fish", "two words", "bird")


class FakeTokenizer:
    def __len__(self) -> int:
        return len(TOKENS)

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [TOKENS[term] for term in ids]


class FakeModel:
    """Weighs a word of TOKENS by half the number of times it comes in a text."""

    vocab_size = len(TOKENS)
    is_sparse = True

    def tokenizer(self, side: str) -> FakeTokenizer:
        return FakeTokenizer()

    def fingerprint(self) -> str:
        return "f" * 32


class FakeEncoder:
    """Two texts a batch; reads one batch ahead, as encoders may."""

    model = FakeModel()
    n_cut, max_length, precision = 0, 64, "float32"
    vocab_size, terms = len(TOKENS), list(TOKENS)

    def fingerprint(self) -> str:
        return self.model.fingerprint()

    def tell_cut(self, name: str, before: int, n_texts: int) -> int:
        return self.n_cut - before

    def encode(self, texts: Iterable[Text], *, encoded: object = None) -> Iterator[SparseBatch]:
        waiting: list[Text] = []
        for text in texts:
            waiting.append(text)
            if len(waiting) == 4:
                yield vectors(waiting[:2])
                waiting = waiting[2:]
        for start in range(0, len(waiting), 2):
            yield vectors(waiting[start : start + 2])

    def encode_all(self, texts: Iterable[Text], *, encoded: object = None) -> SparseBatch:
        return vectors(list(texts))


def vectors(texts: list[Text]) -> SparseBatch:
    counts = np.array([[text.text.split().count(token) for token in TOKENS] for text in texts], np.float32)
    rows, columns = np.nonzero(counts)
    offsets = np.searchsorted(rows, np.arange(len(texts) + 1)).astype(np.int64)
    weights = (counts[rows, columns] / 2).astype(np.float32)
    return SparseBatch(tuple(text.id for text in texts), SparseRows(offsets, columns.astype(np.int32), weights), 5)
