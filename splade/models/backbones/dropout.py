"""Dropout whose masks belong to the texts, not to the tensors that the texts happen to be computed in.

Torch draws masks one tensor after another from one stream, so that they change with the batch, its padding and its
order. Here each text has a key; an element is kept or dropped by its text's key, the number of the dropout in the
forward pass and the element's own place in the text. Texts may then be cut, sorted, padded and shared out at will.

The bits are those of SplitMix64 (Steele, Lea and Flood, 2014) in integer arithmetic, the same on every device. Each
row of a tensor is a stream seeded from the text's key and the row's place, and gives sixteen bits per element: a rate
is rounded to a multiple of 1/65536. This is several times faster on a CPU than torch's own dropout.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from splade.models.backbones.packed import Run

GOLDEN, FIRST, SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15  # as signed 64-bit numbers
LANES, LEVELS = 4, 1 << 16  # elements per 64-bit number, and how finely each is told

_active: ContextVar["TextDropout | None"] = ContextVar("text_dropout", default=None)


class Places(NamedTuple):
    """Of T tokens of packed texts: which text of the batch each is of, and its position there; [T] int64."""

    texts: Tensor
    positions: Tensor


class TextDropout(TorchFunctionMode):
    """While active, every dropout that torch is asked for is drawn from the ``keys`` [B] int64 of the texts computed.

    Serves ``dropout`` of tensors [B, …] (of packed texts: [1, T, …]) and the dropout inside
    ``scaled_dot_product_attention``, in any module. ``unreached`` names the calls that could not
    be served, because their tensor does not have one row per text: those draw as torch does.
    """

    def __init__(self, keys: Tensor, site: int = 0) -> None:
        super().__init__()
        self.keys, self.site = keys, site  # site: dropouts met so far in this forward pass
        self.places: Places | None = None  # where texts are packed, of every token
        self.unreached: set[str] = set()

    @contextmanager
    def active(self) -> Iterator["TextDropout"]:
        """Serve the dropouts of the block."""
        former = _active.set(self)
        try:
            with self:
                yield self
        finally:
            _active.reset(former)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        served = SERVED.get(func)
        given = kwargs or {}
        return func(*args, **given) if served is None else served(self, *args, **given)

    def drop(self, values: Tensor, p: float) -> Tensor | None:
        """``values`` [B, …] with a share ``p`` of each text's elements 0 and the rest scaled up; None: not by text."""
        self.site += 1
        rows = _of_site(self.keys, self.site)  # [B]
        shape = values.shape[1:]
        if self.places is not None and values.shape[:2] == (1, len(self.places.texts)):
            rows, shape = _at(rows[self.places.texts], self.places.positions + 1).unsqueeze(0), values.shape[2:]
        elif values.dim() < 2 or len(values) != len(self.keys):
            return None
        threshold = round(p * LEVELS)
        if threshold >= LEVELS:
            return values * 0.0
        return torch.where(_kept(rows, shape, threshold), values * (LEVELS / (LEVELS - threshold)), 0.0)

    def dropout(self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        """As ``torch.nn.functional.dropout``."""
        dropped = self.drop(values, p) if training and p else values
        if dropped is None:
            self.unreached.add(f"dropout of a tensor {list(values.shape)}")
            return F.dropout(values, p, training, inplace)
        return values.copy_(dropped) if inplace else dropped

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **options: Any,
    ) -> Tensor:
        """As ``scaled_dot_product_attention``, of queries [B, H, L, d]; step by step where there is dropout."""
        if dropout_p and len(query) == len(self.keys):
            shares = _attention_shares(query, key, attn_mask, is_causal, options.get("scale"))
            dropped = self.drop(shares, dropout_p)
            assert dropped is not None  # it has a row per text
            return dropped @ _for_every_head(value, query)
        if dropout_p:
            self.unreached.add(f"attention of queries {list(query.shape)}")
        return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, **options)


SERVED: dict[Any, Callable[..., Tensor]] = {
    F.dropout: TextDropout.dropout,
    torch.dropout: TextDropout.dropout,
    F.scaled_dot_product_attention: TextDropout.attention,
}


@contextmanager
def only(rows: Tensor) -> Iterator[None]:
    """A block that computes the texts ``rows`` [b] of the batch, in this order, in a forward pass of their own."""
    active = _active.get()
    if active is None:
        yield
        return
    former = active.keys, active.site
    active.keys = active.keys[rows.to(active.keys.device)]
    try:
        yield
    finally:
        active.keys, active.site = former


