"""Lengths that an encoder has positions for, and that leave room for a text behind its prompt."""

from typing import Any

from splade.files import InputError
from splade.models.backbones.loading import position_limit

ADDRESSES = {"document": "config.max_length", "query": "config.max_length_q"}


def check_length(side: str, length: int, encoder: Any) -> None:
    """ValueError where ``length`` is below 1, InputError where ``encoder`` has no positions for so many tokens."""
    address = ADDRESSES[side]
    if length < 1:
        raise ValueError(f"{address} must be at least 1, got {length}")
    limit = position_limit(encoder.model) if hasattr(encoder, "model") else None
    if limit is not None and length > limit:
        raise InputError(
            f"{address}={length}: the {side} encoder has positions for {limit} tokens; set {address} to {limit} or less"
        )


def check_prompt(side: str, length: int, prompt: str, tokenizer: Any) -> None:
    """InputError where ``prompt``, put before every text of ``side``, leaves none of ``length`` tokens for the text."""
    if not prompt:
        return
    taken = len(tokenizer([prompt])["input_ids"][0])
    if taken >= length:
        address, own = ADDRESSES[side], f"hf.data.prompt_{side[0]}"
        raise InputError(
            f"{address}={length}: the prompt of every {side} ({own}={prompt!r}) is {taken} tokens with the special "
            f"ones, so that nothing of a {side} would be read; set {address} well above {taken}, or shorten {own}"
        )
