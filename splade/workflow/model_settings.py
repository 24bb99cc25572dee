"""Reconciling a config's settings for a model with those that the model's own folder records.

A folder's own settings hold. A setting of the config counts where the user named it; one that a shipped config has for
the model that it names itself counts only for that model. Every difference is said.
"""

import inspect
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from splade.files import InputError
from splade.models import Retriever
from splade.models.saving.checkpoint import Description

ADDRESSES = {
    **{
        name: f"init_dict.{name}"
        for name in (
            "agg", "activation", "agg_q", "activation_q", "pool_special_tokens", "pooling", "normalize", "attention",
            "lower_case", "lexical_type", "top_d", "top_q", "k1", "b", "mean_length", "expansion", "idf", "idf_floor",
            "train_idf", "model_type_or_dir_q", "freeze_d_model", "head", "head_bias", "lora",
        )
    },
    "max_length": "config.max_length",
    "max_length_q": "config.max_length_q",
    "prompt_q": "hf.data.prompt_q",
    "prompt_d": "hf.data.prompt_d",
    "tokenizer": "config.tokenizer_type",
}  # fmt: skip
"""Where a config says something of a model, by the argument of its constructor."""

MADE_OF = ("model_type_or_dir_q", "tokenizer", "idf", "idf_floor")
"""What a model is made of; a trained model has it in its folder."""
FOR_TRAINING = ("freeze_d_model", "head", "head_bias", "lora", "train_idf")
"""What changes no vector of a trained model."""
AT_USE = ("max_length", "max_length_q", "prompt_q", "prompt_d", "normalize", "top_q", "expansion", *MADE_OF)
"""What may be another when a trained model is used; the other settings decide what its weights were trained for."""
OF_THE_RECIPE = ("max_length", "max_length_q", *MADE_OF, *FOR_TRAINING)
"""What a shipped config says of the model that it names itself."""


class Asked(NamedTuple):
    """One setting of a model, as the config has it."""

    address: str
    value: Any
    given: bool  # it stands in the config, and is no default of the wiring
    counts: bool


class Settled(NamedTuple):
    """The arguments that make a model of a folder, and what is to be said of the config's."""

    arguments: dict[str, Any]
    changed: list[str]  # settings of the folder that the config's stand in the place of
    unread: list[str]  # settings of the config that are not read

    def sentence(self, folder: Path) -> str:
        """Both in one line; empty where there is no difference."""
        parts = [f"{', '.join(self.changed)}"] if self.changed else []
        if self.unread:
            parts.append(
                f"{', '.join(self.unread)}; what is named on the command line, or in a config of yours, is read"
            )
        return f"{folder} describes itself: {'; '.join(parts)}" if parts else ""


def asked_of(cfg: DictConfig, *, always: Collection[str] = ()) -> dict[str, Asked]:
    """The settings of ``cfg.model`` by argument; those ``always`` count where the config has them at all."""
    found = {}
    for key in map(str, cfg.model):
        if key.startswith("_") or key == "model_type_or_dir":
            continue
        address = ADDRESSES.get(key, f"model.{key}")
        node, value = "model", cfg.model[key]
        if f"encoder.{key}" in cfg.named:
            node, value = "encoder", cfg.encoder[key]
        own = f"{node}.{key}"
        patched = is_named(cfg, own)
        given = patched or OmegaConf.select(cfg, address) is not None
        counts = patched or is_named(cfg, address) or (given and key in always)
        value = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        found[key] = Asked(own if patched else address, value, given, counts)
    return found


def is_named(cfg: DictConfig, *addresses: str) -> bool:
    """True where the user named one of the settings ``addresses``, or something below one."""
    return any(f"{name}.".startswith(f"{address}.") for name in cfg.named for address in addresses)


def own_of(described: Description, key: str, kind: type[Retriever] | None = None) -> Any:
    """The value of a setting that the folder has; the default of its kind, or of ``kind``, where it says nothing."""
    settings = described.settings
    if settings.get(key) is None and key in ("agg_q", "activation_q", "max_length_q"):
        return settings.get(key.removesuffix("_q"))
    return settings[key] if key in settings else defaults_of(kind or described.kind).get(key)


def settle(
    described: Description,
    asked: Mapping[str, Asked],
    *,
    kind: type[Retriever],
    changeable: Collection[str] | None = None,
    remedy: str = "",
) -> Settled:
    """Combine the settings of a described folder with those of a config, for a model of ``kind``.

    InputError for settings that count and that ``kind`` does not take, or that are not ``changeable`` (None: all are).
    """
    accepted, arguments = defaults_of(kind), dict(described.settings)
    changed, unread = [], []
    for key, (address, value, given, counts) in asked.items():
        own = own_of(described, key, kind)
        if _same(own, value) or value is None or not given:
            continue
        if not counts:
            unread += [f"{key}={own} ({address}={value} is not read)"] if key in accepted else []
            continue
        if key not in accepted:
            raise InputError(f"{address}={value}: the model is a {kind.__name__}, which has no {key}; remove {address}")
        if changeable is not None and key not in changeable:
            raise InputError(
                f"{address}={value}, but the model in {described.source} has {key}={own}, and that cannot be changed "
                f"afterwards. {remedy.format(instead=f'{address}={own}')}"
            )
        arguments[key] = value
        changed.append(f"{address}={value} in place of {own}" if own is not None else f"{address}={value}")
    if "max_length" in arguments and own_of(described, "max_length_q") == own_of(described, "max_length"):
        named = asked.get("max_length_q")
        if not (named and named.counts and named.value is not None):
            arguments["max_length_q"] = arguments["max_length"]
    return Settled({key: value for key, value in arguments.items() if key in accepted}, changed, unread)


def defaults_of(kind: type) -> dict[str, Any]:
    """The keyword arguments of a constructor with their defaults, and those that it passes on to its parents."""
    found: dict[str, Any] = {}
    for each in kind.__mro__:
        parameters = inspect.signature(each).parameters.values() if each is not object else []
        for parameter in parameters:
            if parameter.kind is parameter.KEYWORD_ONLY:
                found.setdefault(parameter.name, None if parameter.default is parameter.empty else parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def lost_by(described: Description, kind: type[Retriever]) -> list[str]:
    """Settings and parts of the folder that a model of ``kind`` would not have, in words."""
    accepted, defaults = defaults_of(kind), defaults_of(described.kind)
    return [
        f"{key}={value}"
        for key, value in described.settings.items()
        if key not in accepted and key not in FOR_TRAINING and not _same(value, defaults.get(key))
    ]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Path) or isinstance(other, Path):
        return one is not None and other is not None and Path(one) == Path(other)
    return bool(one == other) or (not one and not other)
