"""The description of a training by the settings that decide its weights; it resumes only where this is unchanged."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

DECIDES_WEIGHTS = ("model", "loss", "penalties", "examples", "full_ranking")


def description(cfg: DictConfig, parts: Sequence[str] = DECIDES_WEIGHTS) -> dict[str, Any]:
    """The resolved parts that decide the weights: a training goes on only where they are the same."""
    return {part: OmegaConf.to_container(cfg[part], resolve=True) for part in parts if cfg[part] is not None}
