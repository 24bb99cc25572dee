"""Modules from tokens to one vector per text: what stands on either side of a retriever."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from splade.models.backbones import dropout
from splade.models.backbones.attention import packed_states, takes_packed
from splade.models.backbones.buckets import (
    NO_LIMIT,
    Budget,
    budget_for,
    length_buckets,
    of_rows,
    packed_buckets,
    widths_of,
)
from splade.models.backbones.decoders import attention_of, inputs
from splade.models.backbones.layouts import backbone_of, find_head, supported_architectures
from splade.models.backbones.loading import HEADS, folder_of, load_mlm, quiet_loading
from splade.models.backbones.lora import add_adapters, has_adapters, lora_from, merged, save_adapter
from splade.models.backbones.neighbours import Reader
from splade.models.heads.activations import ACTIVATIONS
from splade.models.heads.fused_head import is_fast_on, splade_head
from splade.models.heads.identity import tie_identity
from splade.models.heads.pooling import AGGREGATIONS, pool_full_logits, pool_hidden, taking_part
from splade.models.heads.sparse_head import in_places, sparse_head, sparse_rows
from splade.records import SparseRows

logger = logging.getLogger(__name__)

DEFAULT_HEAD_BIAS = -5.0


def special_ids(tokenizer: Any) -> tuple[int, ...]:
    """The ids of the padding, [CLS], [SEP], mask and begin- and end-of-text tokens that the tokenizer has."""
    names = ("pad_token_id", "cls_token_id", "sep_token_id", "mask_token_id", "bos_token_id", "eos_token_id")
    ids = (getattr(tokenizer, name, None) for name in names)
    return tuple(sorted({token for token in ids if token is not None}))


class Pooling(NamedTuple):
    """The way from logits to weights, as keys of ``AGGREGATIONS`` and ``ACTIVATIONS``."""

    agg: str
    activation: str


class MlmEncoder(Reader, nn.Module):
    """A masked or decoder language model as a sparse encoder: term weights from the logits of its head.

    ``source`` is a folder or hub name. ``head`` says where the head comes from: ``pretrained`` (it must
    be in the weights), ``tied_identity`` (made from the word embeddings with ``head_bias``, see
    :mod:`splade.models.heads.identity`) or ``new`` (initialised at random where it is missing). Positions of
    ``unpooled`` token ids are attended to but not pooled. ``attention`` is for decoder language models, see
    :mod:`splade.models.backbones.decoders`; with ``lora`` adapters alone are trained, see
    :mod:`splade.models.backbones.lora`.
    Raises ValueError for unknown names and InputError where the source cannot be used.
    """

    unpooled: Tensor

    def __init__(
        self,
        source: str | Path,
        *,
        agg: str = "max",
        activation: str = "log1p_relu",
        head: str = "pretrained",
        head_bias: float | None = None,
        unpooled: Iterable[int] = (),
        attention: str | None = None,
        lora: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        one_of("init_dict.agg", agg, AGGREGATIONS)
        one_of("init_dict.activation", activation, ACTIVATIONS)
        one_of("init_dict.head", head, HEADS)
        if head_bias is not None and head != "tied_identity":
            raise ValueError(f"init_dict.head_bias={head_bias} is only read with init_dict.head=tied_identity")
        self.agg, self.activation = agg, activation
        self.backbone: list[Any] | None = None  # see splade.models.backbones.int8
        self.in_one_call = False  # each layer is called once per forward, as weights that are spread by layers need
        self.mlm = _load_with_head(folder_of(source), head, DEFAULT_HEAD_BIAS if head_bias is None else head_bias)
        self.attention = attention_of(self.mlm, attention, source)
        adapters = lora_from(lora)
        if adapters is not None:
            add_adapters(self.mlm, adapters, source)
        self.register_buffer("unpooled", torch.tensor(list(unpooled), dtype=torch.int64), persistent=False)

    @property
    def model(self) -> Any:
        """The transformers model."""
        return self.mlm

    @property
    def pooling(self) -> Pooling:
        """The pooling of this encoder where a call names no other."""
        return Pooling(self.agg, self.activation)

    @property
    def vocab_size(self) -> int:
        """The width of the head, which may be larger than the tokenizer's vocabulary."""
        head = find_head(self.mlm)
        return int(head.decoder.weight.shape[0]) if head else int(self.mlm.config.vocab_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, pooling: Pooling | None = None) -> Tensor:
        """Term weights [B, V], float32 and ≥ 0, of token ids and mask [B, L], texts of like length together.

        ``pooling`` stands in for the encoder's own.
        """
        pooling = pooling or self.pooling
        if input_ids.numel() == 0:
            return torch.zeros(input_ids.shape[0], self.vocab_size, device=input_ids.device)
        head = find_head(self.mlm)
        if head is None:
            logits = self.states(input_ids, attend_to_something(attention_mask))  # [B, L, V]
            return pool_full_logits(logits, self._pooled(input_ids, attention_mask), *pooling).float()
        if is_fast_on(input_ids.device):
            tokens, lengths, order = self._packed(input_ids, attention_mask)
            weights = splade_head(head.transform(tokens), lengths, head.decoder.weight, head.decoder.bias, *pooling)
        else:
            states, order = self._padded(input_ids, attention_mask)
            weights = pool_hidden(states, head.transform, head.decoder, *pooling)
        back = torch.from_numpy(np.argsort(order)).to(weights.device)
        return weights.float().index_select(0, back)  # as the texts came

    @torch.no_grad()
    def rows(self, input_ids: Tensor, attention_mask: Tensor, pooling: Pooling | None = None) -> SparseRows:
        """As :meth:`forward`, the non-zeros alone; nothing of size [B, V] is held where the head is known."""
        head = find_head(self.mlm)
        if head is None or input_ids.numel() == 0 or not is_fast_on(input_ids.device):
            return sparse_rows(self(input_ids, attention_mask, pooling))
        tokens, lengths, order = self._packed(input_ids, attention_mask)
        parts = (head.decoder.weight, head.decoder.bias, *(pooling or self.pooling))
        return in_places(sparse_head(head.transform(tokens), lengths, *parts), order)

    @torch.no_grad()
    def contributions(
        self, input_ids: Tensor, attention_mask: Tensor, terms: Tensor, pooling: Pooling | None = None
    ) -> Tensor:
        """The weights [L, T] that each position of one text, ids and mask [1, L], would give T ``terms`` by itself.

        Pooled over positions, they are what :meth:`forward` gives these terms; 0 at positions that are not pooled.
        """
        places = self._pooled(input_ids, attention_mask)
        weights = torch.zeros(places.shape[1], len(terms), device=places.device)
        if places.any() and len(terms):
            activate = ACTIVATIONS[(pooling or self.pooling).activation]
            weights[places[0]] = activate(self.logits_at(input_ids, attention_mask, places, terms)).float()
        return weights

    def logits_at(
        self, input_ids: Tensor, attention_mask: Tensor, places: Tensor, terms: Tensor | None = None
    ) -> Tensor:
        """Logits [M, V] at the M true ``places`` [B, L] of token ids and mask [B, L], text after text.

        Those of ``terms`` [T] alone are [M, T]. Nothing of size [B, L, V] is held where the head is known.
        """
        head = find_head(self.mlm)
        if head is None:
            found = self.states(input_ids, attend_to_something(attention_mask))[places]
            return found if terms is None else found[:, terms]
        states, _, order = self._packed(input_ids, attention_mask, places)
        numbers = torch.zeros_like(places, dtype=torch.int64)
        numbers[places] = torch.arange(len(states), device=places.device)
        texts = torch.from_numpy(order).to(places.device)
        as_given = numbers[texts][places[texts]].argsort()
        transformed = head.transform(states.index_select(0, as_given))
        if terms is None:
            logits: Tensor = head.decoder(transformed)
            return logits
        bias = None if head.decoder.bias is None else head.decoder.bias[terms]
        return functional.linear(transformed, head.decoder.weight[terms], bias)

    @property
    def _base(self) -> Any:
        return self.backbone[0] if self.backbone else backbone_of(self.mlm)

    def _budget(self, device: torch.device) -> Budget:
        """The limits of one call of the transformer on ``device``."""
        return NO_LIMIT if self.in_one_call else budget_for(device.type)

    def _pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mark the tokens that are pooled; bool [B, L]."""
        return attention_mask.bool() & ~torch.isin(input_ids, self.unpooled)

    def padded_states(self, input_ids: Tensor, attended: Tensor) -> Tensor:
        """The model's own logits [B, L, V]."""
        logits: Tensor = self.mlm(**inputs(self.mlm, input_ids, attended, self.attention)).logits
        return logits

    def _packed(
        self, input_ids: Tensor, attention_mask: Tensor, wanted: Tensor | None = None
    ) -> tuple[Tensor, list[int], NDArray[np.int64]]:
        """Hidden states [T, D] of the tokens of ``_padded``, their number per text, and which text is at each place."""
        base = self._base
        if not takes_packed(base, input_ids.device):
            states, order = self._padded(input_ids, attention_mask, wanted)
            return *taking_part(states), order
        wanted = self._pooled(input_ids, attention_mask) if wanted is None else wanted
        attended = attend_to_something(attention_mask)
        widths = attended.sum(dim=1).cpu()
        buckets = packed_buckets(widths, self._budget(input_ids.device).tokens)
        tokens, lengths = [], []
        for rows in buckets:
            ids, mask, kept = of_rows(rows, input_ids.shape[1], input_ids, attended.bool(), wanted)
            with dropout.packed(torch.from_numpy(rows), mask.sum(dim=1).tolist()):
                tokens.append(packed_states(base, ids, mask)[kept[mask]])  # [t, D]
            lengths += kept.sum(dim=1).tolist()
        return torch.cat(tokens), lengths, np.concatenate(buckets)

    def _padded(
        self, input_ids: Tensor, attention_mask: Tensor, wanted: Tensor | None = None
    ) -> tuple[list[tuple[Tensor, Tensor]], NDArray[np.int64]]:
        """Hidden states [b, l, D] of buckets of texts, each with its part of ``wanted`` [B, L] (None: the pooled
        tokens), and which text is at each place of them.
        """
        wanted = self._pooled(input_ids, attention_mask) if wanted is None else wanted
        attended = attend_to_something(attention_mask)
        widths = widths_of(attended)
        buckets = length_buckets(widths, self._budget(input_ids.device))
        states = []
        for rows in buckets:
            ids, mask, kept = of_rows(rows, int(widths[rows].max()), input_ids, attended, wanted)
            with dropout.only(torch.from_numpy(rows)):
                found = self._base(**inputs(self.mlm, ids, mask, self.attention)).last_hidden_state
            states.append((found, kept))
        return states, np.concatenate(buckets)

    def weights_in_use(self) -> Iterator[tuple[str, Tensor]]:
        """Names and parameters that the vectors depend on, each once."""
        yield from merged(self.mlm).named_parameters()

    def save(self, folder: Path) -> None:
        """Write a folder that ``AutoModelForMaskedLM`` (of a decoder ``AutoModelForCausalLM``) loads.

        Adapters are merged, and in ``adapter/`` by themselves.
        """
        save_model(merged(self.mlm), folder)
        if has_adapters(self.mlm):
            save_adapter(self.mlm, folder)


