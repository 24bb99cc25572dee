"""The objective that training lowers: the loss of a global batch's scores plus the penalties of its vectors.

Letters: ``B`` queries of the global batch, ``n`` documents per query (positive first), ``V`` terms.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from splade.losses import Loss, MaskedLanguageModel, Scores
from splade.regularization.adaptive import Adaptive
from splade.regularization.penalties import Penalty, penalty_sum

logger = logging.getLogger(__name__)

SPARSITY = ("L0_q", "L0_d", "flops", "dead_q", "dead_d")
DOCUMENT_SPARSITY = ("L0_d", "dead_d")


class Outcome(NamedTuple):
    """The total to lower, and the figures to log."""

    total: Tensor  # scalar with a graph
    logged: dict[str, float]

    def plus(self, loss: Tensor | None) -> "Outcome":
        """The outcome with another ``loss`` of the whole batch added; None adds nothing."""
        if loss is None:
            return self
        logged = {"loss": float(loss), "total": self.logged["total"] + float(loss)}
        return Outcome(self.total + loss, {**self.logged, **logged})


class Objective:
    """``loss(scores) + Σ penalty.weight(step) · penalty(vectors)`` of one global batch.

    ``penalty_documents`` is "slot" or "pooled". By slot, a penalty of documents is the mean over the positives and each
    rank of negatives, as in pair and triplet training; pooled, it is taken of all documents together. The teacher's
    scores are divided by ``teacher_temperature``, the student's are not. ``sides`` are those that have vectors.
    With ``mask_answers``, a loss over in-batch negatives is told which documents of the batch answer which query, so
    that these are no negatives (``masks_answers``).
    """

    sides: tuple[str, ...] = ("query", "document")
    sparsity_columns: tuple[str, ...] = SPARSITY

    def __init__(
        self,
        loss: Loss,
        penalties: Sequence[Penalty],
        *,
        in_batch: bool,
        penalty_documents: str,
        sparse: bool = True,
        teacher_temperature: float = 1.0,
        mask_answers: bool = True,
    ) -> None:
        if penalty_documents not in ("slot", "pooled"):
            raise ValueError(f"penalty_documents must be 'slot' or 'pooled', got {penalty_documents!r}")
        self.loss, self.penalties = loss, self._of_sides(penalties)
        self.in_batch, self.penalty_documents, self.sparse = in_batch, penalty_documents, sparse
        self.teacher_temperature = teacher_temperature
        self.masks_answers = mask_answers and loss.needs_in_batch
        if not (mask_answers or loss.needs_in_batch):
            logger.warning("config.mask_answers=false has no effect: this loss looks at no other query's documents")

    def __call__(
        self,
        queries: Tensor,
        documents: Tensor,
        teacher: Tensor | None,
        step: int,
        document_keys: Tensor | None = None,
        answers: Tensor | None = None,
    ) -> Outcome:
        """The outcome of queries [B, V], documents [B, n, V] and teacher scores [B, n] at optimizer step ``step``.

        ``document_keys`` [B, n] and ``answers`` [B, B * n] are those of ``Scores``.
        """
        teacher = None if teacher is None else teacher / self.teacher_temperature
        scores = self.scores(queries, documents, teacher)._replace(document_keys=document_keys, answers=answers)
        vectors = {"query": (queries,), "document": self._slots(documents)}

        loss = self.loss(scores)
        penalty, measured = penalty_sum(self.penalties, step, vectors)  # Σ penalty.weight(step) · penalty(vectors)
        total = loss + penalty

        logged = self._logged(loss, total, measured, step)
        if self.sparse:
            logged |= sparsity(queries.detach(), documents.detach().flatten(0, 1))
        return Outcome(total, logged)

    def _of_sides(self, penalties: Sequence[Penalty]) -> list[Penalty]:
        left_out = [each for each in penalties if each.side not in self.sides]
        for each in left_out:
            logger.warning(
                "config.regularizer.%s.lambda_%s has no effect: this loss makes no vectors of the %s side",
                *(each.name, each.side[0], each.side),
            )
        return [each for each in penalties if each.side in self.sides]

    def adaptive(self) -> dict[str, tuple[str, Adaptive]]:
        """Collect the parts of penalties that learn from vectors, each with its side, under ``name_side_part``."""
        found: dict[str, tuple[str, Adaptive]] = {}
        for each in self.penalties:
            for part in ("measure", "ramp"):
                learner = getattr(each, part)
                if isinstance(learner, Adaptive):
                    found[f"{each.name}_{each.side}_{part}"] = each.side, learner
        return found

    def observe(self, vectors: Mapping[str, Tensor]) -> None:
        """Show the vectors [N, V] of each side of a global batch to what learns from them."""
        for side, learner in self.adaptive().values():
            learner.observe(vectors[side])

    def columns(self) -> list[str]:
        """The names of the figures that an outcome logs."""
        names = [f"{penalty.name}_{penalty.side}" for penalty in self.penalties]
        return [
            "loss",
            "total",
            *names,
            *(f"lambda_{name}" for name in names),
            *(self.sparsity_columns if self.sparse else ()),
        ]

    def _slots(self, documents: Tensor) -> Sequence[Tensor]:
        """The documents [B, n, V] that a penalty is taken of together, each [., V]."""
        return documents.unbind(1) if self.penalty_documents == "slot" else (documents.flatten(0, 1),)

    def _logged(self, loss: Tensor, total: Tensor, measured: Mapping[str, float], step: int) -> dict[str, float]:
        """The figures of an outcome: loss, total, what each penalty ``measured``, and its weight."""
        weights = {f"lambda_{each.name}_{each.side}": each.weight(step) for each in self.penalties}
        return {"loss": float(loss.detach()), "total": float(total.detach()), **measured, **weights}

    def scores(self, queries: Tensor, documents: Tensor, teacher: Tensor | None) -> Scores:
        """Dot products of each query with its own documents and, where wanted, with those of the whole batch."""
        group = torch.einsum("bv,bnv->bn", queries, documents)
        if not self.in_batch:
            return Scores(group, None, teacher)
        others = documents.flatten(0, 1) if self.loss.in_batch_documents == "all" else documents[:, 0]
        return Scores(group, queries @ others.T, teacher)


class DocumentObjective(Objective):
    """The penalties of documents alone, for a loss that is not one of scores and is added elsewhere."""

    loss: MaskedLanguageModel  # type: ignore[assignment]
    sides = ("document",)
    sparsity_columns = DOCUMENT_SPARSITY

    def of_documents(self, documents: Tensor, step: int) -> Outcome:
        """The outcome, without the loss, of documents [B, n, V] at optimizer step ``step``."""
        loss = documents.new_zeros(())  # that of the hidden tokens has gone backward already
        penalty, measured = penalty_sum(self.penalties, step, {"document": self._slots(documents)})
        total = loss + penalty
        logged = self._logged(loss, total, measured, step)
        if self.sparse:
            alive = documents.detach().flatten(0, 1) > 0
            per_document = alive.sum(1)
            values = torch.stack([per_document.float().mean(), (per_document == 0).float().mean()]).tolist()
            logged |= dict(zip(DOCUMENT_SPARSITY, values, strict=True))
        return Outcome(total, logged)


def sparsity(queries: Tensor, documents: Tensor) -> dict[str, float]:
    """Of [N, V] batches: mean non-zeros, share of empty vectors, expected postings met per pair (``flops``)."""
    query_terms, document_terms = queries > 0, documents > 0
    per_query, per_document = query_terms.sum(1), document_terms.sum(1)
    flops = (query_terms.float().mean(0) * document_terms.float().mean(0)).sum()
    values = torch.stack(
        [
            per_query.float().mean(),
            per_document.float().mean(),
            flops,
            (per_query == 0).float().mean(),
            (per_document == 0).float().mean(),
        ]
    )
    return dict(zip(SPARSITY, values.tolist(), strict=True))
