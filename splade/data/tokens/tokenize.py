"""Texts into token ids, padded on the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splade.batches import stand_in
from splade.files import InputError
from splade.records import Text, TextTokens, TokenBatch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[Text], max_length: int, prompt: str = ""
) -> TokenBatch:
    """``texts``, each behind ``prompt``, as token ids in the order they came.

    Each is cut to ``max_length`` tokens, special ones included. Every row has at least one token: where a
    tokenizer makes none of an empty text, one special token stands for it. The batch counts the texts that were cut.
    Raises ValueError for a ``max_length`` that leaves no room for text, InputError for a ``prompt`` that does not.
    """
    special = tokenizer.num_special_tokens_to_add()
    if max_length <= special:
        raise ValueError(
            f"max_length (config.max_length) must be above {special}, the special tokens of this tokenizer, "
            f"got {max_length}"
        )
    if prompt and (taken := len(tokenizer([prompt])["input_ids"][0])) >= max_length:
        raise InputError(
            f"the prompt {prompt!r} is {taken} tokens with the special ones, and no more than {max_length} are read: "
            "nothing of the text would be left; shorten the prompt, or read more"
        )
    ids = tuple(text.id for text in texts)
    if not ids:
        return padded([])
    encoded = _encoded(tokenizer, texts, max_length, prompt)
    rows = [row or [stand_in(tokenizer)] for row in encoded["input_ids"]]
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return padded(rows, ids, pad, _n_cut(encoded, rows, max_length))


def padded(rows: Sequence[Sequence[int]], ids: Iterable[str] = (), pad: int = 0, n_cut: int = 0) -> TokenBatch:
    """Token ids of texts as a batch; every row has one at least. Without ``ids`` texts are called by number."""
    names = tuple(ids) or tuple(map(str, range(len(rows))))
    if not rows:
        return TokenBatch(names, np.zeros((0, 1), np.int64), np.zeros((0, 1), np.int64))
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    mask: NDArray[np.int64] = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)  # [B, L]
    input_ids = np.full(mask.shape, pad, np.int64)  # [B, L]
    input_ids[mask == 1] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return TokenBatch(names, input_ids, mask, n_cut)


def text_tokens(tokenizer: PreTrainedTokenizerBase, text: Text, max_length: int, prompt: str = "") -> TextTokens:
    """The tokens that `tokenize` makes of one text, with their places in it; errors as there.

    White space around a token is none of its characters. A tokenizer in Python tells no places.
    """
    (row,) = tokenize(tokenizer, [text], max_length, prompt).input_ids
    encodings = getattr(_encoded(tokenizer, [text], max_length, prompt), "encodings", None)
    if not encodings:
        own = ~np.isin(row, tokenizer.all_special_ids)
        return TextTokens(row, np.full((len(row), 2), -1, np.int64), own)
    return placed(row, encodings[0], text.text, prompt)


def placed(row: NDArray[np.int64], encoding: Any, text: str, prompt: str = "") -> TextTokens:
    """The tokens ``row`` of ``text`` with the places that an ``encoding`` of the ``tokenizers`` package tells."""
    spans, own = np.full((len(row), 2), -1, np.int64), np.zeros(len(row), np.bool_)
    for place, ((start, stop), special) in enumerate(zip(encoding.offsets, encoding.special_tokens_mask, strict=True)):
        start, stop = max(start - len(prompt), 0), stop - len(prompt)
        own[place] = not special and stop > 0
        piece = text[start : max(stop, 0)]
        if own[place] and piece.strip():
            start += len(piece) - len(piece.lstrip())
            spans[place] = start, start + len(piece.strip())
    return TextTokens(row, spans, own)


def _encoded(tokenizer: Any, texts: Sequence[Text], max_length: int, prompt: str) -> Any:
    return tokenizer(
        [prompt + text.text for text in texts],
        truncation=True,
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )


def _n_cut(encoded: Any, rows: Sequence[Sequence[int]], max_length: int) -> int:
    """The number of texts that were cut; a text of exactly ``max_length`` tokens was not."""
    full = [number for number, row in enumerate(rows) if len(row) >= max_length]
    encodings = getattr(encoded, "encodings", None)  # of a tokenizer in Python there are none: all that are full count
    return sum(bool(encodings[row].overflowing) for row in full) if encodings else len(full)
