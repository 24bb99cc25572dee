"""A table of where each architecture keeps the parts of its language-model head.

Heads of masked language models have one form: ``decoder(norm(act(dense(h))))`` on the last hidden states; those
of decoder language models are ``decoder(h)``, since the last norm is part of the transformer. They differ in
the names of the parts, which is all that this table holds. A model that is not in the table is used through its
full logits: the same weights, with more memory and time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F


class HeadLayout(NamedTuple):
    """Dotted attribute paths of a head's parts, from the masked language model.

    ``dense`` is empty where the head is its decoder alone, ``act`` where it calls the exact GELU itself.
    """

    decoder: str
    dense: str = ""
    act: str = ""
    norm: str = ""


_BERT = HeadLayout(
    dense="cls.predictions.transform.dense",
    act="cls.predictions.transform.transform_act_fn",
    norm="cls.predictions.transform.LayerNorm",
    decoder="cls.predictions.decoder",
)
_ROBERTA = HeadLayout(
    dense="lm_head.dense",
    norm="lm_head.layer_norm",
    decoder="lm_head.decoder",
)
_PLAIN = HeadLayout(decoder="lm_head")

LAYOUTS: dict[str, HeadLayout] = {
    "bert": _BERT,
    "distilbert": HeadLayout(
        dense="vocab_transform",
        act="activation",
        norm="vocab_layer_norm",
        decoder="vocab_projector",
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "mpnet": _ROBERTA,
    "electra": HeadLayout(
        dense="generator_predictions.dense",
        act="generator_predictions.activation",
        norm="generator_predictions.LayerNorm",
        decoder="generator_lm_head",
    ),
    "albert": HeadLayout(
        dense="predictions.dense",
        act="predictions.activation",
        norm="predictions.LayerNorm",
        decoder="predictions.decoder",
    ),
    "modernbert": HeadLayout(dense="head.dense", act="head.act", norm="head.norm", decoder="decoder"),
    "gemma": _PLAIN,
    "gemma2": _PLAIN,
    "gemma3_text": _PLAIN,
    "gpt2": _PLAIN,
    "llama": _PLAIN,
    "mistral": _PLAIN,
    "olmo2": _PLAIN,
    "phi3": _PLAIN,
    "qwen2": _PLAIN,
    "qwen3": _PLAIN,
    "smollm3": _PLAIN,
}
"""Head layouts by transformers' ``config.model_type``."""


class Head(NamedTuple):
    """The parts of one model's head, found once per call so that a copied model uses its own weights."""

    decoder: nn.Linear
    dense: nn.Linear | None
    act: Callable[[Tensor], Tensor]
    norm: nn.Module

    def transform(self, hidden: Tensor) -> Tensor:
        """Apply the layers that come before the vocabulary product to hidden states [B, L, D]; gives [B, L, D']."""
        if self.dense is None:
            return hidden
        transformed: Tensor = self.norm(self.act(self.dense(hidden)))
        return transformed


def find_head(mlm: Any) -> Head | None:
    """The head of a language model, or None where the table does not know its architecture.

    None also where logits are squashed after the product (``final_logit_softcapping``).
    """
    layout = LAYOUTS.get(getattr(mlm.config, "model_type", ""))
    if layout is None or getattr(mlm.config, "final_logit_softcapping", None):
        return None
    try:
        return Head(
            decoder=_part(mlm, layout.decoder),
            dense=_part(mlm, layout.dense) if layout.dense else None,
            act=_part(mlm, layout.act) if layout.act else F.gelu,
            norm=_part(mlm, layout.norm) if layout.norm else nn.Identity(),
        )
    except AttributeError:  # a variant of the architecture that builds its head otherwise
        return None


def backbone_of(mlm: Any) -> Any:
    """The transformer of a language model, without its head."""
    base = mlm.base_model
    return mlm.get_decoder() if base is mlm else base  # late transformers 4 misname that of Gemma 3


def supported_architectures() -> str:
    """The names of the table, for messages."""
    return ", ".join(sorted(LAYOUTS))


def _part(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module
