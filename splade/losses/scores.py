"""The scores that every loss takes, and the interface that every loss has.

Letters: ``B`` queries of the global batch, ``n`` documents listed per query, the positive first.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor


class Scores(NamedTuple):
    """The scores of one global batch; a loss never sees a model.

    ``in_batch`` scores each query against documents of the whole batch, in one of two widths:
    ``[B, B]``, every query's positive, so that column i belongs to query i; or ``[B, B * n]``, every
    document, query by query, so that column ``i * n + d`` is document d of query i. ``answers`` tells which of all
    documents, in the same order, are known to answer each query; None: nothing is known, and every document but the
    query's positive is a negative.
    """

    group: Tensor  # [B, n], positive first
    in_batch: Tensor | None = None  # [B, B] or [B, B * n]
    teacher: Tensor | None = None  # [B, n]
    document_keys: Tensor | None = None  # [B, n] int64, equal where texts are equal
    answers: Tensor | None = None  # [B, B * n] bool

    def all_documents(self, name: str) -> Tensor:
        """``in_batch`` of width ``B * n``; ValueError, in the words of the loss ``name``, where it is another."""
        n_queries, n_documents = self.group.shape
        if self.in_batch is None or self.in_batch.shape[1] != n_queries * n_documents:
            raise ValueError(
                f"{name}: in_batch must score all {n_queries * n_documents} documents of the batch, got "
                f"shape {None if self.in_batch is None else tuple(self.in_batch.shape)}"
            )
        return self.in_batch

    def spared(self) -> Tensor:
        """``[B, B, n]``: whether document d of query j is no negative of query i; its own positive never is spared."""
        n_queries, n_documents = self.group.shape
        blocks = torch.zeros(n_queries, n_queries, n_documents, dtype=torch.bool, device=self.group.device)
        if self.answers is not None:
            blocks |= self.answers.view_as(blocks)
        own = torch.arange(n_queries, device=blocks.device)
        blocks[own, own, 0] = False
        return blocks


Made = TypeVar("Made", bound=Callable[..., Any])


class Needs:
    """A loss's demands on the data and on the config, which its class says by these attributes.

    They are checked before anything is built, and again when a training is assembled; an instance may set its own.

    - ``needs_teacher``: it takes ``Scores.teacher``; data without a teacher are refused, and candidates bring scores.
    - ``needs_in_batch``: it takes ``Scores.in_batch``, of ``in_batch_documents`` "positives" (width B, with
      config.augment_pairs=in_batch_negatives) or "all" (width B * n).
    - ``needs_document_keys``: it takes ``Scores.document_keys``.
    - ``min_documents``: the smallest n; 2 refuses data without negatives.
    - ``of_tokens``: it is a loss of tokens, not of ``Scores`` (see `MaskedLanguageModel`).
    - ``takes``: the values of the config that its constructor takes: ``probability`` (config.mlm_probability),
      ``weights`` and ``catalog`` (config.loss_weights and the losses that it may name: a mix).
    """

    takes: tuple[str, ...] = ()
    of_tokens: bool = False
    needs_teacher: bool = False
    needs_in_batch: bool = False
    in_batch_documents: str = "positives"
    needs_document_keys: bool = False
    min_documents: int = 2

    def __repr__(self) -> str:
        """The loss with its settings, as a training's description records it."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


def says(**needs: Any) -> Callable[[Made], Made]:
    """Let a function that makes a loss say what a class says by its attributes (see `Needs`)."""
    unknown = sorted(name for name in needs if not hasattr(Needs, name))
    if unknown:
        raise ValueError(f"{unknown[0]}: no such need of a loss; there are {', '.join(Needs.__annotations__)}")

    def told(function: Made) -> Made:
        for name in Needs.__annotations__:
            setattr(function, name, needs.get(name, getattr(Needs, name)))
        return function

    return told


class Loss(Needs, ABC):
    """A scalar from ``Scores``; arithmetic in float32 whatever the autocast type or the inputs' dtype."""

    def __call__(self, scores: Scores) -> Tensor:
        """The loss, a float32 scalar; ValueError where a score the loss needs is missing or misshapen."""
        self._check(scores)
        with torch.autocast(scores.group.device.type, enabled=False):
            in_batch, teacher = _float(scores.in_batch), _float(scores.teacher)
            return self.value(scores._replace(group=scores.group.float(), in_batch=in_batch, teacher=teacher))

    @abstractmethod
    def value(self, scores: Scores) -> Tensor:
        """The loss of float32 scores that have been checked."""

    def _check(self, scores: Scores) -> None:
        name, group = type(self).__name__, scores.group
        if group.ndim != 2 or group.shape[0] < 1:
            raise ValueError(f"{name}: group must be [queries, documents], got shape {tuple(group.shape)}")
        if group.shape[1] < self.min_documents:
            raise ValueError(
                f"{name} needs at least {self.min_documents} documents per query (a positive and a negative), "
                f"got {group.shape[1]}: use data with negatives or a loss over in-batch negatives"
            )
        if self.needs_teacher and scores.teacher is None:
            raise ValueError(f"{name} needs teacher scores: use training data that carries them (triplets_with_distil)")
        if self.needs_in_batch and scores.in_batch is None:
            raise ValueError(f"{name} needs in-batch scores: set config.augment_pairs=in_batch_negatives")
        if self.needs_document_keys and scores.document_keys is None:
            raise ValueError(f"{name} needs document_keys, [queries, documents]: equal where texts are equal")
        if scores.teacher is not None and scores.teacher.shape != group.shape:
            raise ValueError(f"{name}: teacher has shape {tuple(scores.teacher.shape)}, group {tuple(group.shape)}")
        n_queries, n_documents = group.shape
        if scores.answers is not None and scores.answers.shape != (n_queries, n_queries * n_documents):
            raise ValueError(
                f"{name}: answers must be [{n_queries}, {n_queries * n_documents}], got {tuple(scores.answers.shape)}"
            )
        if scores.in_batch is not None:
            widths = {n_queries, n_queries * n_documents}
            if scores.in_batch.ndim != 2 or len(scores.in_batch) != n_queries or scores.in_batch.shape[1] not in widths:
                raise ValueError(
                    f"{name}: in_batch must be [{n_queries}, {n_queries}] or [{n_queries}, {n_queries * n_documents}], "
                    f"got {tuple(scores.in_batch.shape)}"
                )


def _float(part: Tensor | None) -> Tensor | None:
    return None if part is None else part.float()


def teacher_of(scores: Scores) -> Tensor:
    """The teacher's scores [B, n], which take no gradient."""
    if scores.teacher is None:
        raise ValueError("teacher scores are missing")
    return scores.teacher.detach()


def above_zero(name: str, value: float) -> float:
    """``value``; ValueError unless it is a finite number above 0."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number above 0, got {value}")
    return value


def positive_columns(scores: Scores) -> Tensor:
    """``[B, B]``: each query against every query's positive, from either width of ``in_batch``."""
    if scores.in_batch is None:
        raise ValueError("in_batch is missing")
    n_queries, width = scores.in_batch.shape
    return scores.in_batch[:, :: width // n_queries]