def attend_to_something(attention_mask: Tensor) -> Tensor:
    """The mask with the first position opened in rows that have none: attention over nothing is not a number."""
    empty = ~attention_mask.bool().any(dim=1)
    opened = attention_mask.clone()
    opened[:, 0] = torch.where(empty, torch.ones_like(opened[:, 0]), opened[:, 0])
    return opened


def one_of(address: str, value: Any, accepted: Iterable[str]) -> None:
    """ValueError, with the config address, the value and the accepted ones, unless the value is one of them."""
    accepted = list(accepted)
    if value not in accepted:
        raise ValueError(f"{address} must be one of {', '.join(accepted)}, got {value!r}")


def save_model(model: Any, folder: Path) -> None:
    """Write a transformers model's config and weights, without its progress bars."""
    with quiet_loading():
        model.save_pretrained(folder)


def _load_with_head(folder: Path, head: str, bias: float) -> Any:
    mlm = load_mlm(folder, allow_new_head=head in ("tied_identity", "new"), tie=head == "tied_identity")
    if head == "tied_identity":
        tie_identity(mlm, bias, folder)
    if find_head(mlm) is None:
        logger.warning(
            "%s: the head of model type %r is not known here (known: %s); its full logits are used, "
            "which takes more memory and time",
            folder,
            mlm.config.model_type,
            supported_architectures(),
        )
    return mlm
