"""Texts into token ids by a tokenizer of the ``tokenizers`` package alone, in any number of threads.

`splade.data.tokens.tokenize` makes the same of the same texts with a tokenizer of transformers, whose truncation is a
state of its own: only one thread may use it.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from splade.batches import stand_in
from splade.data.tokens.tokenize import padded, placed
from splade.files import InputError
from splade.records import TextTokens, TokenBatch

Direction = Literal["left", "right"]


class Piece(NamedTuple):
    """A token of a text: its id and name, whether the tokenizer added it, and its characters in the text."""

    id: int
    token: str
    special: bool
    start: int
    stop: int


class Row(NamedTuple):
    """The token ids that are read of a text, and whether it has more."""

    ids: list[int]
    cut: bool


class Reading:
    """A tokenizer, the most tokens of a text that are read, and the prompt that stands before every text.

    ``tokenizer`` is copied. ``stand_in`` is the id that stands for a text without tokens.
    """

    def __init__(self, tokenizer: Any, max_length: int, *, prompt: str = "", stand_in: int = 0, pad: int = 0) -> None:
        self._form = tokenizer if isinstance(tokenizer, str) else tokenizer.to_str()
        self.max_length, self.prompt, self.stand_in, self.pad = max_length, prompt, stand_in, pad

    def batch(self, texts: Sequence[str], ids: Sequence[str] = (), *, direction: Direction = "right") -> TokenBatch:
        """``texts`` as token ids, each cut to ``max_length`` tokens at its right or left end."""
        rows = self.rows(texts, direction=direction)
        return padded([row.ids for row in rows], ids, self.pad, sum(row.cut for row in rows))

    def rows(self, texts: Sequence[str], *, direction: Direction = "right") -> list[Row]:
        """The token ids of each text, cut to ``max_length`` tokens; one id at least."""
        tokenizer = self._right if direction == "right" else self._left
        found = tokenizer.encode_batch([self.prompt + text for text in texts])
        return [Row(each.ids or [self.stand_in], bool(each.overflowing)) for each in found]

    def placed(self, text: str) -> TextTokens:
        """The tokens that are read of ``text``, with their places in it; white space around one is none of it."""
        found = self._right.encode(self.prompt + text)
        return placed(np.array(found.ids or [self.stand_in], np.int64), found, text, self.prompt)

    def readings(self, tokens: Sequence[str]) -> list[str]:
        """Each of ``tokens`` as text, as :func:`splade.encoding.terms.readings` has it."""
        decoder = self._whole.decoder
        found = []
        for token in tokens:
            text = token
            if decoder is not None and self._whole.token_to_id(token) is not None:
                text = decoder.decode([token]).strip()
            found.append(text if text and "\N{REPLACEMENT CHARACTER}" not in text else token)
        return found

    def pieces(self, text: str, *, special: bool = True) -> list[Piece]:
        """All tokens of ``text``, none cut, with the tokens that the tokenizer adds where ``special``."""
        found = self._whole.encode(text, add_special_tokens=special)
        parts = zip(found.ids, found.tokens, found.special_tokens_mask, found.offsets, strict=True)
        return [Piece(id, token, bool(mask), start, stop) for id, token, mask, (start, stop) in parts]

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text behind the prompt, none cut."""
        return [len(each.ids) for each in self._whole.encode_batch([self.prompt + text for text in texts])]

    def text_of(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text that token ids spell."""
        text: str = self._whole.decode(list(ids), skip_special_tokens=skip_special)
        return text

    @property
    def n_tokens(self) -> int:
        """The number of tokens that the tokenizer knows."""
        return int(self._whole.get_vocab_size(with_added_tokens=True))

    def token(self, id: int) -> str | None:
        """The name of a token; None where there is none of this id."""
        name: str | None = self._whole.id_to_token(id)
        return name

    @cached_property
    def _whole(self) -> Any:
        tokenizer = Tokenizer.from_str(self._form)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _right(self) -> Any:
        return self._cutting("right")

    @cached_property
    def _left(self) -> Any:
        return self._cutting("left")

    def _cutting(self, direction: Direction) -> Any:
        tokenizer = Tokenizer.from_str(self._form)
        tokenizer.no_padding()
        special = tokenizer.num_special_tokens_to_add(is_pair=False)
        if self.max_length <= special:
            raise ValueError(
                f"max_length (config.max_length) must be above {special}, the special tokens of this tokenizer, "
                f"got {self.max_length}"
            )
        tokenizer.enable_truncation(self.max_length, direction=direction)
        return tokenizer


def reading_of(tokenizer: Any, max_length: int, prompt: str = "") -> Reading:
    """The same way from texts to ids as that of a fast ``tokenizer`` of transformers; InputError for a slow one."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(
            f"{type(tokenizer).__name__}: a tokenizer in Python, that one thread alone may use; save a tokenizer.json "
            "beside the model"
        )
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return Reading(backend, max_length, prompt=prompt, stand_in=stand_in(tokenizer), pad=pad)


def tokenizer_file(folder: Path) -> Path:
    """The file of a folder that this module reads tokenizers from."""
    return folder / "tokenizer.json"
