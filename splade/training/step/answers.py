"""In-batch documents that answer a query of another example, and so are no negatives of it.

A document answers a query where it is judged so (``Example.answers``), where the query's own example or one of an
equal query has it as the positive, or where its text is that of a document in the batch that answers.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splade.records import Answers, Example

ODD = np.uint64(0x9E3779B97F4A7C15)  # times an odd number, 64-bit numbers stay different


class AnswerKeys(NamedTuple):
    """The queries, documents and judgements of ``m`` examples as int64 keys, equal for equal things; on the CPU."""

    queries: Tensor  # [m], of texts
    documents: Tensor  # [m, n], of numbers in a collection; 0 where the example has none
    judged: Tensor  # [judgements, 2]: the query's number among the examples, the document's key

    def after(self, first: int) -> "AnswerKeys":
        """The same, for examples that stand behind ``first`` others."""
        return self._replace(judged=self.judged + torch.tensor([first, 0]))


def answer_keys(examples: Sequence[Example]) -> AnswerKeys:
    """The keys of ``examples``, which have equally many documents."""
    queries = text_hashes([example.query.text for example in examples])
    documents = np.zeros((len(examples), len(examples[0].documents)), np.int64)
    judged = [np.zeros((0, 2), np.int64)]
    for row, example in enumerate(examples):
        if example.answers is not None:
            listed, answering = _numbered(example.answers)
            documents[row] = listed
            judged.append(np.column_stack([np.full_like(answering, row), answering]))
    return AnswerKeys(queries, torch.from_numpy(documents), torch.from_numpy(np.concatenate(judged)))


def answers_of(queries: Tensor, documents: Tensor, judged: Tensor, texts: Tensor) -> Tensor:
    """``[B, B * n]`` bool: the documents of the batch that answer each query, its own positive among them.

    ``queries`` [B], ``documents`` [B, n] and ``judged`` [judgements, 2] are as in ``AnswerKeys``, of the whole batch;
    ``texts`` [B, n] are keys of the documents' texts.
    """
    _, query = queries.unique(return_inverse=True)  # [B]
    kinds, text = texts.unique(return_inverse=True)  # [B, n]
    answering = torch.zeros(len(queries), len(kinds), dtype=torch.bool, device=texts.device)  # by query, by text
    answering[query, text[:, 0]] = True
    rows, places = _met(judged, documents)
    answering[query[rows], text.flatten()[places]] = True
    return answering[query][:, text.flatten()]


def text_hashes(texts: Sequence[str]) -> Tensor:
    """Hashes [texts] int64, equal where texts are equal."""
    digests = b"".join(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return torch.from_numpy(np.frombuffer(digests, np.int64).copy())


def _numbered(answers: Answers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys of the listed and of the judged documents: of their collection and their numbers in it."""
    digest = blake2b(answers.collection.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    collection = np.frombuffer(digest, np.uint64)
    listed, judged = (
        (np.asarray(numbers, np.uint64) * ODD + collection).view(np.int64)
        for numbers in (answers.listed, answers.judged)
    )
    return listed, judged


def _met(judged: Tensor, documents: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of a query's number and the place in the batch of a document that it is judged to be answered by."""
    keys, kind = documents.flatten().unique(return_inverse=True)
    found = torch.searchsorted(keys, judged[:, 1].contiguous()).clamp(max=len(keys) - 1)
    known = keys[found] == judged[:, 1]
    rows, kinds = judged[known, 0], found[known]
    order = kind.argsort(stable=True)
    first = torch.searchsorted(kind[order], torch.arange(len(keys), device=kind.device))
    # Equal keys are documents of one number, so of one text: the first of them stands for all.
    return rows, order[first[kinds]]
