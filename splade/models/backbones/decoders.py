"""Decoder language models as encoders: the hidden states of whole texts, in one pass and without a cache.

With ``causal`` attention, as these models are pretrained, a token sees itself and what stands before it; with
``bidirectional`` attention it sees the whole text, in every layer (sliding windows are not kept). Neither the
place of the padding nor the number of padding tokens changes a state: padding is not attended to, and positions
are counted from a text's own first token.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splade.files import InputError
from splade.models.backbones.loading import is_causal_lm

ATTENTIONS = ("causal", "bidirectional")
BIDIRECTIONAL = (
    "gemma",
    "gemma2",
    "gemma3_text",
    "llama",
    "mistral",
    "olmo2",
    "phi3",
    "qwen2",
    "qwen3",
    "smollm3",
)
"""``config.model_type`` of those that take a whole mask [B, 1, L, L] as it is, in transformers 4.50 to 5."""
MASKED_BY_ADDING = ("sdpa", "eager")
"""Implementations of attention that take such a mask."""


def attention_of(model: Any, asked: str | None, source: str | Path) -> str | None:
    """The kind of attention that ``model`` encodes with: None for an encoder, which has but one.

    ``asked`` (None: causal) is init_dict.attention. ValueError where it is neither of :data:`ATTENTIONS`, InputError
    where ``model``, loaded from ``source``, cannot have it.
    """
    if asked not in (None, *ATTENTIONS):
        raise ValueError(f"init_dict.attention must be one of {', '.join(ATTENTIONS)}, got {asked!r}")
    if not is_causal_lm(model.config):
        if asked is not None:
            raise InputError(
                f"{source}: init_dict.attention={asked} is for decoder language models; {model.config.model_type!r} "
                "is an encoder, which is bidirectional: remove init_dict.attention"
            )
        return None
    if asked == "bidirectional":
        _check_takes_masks(model.config, source)
    return asked or "causal"


def inputs(model: Any, input_ids: Tensor, attended: Tensor, attention: str | None) -> dict[str, Any]:
    """The keyword arguments that have ``model`` (with or without its head) read ids and mask [B, L].

    Every text has a token to attend to; ``attention`` is what :func:`attention_of` gave.
    """
    if attention is None:
        return {"input_ids": input_ids, "attention_mask": attended}
    positions = (attended.long().cumsum(dim=1) - 1).clamp(min=0)
    mask = attended if attention == "causal" else _seen_by_all(attended, model.dtype)
    return {"input_ids": input_ids, "attention_mask": mask, "position_ids": positions, "use_cache": False}


def _seen_by_all(attended: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, 1, L, L] to add to scores: 0 in the columns of tokens, the lowest number in those of padding."""
    hidden = torch.zeros(attended.shape, dtype=dtype, device=attended.device)
    hidden.masked_fill_(~attended.bool(), torch.finfo(dtype).min)
    return hidden[:, None, None, :].expand(-1, 1, attended.shape[1], -1)


def _check_takes_masks(config: Any, source: str | Path) -> None:
    if config.model_type not in BIDIRECTIONAL:
        raise InputError(
            f"{source}: init_dict.attention=bidirectional is known for {', '.join(BIDIRECTIONAL)}, not for "
            f"{config.model_type!r}; use init_dict.attention=causal"
        )
    implementation = getattr(config, "_attn_implementation", "sdpa")
    if implementation not in MASKED_BY_ADDING:
        raise InputError(
            f"{source}: init_dict.attention=bidirectional needs attention by {' or '.join(MASKED_BY_ADDING)}, and this "
            f"model is set to {implementation!r} (attn_implementation in its config.json)"
        )