@contextmanager
def packed(rows: Tensor, lengths: Sequence[int]) -> Iterator[None]:
    """As :func:`only`, with the texts laid one after the other without padding, in tensors [1, T, …].

    Attention in the block goes through :func:`over_runs`. Masks are those that the texts have when padded.
    """
    active = _active.get()
    if active is None:
        yield
        return
    device = active.keys.device
    counts = torch.tensor(list(lengths), device=device)
    texts = torch.repeat_interleave(torch.arange(len(counts), device=device), counts)
    starts = (counts.cumsum(0) - counts)[texts]
    with only(rows):
        active.places = Places(texts, torch.arange(len(texts), device=device) - starts)
        try:
            yield
        finally:
            active.places = None


def over_runs(runs: Iterable[Run]) -> Iterator[Run]:
    """The ``runs`` of packed texts, one after the other; together they are one step of the forward pass.

    While a run is at hand its texts are those computed, in tensors [texts of the run, …].
    """
    active = _active.get()
    if active is None:
        yield from runs
        return
    keys, site, places = active.keys, active.site, active.places
    after, active.places = site, None
    try:
        for run in runs:
            active.keys, active.site = keys[run.text : run.text + run.n_texts], site
            yield run
            after = active.site
    finally:
        active.keys, active.site, active.places = keys, after, places


def checkpoint_contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """For ``torch.utils.checkpoint``'s ``context_fn``: a part computed again in the backward meets the same masks."""
    active = _active.get()
    if active is None:
        return nullcontext(), nullcontext()
    again = TextDropout(active.keys, active.site)
    again.places = active.places
    return nullcontext(), again.active()


def keep(keys: Tensor, site: int, shape: Sequence[int], threshold: int) -> Tensor:
    """Mark the elements of a tensor of ``shape`` [B, …, n] that stay, all but ``threshold`` of 65536; bool.

    ``keys`` [B] int64 on the tensor's device. An element's fate depends on its text's key, ``site`` and its indices
    after the first; on no size.
    """
    return _kept(_of_site(keys, site), shape[1:], threshold)


def _of_site(keys: Tensor, site: int) -> Tensor:
    """Streams [B] for a dropout."""
    return _mixed(keys + (site * GOLDEN + 2**63) % 2**64 - 2**63)  # site * GOLDEN as torch's integers would wrap it


def _at(rows: Tensor, places: Tensor) -> Tensor:
    """Streams seeded from those in ``rows`` and ``places``, counted from 1; of both shapes broadcast."""
    return _mixed(rows + places * GOLDEN)


def _kept(rows: Tensor, shape: Sequence[int], threshold: int) -> Tensor:
    """Mark the elements of [..., *shape] that dropout keeps, drawn from the random streams [...]; bool."""
    for size in shape[:-1]:
        rows = _at(rows.unsqueeze(-1), torch.arange(1, size + 1, device=rows.device))
    n = shape[-1]
    bits = _at(rows.unsqueeze(-1), torch.arange(1, -(-n // LANES) + 1, device=rows.device))  # [..., n / 4]
    return bits.view(torch.int16)[..., :n] >= threshold - LEVELS // 2


def _mixed(state: Tensor) -> Tensor:
    """SplitMix64's output function, in place, on int64 (shifts of torch keep the sign, so it is masked off)."""
    for shift, factor in ((30, FIRST), (27, SECOND)):
        state ^= (state >> shift) & ((1 << (64 - shift)) - 1)
        state *= factor
    state ^= (state >> 31) & ((1 << 33) - 1)
    return state


def _attention_shares(query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool, scale: float | None) -> Tensor:
    """Attention shares [B, H, L, S] of each position; a position that may look nowhere looks everywhere."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = (query * scale) @ _for_every_head(key, query).transpose(-2, -1)  # [B, H, L, S]
    lowest = torch.finfo(scores.dtype).min
    if is_causal:
        scores = scores.masked_fill(torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1), lowest)
    if mask is not None:
        scores = scores.masked_fill(~mask, lowest) if mask.dtype == torch.bool else scores + mask
    return torch.softmax(scores, dim=-1)


def _for_every_head(states: Tensor, query: Tensor) -> Tensor:
    """Keys or values with as many heads as ``query`` has, where several query heads share one."""
    groups = query.shape[1] // states.shape[1]
    return states if groups == 1 else states.repeat_interleave(groups, dim=1)
