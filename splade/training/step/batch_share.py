"""One process's part of a global batch: its texts as tokens, in parts that are encoded at once.

Every text has a number in the global batch, on its side, and that number alone decides its dropout masks. So the
texts may be cut into parts anywhere: by examples, by tokens, by processes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splade.data.tokens.tokenize import tokenize
from splade.files import InputError
from splade.models.backbones.buckets import Budget, budget_for, length_buckets
from splade.records import SIDES, Example, Text, TokenBatch
from splade.training.step.answers import AnswerKeys, answer_keys, text_hashes
from splade.training.step.dropout_masks import text_keys

Part = dict[str, NDArray[np.int64]]
"""Texts that are encoded at once: by side, their numbers within the share."""


class Share(NamedTuple):
    """``m`` examples of a global batch: m queries, and ``m * n`` documents example by example."""

    first: int  # number of its first example in the global batch
    tokens: dict[str, TokenBatch]  # by side
    parts: list[Part]  # each text in exactly one
    n_documents: int
    teacher: Tensor | None  # [m, n] float32 on the CPU
    document_keys: Tensor  # [m, n] int64 on the CPU, equal where texts are equal
    answers: AnswerKeys

    def first_text(self, side: str) -> int:
        """The number of its first text of ``side`` in the global batch."""
        return self.first * (1 if side == "query" else self.n_documents)

    def keys(self, seed: int, batch: int, side: str) -> Tensor:
        """Keys of the dropout masks of its texts of ``side``, int64: functions of seed, batch, side and number."""
        return text_keys(seed, batch, SIDES.index(side), self.first_text(side), len(self.tokens[side].ids))


class Cut(NamedTuple):
    """The limits on the texts that are encoded at once; None: no limit."""

    examples: int | None = None
    tokens: int | None = None  # padding counted; a longer text is encoded alone

    def checked(self) -> "Cut":
        """The same; ValueError where a limit is below 1."""
        for name, bound in (("micro_batch_size", self.examples), ("micro_batch_tokens", self.tokens)):
            if bound is not None and bound < 1:
                raise ValueError(f"{name} must be at least 1, got {bound}")
        return self


def make_share(
    model: Any,
    examples: Sequence[Example],
    first: int,
    cut: Cut,
    device: torch.device,
    sides: Sequence[str] = SIDES,
) -> Share:
    """The share of ``examples``, the first of which is number ``first`` of the global batch; texts of ``sides`` alone.

    InputError where examples do not have equally many documents, or some have teacher scores and some not.
    """
    n_documents = len(examples[0].documents)
    for example in examples:
        if len(example.documents) != n_documents:
            raise InputError(
                f"query {example.query.id!r} comes with {len(example.documents)} documents, query "
                f"{examples[0].query.id!r} with {n_documents}: every example needs the same number"
            )
    texts: dict[str, list[Text]] = {
        "query": [example.query for example in examples],
        "document": [document for example in examples for document in example.documents],
    }
    tokens = {
        side: tokenize(model.tokenizer(side), texts[side], model.max_length(side), model.prompt(side)) for side in sides
    }
    lengths = {side: tokens[side].attention_mask.sum(axis=1) for side in sides}
    budget = None if cut.tokens is None else budget_for(device.type)._replace(tokens=cut.tokens)
    parts = list(cut_parts(lengths, n_documents, cut.examples, budget))
    keys = text_hashes([text.text for text in texts["document"]]).view(-1, n_documents)
    return Share(first, tokens, parts, n_documents, _teacher(examples), keys, answer_keys(examples))


def cut_parts(
    lengths: dict[str, NDArray[np.int64]], n_documents: int, n_examples: int | None, budget: Budget | None
) -> Iterator[Part]:
    """The texts of ``lengths`` in tokens, ``n_examples`` (None: all) at a time and each time within ``budget``.

    With a budget, queries and documents of like length are put together, longest first.
    """
    n = len(lengths["document"]) // n_documents
    size = n_examples or n
    for start in range(0, n, size):
        end = min(start + size, n)
        part = {
            side: np.arange(start, end) if side == "query" else np.arange(start * n_documents, end * n_documents)
            for side in lengths
        }
        if budget is None:
            yield part
            continue
        firsts = np.cumsum([0, *(len(rows) for rows in part.values())])
        for chosen in length_buckets(np.concatenate([lengths[side][rows] for side, rows in part.items()]), budget):
            bounds = np.searchsorted(chosen := np.sort(chosen), firsts)
            yield {
                side: rows[chosen[bounds[number] : bounds[number + 1]] - firsts[number]]
                for number, (side, rows) in enumerate(part.items())
            }


def in_one_order(parts: Sequence[Part]) -> list[Part]:
    """``parts`` so ordered that processes gather and reduce the units of both sides in one order, however they cut.

    Documents come before queries: in a part, among the first parts that have any, and among the last ones.
    """
    ordered = [{side: part[side] for side in reversed(SIDES) if side in part} for part in parts]
    return sorted(ordered, key=lambda part: (len(part.get("query", ())) > 0, len(part["document"]) == 0))


def _teacher(examples: Sequence[Example]) -> Tensor | None:
    scores = [example.teacher for example in examples if example.teacher is not None]
    if not scores:
        return None
    if len(scores) < len(examples):
        raise InputError(f"{len(examples) - len(scores)} of {len(examples)} examples have no teacher scores")
    return torch.from_numpy(np.asarray(scores, np.float32))
