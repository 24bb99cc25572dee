"""Contracts of what a training adds up: losses and penalties."""

from typing import Any

import torch
from torch import Tensor

from splade.losses import Loss, Needs, Scores
from splade.regularization.penalties import Measure

QUERIES, TERMS, SEED = 4, 30, 0


def check_loss(loss: Loss) -> None:
    """AssertionError unless ``loss`` is a float32 scalar of the scores that it says it needs, with a gradient.

    It is given nothing else than what its attributes ask for (`splade.losses.Needs`), and must not depend on the order
    of the queries, nor on that of a query's negatives.
    """
    name = type(loss).__name__
    for need in Needs.__annotations__:
        assert hasattr(loss, need), f"{name} does not say {need}: derive it from splade.losses.Loss, or set it"
    assert not loss.of_tokens, f"{name} is one of tokens; this check is of losses of splade.losses.Scores"
    for n_documents in {max(loss.min_documents, 1), 3}:
        _check_value(loss, _scores(loss, n_documents), f"{name} of {n_documents} documents per query")


def check_penalty(measure: Measure) -> None:
    """AssertionError unless ``measure`` is a float32 scalar ≥ 0 of vectors [N, V], with a gradient if no monitor.

    It must not depend on the order of the vectors, must stand empty ones, and must leave them as they are.
    """
    name = type(measure).__name__
    if hasattr(measure, "for_vocabulary"):
        measure.for_vocabulary({f"term{n}": n for n in range(TERMS)}, TERMS)
    generator = torch.Generator().manual_seed(SEED)
    drawn = torch.rand(6, TERMS, generator=generator) * (torch.rand(6, TERMS, generator=generator) < 0.3)
    drawn[0] = 0.0  # a text without terms
    vectors = drawn.clone().requires_grad_()
    value = measure(vectors)
    _check_scalar(value, name)
    assert float(value.detach()) >= 0, f"{name} gave {float(value.detach())}: a penalty is at least 0"
    assert torch.equal(vectors.detach(), drawn), f"{name} changes the vectors in place"
    if not getattr(measure, "monitor", False):
        _check_gradient(value, vectors, f"{name} (one that only counts says monitor = True)")
    turned = float(measure(drawn.flip(0)))
    _check_close(turned, float(value.detach()), f"{name} depends on the order of the vectors")
    _check_scalar(measure(drawn.half()), f"{name} of float16 vectors")


def _check_value(loss: Loss, scores: Scores, name: str) -> None:
    group = scores.group.clone().requires_grad_()
    try:
        value = loss(_with_group(scores, group))
    except (TypeError, AttributeError, ValueError) as error:
        raise AssertionError(f"{name} failed on the scores that it says it needs: {error}") from error
    _check_scalar(value, name)
    assert torch.equal(group.detach(), scores.group), f"{name} changes the scores in place"
    _check_gradient(value, group, name)
    for what, order in (("queries", _other_queries), ("negatives", _other_negatives)):
        found = float(loss(order(scores)))
        _check_close(found, float(value.detach()), f"{name} depends on the order of the {what}")
    _check_scalar(loss(scores._replace(group=scores.group.half())), f"{name} and float16 scores")


def _scores(loss: Loss, n_documents: int) -> Scores:
    """Scores of four queries with all that ``loss`` says it needs and nothing else; the batch is scored by products."""
    generator = torch.Generator().manual_seed(SEED)
    group = torch.randn(QUERIES, n_documents, generator=generator) * 2.0
    everything = torch.randn(QUERIES, QUERIES, n_documents, generator=generator) * 2.0
    own = torch.arange(QUERIES)
    everything[own, own] = group
    in_batch = everything[:, :, 0] if loss.in_batch_documents == "positives" else everything.flatten(1)
    keys = torch.arange(QUERIES * n_documents).view(QUERIES, n_documents)
    return Scores(
        group=group,
        in_batch=in_batch if loss.needs_in_batch else None,
        teacher=torch.randn(QUERIES, n_documents, generator=generator) if loss.needs_teacher else None,
        document_keys=keys if loss.needs_document_keys else None,
    )


def _with_group(scores: Scores, group: Tensor) -> Scores:
    """``scores`` with ``group`` in them, in the batch too, so that a gradient reaches it from either."""
    if scores.in_batch is None:
        return scores._replace(group=group)
    n_queries = len(group)
    blocks = scores.in_batch.view(n_queries, n_queries, -1)
    own = torch.eye(n_queries, dtype=torch.bool)[:, :, None]
    mine = group[:, None, : blocks.shape[2]].expand_as(blocks)
    return scores._replace(group=group, in_batch=torch.where(own, mine, blocks).flatten(1))


def _other_queries(scores: Scores) -> Scores:
    """The same batch with its queries in reverse order."""
    turned: Any = {name: None if part is None else part.flip(0) for name, part in scores._asdict().items()}
    if scores.in_batch is not None:
        turned["in_batch"] = scores.in_batch.view(QUERIES, QUERIES, -1).flip(0).flip(1).flatten(1)
    return Scores(**turned)


def _other_negatives(scores: Scores) -> Scores:
    """The same batch with each query's negatives in reverse order."""

    def turned(part: Any) -> Any:
        return None if part is None else torch.cat([part[..., :1], part[..., 1:].flip(-1)], dim=-1)

    changed: Any = {name: turned(part) for name, part in scores._asdict().items()}
    if scores.in_batch is not None:
        changed["in_batch"] = turned(scores.in_batch.view(QUERIES, QUERIES, -1)).flatten(1)
    return Scores(**changed)


def _check_scalar(value: Any, name: str) -> None:
    assert isinstance(value, Tensor), f"{name} gave a {type(value).__name__}, not a tensor"
    assert value.shape == (), f"{name} gave shape {tuple(value.shape)}, not one number"
    assert value.dtype == torch.float32, f"{name} gave {value.dtype}, not torch.float32: compute in float32"
    assert torch.isfinite(value), f"{name} gave {float(value.detach())}, not a finite number"


def _check_gradient(value: Tensor, of: Tensor, name: str) -> None:
    assert value.requires_grad, f"{name} has no gradient: compute it with torch from what it is given"
    (gradient,) = torch.autograd.grad(value, of, allow_unused=True)
    assert gradient is not None, f"{name} has no gradient"
    assert bool(torch.isfinite(gradient).all()), f"{name} has a gradient that is not finite"


def _check_close(found: float, expected: float, what: str) -> None:
    assert abs(found - expected) <= 1e-5 + 1e-4 * abs(expected), f"{what}: {expected} became {found}"
