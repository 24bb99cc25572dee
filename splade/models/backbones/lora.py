"""Low-rank adapters (LoRA, arXiv 2106.09685): a frozen language model with trained matrices beside its linear layers.

A layer with weight W gives ``W x + alpha / r · B A x``; A and B have ``r`` rows and columns, B starts at zero, so
that a model with fresh adapters gives the vectors of the one without. A saved model has them merged into its weights,
so that every program loads it as a plain model. The adapters alone are in ``adapter/``, in the form of peft.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from splade.files import InputError
from splade.models.backbones.layouts import find_head

FOLDER, WEIGHTS = "adapter", "adapter_model.safetensors"
ALL = "all-linear"  # peft's name for every linear layer
PREFIX = "base_model.model."  # of names of weights in peft's files


class Lora(NamedTuple):
    """The settings ``init_dict.lora``; ``target_modules`` are ends of names of layers, None for all linear ones."""

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: tuple[str, ...] | None = None


def lora_from(settings: Mapping[str, Any] | None) -> Lora | None:
    """The adapters that ``settings`` describe; None where none is set. ValueError where they cannot be."""
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    if not given:
        return None
    unknown = sorted(given.keys() - set(Lora._fields))
    if unknown:
        raise ValueError(f"init_dict.lora.{unknown[0]}: there are {', '.join(Lora._fields)}")
    lora = Lora(**given)
    if lora.r < 1 or lora.alpha <= 0 or not 0 <= lora.dropout < 1:
        raise ValueError(
            f"init_dict.lora: r must be at least 1, alpha above 0 and dropout from 0 to below 1, got {lora.r}, "
            f"{lora.alpha} and {lora.dropout}"
        )
    return lora._replace(target_modules=tuple(lora.target_modules) if lora.target_modules else None)


def add_adapters(model: Any, lora: Lora, source: str | Path) -> None:
    """Freeze ``model``, loaded from ``source``, and give it adapters to train; in place, always the same ones.

    The head stays as it is. InputError where peft is missing, or where no layer, or the head's matrix, is named.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise InputError(
            "init_dict.lora needs the package peft: pip install 'splade[lora]', or remove init_dict.lora"
        ) from error
    head = _parts_of_head(model)
    _check_targets(lora, head)
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,  # type: ignore[arg-type] # a float is as good
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) if lora.target_modules else ALL,
        exclude_modules=head or None,
        base_model_name_or_path=str(source),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            inject_adapter_in_model(config, model)
        except ValueError as error:
            names = sorted({name.rsplit(".", 1)[-1] for name, part in model.named_modules() if type(part) is nn.Linear})
            raise InputError(
                f"init_dict.lora.target_modules={list(lora.target_modules or [ALL])}: no such layers in {source}; its "
                f"linear layers are called {', '.join(names)}"
            ) from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)


def has_adapters(model: Any) -> bool:
    """True where :func:`add_adapters` gave ``model`` adapters."""
    return getattr(model, "peft_config", None) is not None


def merged(model: Any) -> Any:
    """A copy of ``model`` with its adapters in its weights; ``model`` itself where it has none."""
    if not has_adapters(model):
        return model
    return merge(deepcopy(model))


def merge(model: Any) -> Any:
    """Put the adapters of ``model`` into its weights, in place, and have all of them trained; returns it."""
    for parent, name, layer in list(_layers(model)):
        layer.merge()
        setattr(parent, name, layer.get_base_layer())
    del model.peft_config
    return model.requires_grad_()


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapters of ``model`` to ``folder`` / ``adapter``, for peft and for models that are kept elsewhere."""
    from peft import get_peft_model_state_dict

    (folder / FOLDER).mkdir()
    model.peft_config["default"].save_pretrained(folder / FOLDER)
    weights: dict[str, Tensor] = get_peft_model_state_dict(model)
    named = {PREFIX + name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    save_file(named, folder / FOLDER / WEIGHTS, metadata={"format": "pt"})


def _layers(model: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Layers with adapters, and where each is: the module that holds it, under which name."""
    for parent in model.modules():
        for name, child in parent.named_children():
            if hasattr(child, "get_base_layer"):
                yield parent, name, child


def _parts_of_head(model: Any) -> list[str]:
    """The names of the head's linear layers, which see tokens of all texts in one row and are not adapted."""
    parts = [part for part in find_head(model) or () if isinstance(part, nn.Linear)]
    return [name for name, module in model.named_modules() if any(module is part for part in parts)]


def _check_targets(lora: Lora, head: Sequence[str]) -> None:
    for ending in lora.target_modules or ():
        if ending in head or any(f".{name}".endswith(f".{ending}") for name in head[-1:]):
            raise InputError(
                f"init_dict.lora.target_modules={list(lora.target_modules or ())}: {ending} is of the head, which is "
                "not adapted; leave it out"
            )
