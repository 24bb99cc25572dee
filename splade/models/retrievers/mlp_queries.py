"""Queries without expansion, each token weighed by what stands around it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from splade.models.backbones.decoders import attention_of, inputs
from splade.models.backbones.loading import folder_of, load_base
from splade.models.backbones.neighbours import Reader
from splade.models.encoders.mlm import (
    MlmEncoder,
    attend_to_something,
    one_of,
    save_model,
    special_ids,
)
from splade.models.encoders.own_tokens import OwnTokens, start_at_one
from splade.models.heads.activations import ACTIVATIONS
from splade.models.retrievers.base import tokenizer_for
from splade.models.retrievers.splade import MlmRetriever

PROJECTION = "token_weights.safetensors"


class MlpEncoder(Reader, OwnTokens):
    """A text's own tokens, each with ``activation`` of one linear function of its hidden state.

    It starts where every token weighs 1, or from the function that lies beside the encoder in ``source``.
    """

    def __init__(
        self,
        source: str | Path,
        vocab_size: int,
        dropped: Iterable[int],
        *,
        activation: str,
        attention: str | None = None,
    ) -> None:
        super().__init__(vocab_size, dropped)
        one_of("init_dict.activation_q", activation, ACTIVATIONS)
        self.activation = activation
        self.base = load_base(folder_of(source))
        self.attention = attention_of(self.base, attention, source)
        self.projection = nn.Linear(int(self.base.config.hidden_size), 1)
        start_at_one(self.projection, activation)
        saved = folder_of(source) / PROJECTION
        if saved.is_file():
            self.projection.load_state_dict(load_file(saved))

    @property
    def model(self) -> Any:
        """The transformers model."""
        return self.base

    def token_weights(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.states(input_ids, attend_to_something(attention_mask))  # [B, L, D]
        return ACTIVATIONS[self.activation](self.projection(hidden).squeeze(-1))

    def padded_states(self, input_ids: Tensor, attended: Tensor) -> Tensor:
        """The last hidden states [B, L, D]."""
        hidden: Tensor = self.base(**inputs(self.base, input_ids, attended, self.attention)).last_hidden_state
        return hidden

    def save(self, folder: Path) -> None:
        """Write the encoder as ``AutoModel`` loads it, and the function beside it."""
        save_model(self.base, folder)
        save_file(
            {name: value.detach().cpu() for name, value in self.projection.state_dict().items()}, folder / PROJECTION
        )


class SpladeMlp(MlmRetriever):
    """Documents as in :class:`splade.models.Splade`; of queries only their own tokens, weighed by an encoder.

    The query encoder is ``model_type_or_dir_q``, or starts as a copy of the document model's body; a token's weight
    is ``activation_q(w · h + b)`` of its hidden state h ("MLP" in the taxonomy of arXiv 2303.13416), "relu" by
    default. ``freeze_d_model`` trains the query encoder alone. Other arguments as in :class:`splade.models.Splade`.
    """

    own_query_encoder = True

    def __init__(
        self,
        model_type_or_dir: str | Path,
        *,
        model_type_or_dir_q: str | Path | None = None,
        activation_q: str | None = None,
        freeze_d_model: bool = False,
        agg: str = "max",
        activation: str = "log1p_relu",
        tokenizer: str | Path | None = None,
        max_length: int = 256,
        max_length_q: int | None = None,
        head: str = "pretrained",
        head_bias: float | None = None,
        pool_special_tokens: bool = True,
        prompt_d: str | None = None,
        attention: str | None = None,
        lower_case: bool = False,
        lora: Mapping[str, Any] | None = None,
        top_q: int = -1,
        top_d: int = -1,
    ) -> None:
        own = tokenizer_for(model_type_or_dir, tokenizer, model_type_or_dir_q, lower_case=lower_case)
        special = special_ids(own)
        document = MlmEncoder(
            model_type_or_dir,
            agg=agg,
            activation=activation,
            head=head,
            head_bias=head_bias,
            unpooled=() if pool_special_tokens else special,
            attention=attention,
            lora=lora,
        )
        source = model_type_or_dir_q or model_type_or_dir
        super().__init__(
            document,
            MlpEncoder(source, document.vocab_size, special, activation=activation_q or "relu", attention=attention),
            tokenizer=own,
            max_length=max_length,
            max_length_q=max_length_q,
            freeze_document=freeze_d_model,
            prompt_d=prompt_d,
            top_q=top_q,
            top_d=top_d,
        )
        self.pool_special_tokens, self.lower_case = pool_special_tokens, lower_case

    def settings(self) -> dict[str, Any]:
        own = {"activation_q": self.encoders["query"].activation, "freeze_d_model": self._frozen}
        return {**super().settings(), **own}
