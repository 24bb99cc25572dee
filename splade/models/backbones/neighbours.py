"""A text's vector does not depend on the other texts in its batch.

Most architectures leave padding out of everything, and read a padded text as they read it alone. Some do not: the
Fourier transforms of FNet and the convolutions of ConvBERT run over padding as over words. Architectures in the table
of :mod:`splade.models.backbones.layouts` are known to be of the first kind; any other is tried when it is loaded. Those
of the second kind compute each length by itself, without padding.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from splade.files import InputError
from splade.models.backbones import dropout, layouts
from splade.models.backbones.buckets import of_rows, widths_of
from splade.models.backbones.loading import position_limit, quiet_loading

logger = logging.getLogger(__name__)

Read = Callable[[Tensor, Tensor], Tensor]
"""From token ids and mask [B, L], padded on the right, to a number of states per token [B, L, ·] or per text [B]."""

SHORT = 7  # tokens of the text that is tried
WIDEST = 1024  # tokens of the text beside it: block-sparse attention (BigBird) begins at about 700
WORK = 1 << 37  # weights times tokens: large models are tried beside shorter texts
TOLERANCE = 1e-4  # of the largest state; rounding differs by less than 1e-5
OTHERS = ("t5", "mt5", "umt5")  # known too, outside the table: they have no head for term weights
ERRORS = (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AttributeError)


class Reader:
    """Mixin of encoders whose states of texts come from a transformer, ``model``."""

    pads = True  # whether texts of different lengths may be computed together, padded

    @property
    def model(self) -> Any:
        """The transformers model."""
        raise NotImplementedError

    def padded_states(self, input_ids: Tensor, attended: Tensor) -> Tensor:
        """States [B, L, ·] as the transformer gives them, of ids and mask [B, L]; each text has a token."""
        raise NotImplementedError

    def states(self, input_ids: Tensor, attended: Tensor) -> Tensor:
        """States [B, L, ·], none of them dependent on another text; those of padding do not matter."""
        if self.pads:
            return self.padded_states(input_ids, attended)
        return by_length(self.padded_states, attended, input_ids, attended)

    def check_neighbours(self, longest: int, pad: int) -> None:
        """Find out, for texts of up to ``longest`` tokens, how they may be computed together; see :func:`may_pad`."""
        self.pads = may_pad(self.padded_states, self.model, longest, pad)


def by_length(read: Callable[..., Tensor], attended: Tensor, *parts: Tensor) -> Tensor:
    """States of ``read`` called with the ``parts`` [B, L] of texts of one length at a time, without padding.

    ``attended`` [B, L] is the mask. States per token are 0 where padding was.
    """
    widths = widths_of(attended)
    found, order = [], []
    for width in widths.unique().tolist():
        rows = (widths == width).nonzero().squeeze(1)
        with dropout.only(rows):
            states = read(*of_rows(rows.numpy(), width, *parts))
        found.append(F.pad(states, (0, 0, 0, attended.shape[1] - width)) if states.dim() > 2 else states)
        order.append(rows)
    return torch.cat(found).index_select(0, torch.cat(order).argsort().to(attended.device))


def may_pad(read: Read, model: Any, longest: int, pad: int) -> bool:
    """True where ``read``, of ``model`` in evaluation mode, gives a text the same states alone and padded; else warn.

    ``longest`` is the most tokens of a text, ``pad`` the id of padding. Raises InputError where a text's states depend
    on a text of the same length beside it, or on the moment, and where texts without padding cannot be read.
    """
    kind = model.config.model_type
    if kind in layouts.LAYOUTS or kind in OTHERS:
        return True
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), quiet_loading():
            beside, padded = _differences(read, model, longest, pad)
    except ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"{_name(model)}: the model type {kind!r} cannot read texts of a few tokens, with a mask and without "
            f"padding ({reason}), so it cannot be used here; choose a model of another architecture "
            f"({layouts.supported_architectures()})"
        ) from error
    if not beside <= TOLERANCE:
        raise InputError(
            f"{_name(model)}: the model type {kind!r} gives a text another vector each time, or beside other texts "
            f"(states differ by {beside:.1g} of the largest), so no index could be searched with it; choose a model "
            f"of another architecture ({layouts.supported_architectures()})"
        )
    if padded <= TOLERANCE:
        return True
    logger.warning(
        "%s: padding changes the states of the model type %r (by %.1g of the largest); texts are computed with others "
        "of the same length alone, which takes more time",
        _name(model), kind, padded,
    )  # fmt: skip
    return False


def _differences(read: Read, model: Any, longest: int, pad: int) -> tuple[float, float]:
    """Measure how a text's states change beside another text, and with padding; as shares of the largest state."""
    n_weights = sum(weight.numel() for weight in model.parameters())
    longest = min(longest, position_limit(model) or longest)
    wide = max(min(longest, WIDEST, max(WORK // max(n_weights, 1), 32)), 1)
    short = min(SHORT, wide)
    first, second = _tokens(model, 2, wide, pad)
    cut = first[:short]
    alone = _read(read, [cut])[0]  # first, since BigBird attends to all for good once it has met a short text
    long_alone = _read(read, [second])[0]
    with_equal = _read(read, [cut, second[:short]])[0]
    padded, long_padded = _read(read, [torch.cat([cut, cut.new_full((wide - short,), pad)]), second], short)
    beside = max(_difference(alone, with_equal), _difference(long_alone, long_padded))
    return beside, _difference(alone, padded[:short] if padded.dim() else padded)


def _read(read: Read, rows: list[Tensor], first: int | None = None) -> Tensor:
    """Return the states that ``read`` gives of ``rows`` [L]; the first row has ``first`` tokens (None: all)."""
    ids = torch.stack(rows)
    mask = torch.ones_like(ids)
    if first is not None:
        mask[0, first:] = 0
    return read(ids, mask).float()


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-12))


def _tokens(model: Any, n: int, length: int, pad: int) -> Tensor:
    """Ids [n, length] all over the vocabulary, without padding and special tokens, on the model's device."""
    config = model.config
    names = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "mask_token_id")
    special = {pad, *(getattr(config, name, None) for name in names)}
    usable = np.array([token for token in range(int(config.vocab_size)) if token not in special] or [0])
    chosen = usable[np.random.default_rng(0).integers(len(usable), size=(n, length))]
    return torch.from_numpy(chosen).to(next(model.parameters()).device)


def _name(model: Any) -> str:
    return str(getattr(model.config, "_name_or_path", "")) or type(model).__name__
