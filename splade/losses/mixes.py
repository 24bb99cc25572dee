"""Weighted sums of losses, and those of the multi-negative trainer under their published names."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from splade.losses.contrastive import Contrastive
from splade.losses.distillation import KlDiv, MarginMSEAllPairs
from splade.losses.scores import Loss, Scores, says


class WeightedSum(Loss):
    """``Σ weights[name] * losses[name](scores)``; needs whatever any of its losses needs."""

    def __init__(self, losses: Mapping[str, Loss], weights: Mapping[str, float] | None = None) -> None:
        """``weights`` defaults to 1 for each loss; otherwise it names exactly the losses given."""
        weights = dict.fromkeys(losses, 1.0) if weights is None else dict(weights)
        if not losses:
            raise ValueError("a weighted sum needs at least one loss")
        if set(weights) != set(losses):
            raise ValueError(f"weights name {sorted(weights)}, losses {sorted(losses)}: name the same ones")
        for name, weight in weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"the weight of loss {name!r} must be a finite number of at least 0, got {weight}")
        self.losses, self.weights = dict(losses), weights
        parts = list(self.losses.values())
        self.needs_teacher = any(loss.needs_teacher for loss in parts)
        self.needs_in_batch = any(loss.needs_in_batch for loss in parts)
        self.needs_document_keys = any(loss.needs_document_keys for loss in parts)
        self.min_documents = max(loss.min_documents for loss in parts)
        wants_all = any(loss.needs_in_batch and loss.in_batch_documents == "all" for loss in parts)
        self.in_batch_documents = "all" if wants_all else "positives"

    def value(self, scores: Scores) -> Tensor:
        """The weighted sum, in float32."""
        terms = [self.weights[name] * loss(scores) for name, loss in self.losses.items()]
        return torch.stack(terms).sum()


@says(takes=("weights", "catalog"), min_documents=1)
def weighted_sum(weights: Mapping[str, float], catalog: Mapping[str, str]) -> WeightedSum:
    """The weighted sum of losses named as in ``catalog`` (name to dotted path), each with its own defaults.

    ValueError names the address, what is accepted and the nearest valid name.
    """
    given = {str(name): weight for name, weight in weights.items() if weight is not None}
    accepted = [name for name, path in catalog.items() if _can_be_summed(path)]
    for name in given:
        if name not in accepted:
            near = get_close_matches(name, accepted, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"config.loss_weights.{name}: no such loss; accepted: {', '.join(accepted)}{hint}")
    return WeightedSum({name: _made(catalog[name]) for name in given}, given)


def _can_be_summed(path: str) -> bool:
    """False for a loss of tokens and for a mix; a path that leads nowhere fails only where it is used."""
    try:
        told = _located(path)
    except (ImportError, AttributeError, ValueError):
        return True
    return not (getattr(told, "of_tokens", False) or "weights" in getattr(told, "takes", ()))


def _made(path: str) -> Loss:
    loss: Loss = _located(path)()
    return loss


def _located(path: str) -> Any:
    module, _, attribute = path.rpartition(".")
    return getattr(import_module(module), attribute)


@says(needs_teacher=True)
def kldiv_mse_margin_with_weights() -> WeightedSum:
    """.99 KL + .05 MSE of all margins (the mix of SPLADE-v3's family, arXiv 2403.06789)."""
    return WeightedSum({"kldiv": KlDiv(), "mse_margin": MarginMSEAllPairs()}, {"kldiv": 0.99, "mse_margin": 0.05})


@says(needs_teacher=True)
def kldiv_mse_margin_without_weights() -> WeightedSum:
    """KL + MSE of all margins, each with weight 1."""
    return WeightedSum({"kldiv": KlDiv(), "mse_margin": MarginMSEAllPairs()})


@says(needs_teacher=True, needs_in_batch=True, in_batch_documents="all", min_documents=1)
def kldiv_contrastive_with_weights(in_batch: bool = False) -> WeightedSum:
    """.99 KL + .01 contrastive."""
    losses = {"kldiv": KlDiv(), "contrastive": Contrastive(in_batch)}
    return WeightedSum(losses, {"kldiv": 0.99, "contrastive": 0.01})


@says(needs_teacher=True, needs_in_batch=True, in_batch_documents="all", min_documents=1)
def kldiv_contrastive_without_weights(in_batch: bool = False) -> WeightedSum:
    """KL + contrastive, each with weight 1."""
    return WeightedSum({"kldiv": KlDiv(), "contrastive": Contrastive(in_batch)})
