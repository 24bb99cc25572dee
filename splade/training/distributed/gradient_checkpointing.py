"""Gradient checkpointing: the encoders' hidden states are computed again for the gradient instead of kept."""

from typing import Any

from torch import nn

from splade.files import InputError
from splade.models.backbones.dropout import checkpoint_contexts


def checkpoint_activations(model: nn.Module) -> None:
    """Have every transformer in ``model`` keep one state per layer; dropout masks are the same the second time.

    InputError where no part of the model can do so.
    """
    able = [part for part in model.modules() if getattr(part, "supports_gradient_checkpointing", False)]
    if not able:
        raise InputError(
            "config.gradient_checkpointing=true: no part of this model can compute its states again; set it to false "
            "and bound memory with config.micro_batch_size or config.micro_batch_tokens"
        )
    within = {inner for part in able for inner in part.modules() if inner is not part}
    for part in able:
        if part not in within:
            newer = getattr(part, "activation_checkpointing_enable", None)  # of late transformers
            enable: Any = newer or part.gradient_checkpointing_enable
            enable({"use_reentrant": False, "context_fn": checkpoint_contexts})
