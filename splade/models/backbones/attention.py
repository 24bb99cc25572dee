"""Packed texts through a transformer: one row of tokens without padding, in which each text attends to itself alone.

Embeddings, linear layers and layer norms treat every token by itself, so they see one long row and no padding.
Attention alone must know where texts begin and end; here it takes the texts of one length at a time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from splade.models.backbones.dropout import over_runs
from splade.models.backbones.packed import Run

NAME = "splade_packed"
ARCHITECTURES = ("bert", "camembert", "distilbert", "modernbert", "roberta", "xlm-roberta")
"""``config.model_type`` of those whose attention is exchangeable and whose positions can be given."""
DEVICES = ("cpu",)
"""Where attention by runs is the fast way: each run is a call."""


def takes_packed(model: Any, device: torch.device) -> bool:
    """True where ``model``, without its head, should be given packed texts on ``device`` by :func:`packed_states`."""
    config = getattr(model, "config", None)
    return (
        int(transformers.__version__.split(".")[0]) >= 5
        and getattr(config, "model_type", "") in ARCHITECTURES
        and getattr(config, "_attn_implementation", "") == "sdpa"
        and not getattr(config, "is_decoder", False)
        and not _computes_again(model)
        and not getattr(model, "is_compiled", False)  # each list of runs would be compiled anew
        and device.type in DEVICES
    )


def _computes_again(model: Any) -> bool:
    """True under gradient checkpointing: the backward computes hidden states again, by the model's own attention."""
    newer = getattr(model, "is_activation_checkpointing", None)  # the older name warns where there is the newer
    return bool(getattr(model, "is_gradient_checkpointing", False) if newer is None else newer)


def packed_states(model: Any, input_ids: Tensor, attended: Tensor) -> Tensor:
    """Hidden states [T, D] of the T attended tokens, text after text; ids and mask [B, L], each text attended to.

    ``model`` is one that :func:`takes_packed`. Texts of equal length should be neighbours.
    """
    places = attended.flatten().nonzero().squeeze(1)  # [T]
    positions = _positions(model, input_ids)
    with _attending(model):
        hidden: Tensor = model(
            input_ids=input_ids.flatten()[places].unsqueeze(0),  # [1, T]
            position_ids=positions.flatten()[places].unsqueeze(0),
            splade_runs=runs_of(attended.sum(dim=1).tolist()),
        ).last_hidden_state
    return hidden.squeeze(0)


def runs_of(lengths: Sequence[int]) -> list[Run]:
    """Neighbours of one length together."""
    runs, text = [], 0
    for length, same in groupby(lengths):
        n_texts = len(list(same))
        runs.append(Run(text, n_texts, length))
        text += n_texts
    return runs


def attention_by_runs(
    module: Any,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 # there is no padding
    *,
    splade_runs: Sequence[Run],
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention within each text, [1, T, heads, d] from query, key and value [1, heads, T, d].

    With ``sliding_window``, to tokens less than so many places away. The form is that of transformers' attention
    functions.
    """
    parts, start = [], 0
    for run in over_runs(splade_runs):
        span = slice(start, start + run.n_texts * run.length)
        q, k, v = (_by_text(part, span, run.n_texts) for part in (query, key, value))  # [texts, heads, length, d]
        band = _band(run.length, sliding_window, query.device)
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=band, dropout_p=dropout, scale=scaling)
        parts.append(found.transpose(1, 2).flatten(0, 1))  # [texts · length, heads, d]
        start = span.stop
    return torch.cat(parts).unsqueeze(0), None


def _by_text(states: Tensor, span: slice, n_texts: int) -> Tensor:
    return states[0, :, span].transpose(0, 1).unflatten(0, (n_texts, -1)).transpose(1, 2)


def _band(length: int, window: int | None, device: torch.device) -> Tensor | None:
    """Mark the tokens that each token attends to [length, length]; None where each attends to all."""
    if window is None or length <= window:
        return None
    places = torch.arange(length, device=device)
    return (places[:, None] - places).abs() < window


def _positions(model: Any, input_ids: Tensor) -> Tensor:
    """The position of each token [B, L] as the model itself would count."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    if padding is None:
        return torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    counted = (input_ids != padding).int()  # RoBERTa counts from padding_idx + 1 and leaves out padding
    return (counted.cumsum(dim=1) * counted + padding).long()


@contextmanager
def _attending(model: Any) -> Iterator[None]:
    """Have ``model`` attend by runs inside the block."""
    transformers.AttentionInterface.register(NAME, attention_by_runs)
    former = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = former
