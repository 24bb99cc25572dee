"""The prompts of text-to-text rerankers and their fitting into a length.

One function writes a kind's prompt and every use of it, training or inference, goes through ``fitted``:
a model never meets at search time a prompt that it was not trained on.
"""

from collections.abc import Callable, Sequence
from typing import Any

from splade.files import InputError

Prompt = Callable[..., str]
"""The prompt of a query and one or more documents."""


def rank_t5(query: str, document: str) -> str:
    """RankT5's input, arXiv 2210.10634."""
    return f"Query: {query} Document: {document}"


def mono_t5(query: str, document: str) -> str:
    """monoT5's input, arXiv 2003.06713."""
    return f"Query: {query} Document: {document} Relevant:"


def duo_t5(query: str, first: str, second: str) -> str:
    """duoT5's input, arXiv 2101.05667: is the first document more relevant than the second?"""
    return f"Query: {query} Document0: {first} Document1: {second} Relevant:"


def which_passage(query: str, first: str, second: str) -> str:
    """A question between two passages that a language model answers with A or B."""
    return (
        f"Which passage answers the query better?\nQuery: {query}\nPassage A: {first}\nPassage B: {second}\n"
        "The better passage is Passage"
    )


def fitted(prompt: Prompt, tokenizer: Any, rows: Sequence[tuple[str, ...]], max_length: int) -> list[list[int]]:
    """Token ids of ``prompt(query, *documents)`` for each row, at most ``max_length``, specials included.

    A prompt that is too long loses the ends of its documents, which share the room equally; then, if it
    must, the end of its query. The words of the prompt itself stay. A row's ids depend on that row alone.
    """
    whole = _ids(tokenizer, [prompt(*row) for row in rows])
    return [
        ids if len(ids) <= max_length else _shortened(prompt, tokenizer, row, max_length)
        for ids, row in zip(whole, rows, strict=True)
    ]


def _shortened(prompt: Prompt, tokenizer: Any, row: tuple[str, ...], max_length: int) -> list[int]:
    frame = len(_ids(tokenizer, [prompt(*[""] * len(row))])[0])
    room = max_length - frame
    if room < len(row):
        raise InputError(
            f"config.max_length={max_length} leaves no room for texts: the prompt alone has {frame} tokens"
        )
    while room > 0:
        query, *documents = row
        query = _cut(tokenizer, query, max(room // 2, room - sum(_length(tokenizer, text) for text in documents)))
        share = (room - _length(tokenizer, query)) // len(documents)
        ids = _ids(tokenizer, [prompt(query, *(_cut(tokenizer, text, share) for text in documents))])[0]
        if len(ids) <= max_length:
            return ids
        room -= len(ids) - max_length  # pieces joined to their neighbours became more
    raise InputError(f"config.max_length={max_length} leaves no room for texts: the prompt alone has {frame} tokens")


def _cut(tokenizer: Any, text: str, n_tokens: int) -> str:
    """The start of ``text`` that is ``n_tokens`` long."""
    if n_tokens <= 0:
        return ""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    return text if len(spans) <= n_tokens else text[: spans[n_tokens - 1][1]]


def _length(tokenizer: Any, text: str) -> int:
    return len(_ids(tokenizer, [text], special=False)[0])


def _ids(tokenizer: Any, texts: list[str], special: bool = True) -> list[list[int]]:
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=special, verbose=False)["input_ids"]
    return ids
