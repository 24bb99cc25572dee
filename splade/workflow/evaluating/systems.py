"""Names that tell systems apart where their results stand in one table."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from splade.workflow.engines import engine_settings

UNSAID = {  # settings that go without saying, by their value
    "strategy": "auto",
    "analyzer": "english",
    "engine": None,
    "algorithm": "auto",
    "consistency": "Strong",
    "datatype": "float32",
    "drop_ratio_search": 0,
    "full_scan_threshold": 0,
    "on_disk": False,
}


def system_of(cfg: DictConfig, engine: str, of: str | None = None) -> str:
    """``config.system_name``, or else the engine with its own settings, and what its vectors are of.

    ``engine`` is a name as `splade.workflow.engines.Chosen` has it. ``of`` names the vectors; None stands for the
    model of the config, and "" for an engine that weighs words itself.
    """
    if cfg.retrieve.system is not None:
        return str(cfg.retrieve.system)
    settings = engine_settings(cfg, engine)
    own = ", ".join(
        f"{name}={value}" for name, value in settings.items() if name != "engine" and value != UNSAID.get(name)
    )
    return f"{engine}{f'({own})' if own else ''} {model_name(cfg) if of is None else of}".strip()


def model_name(cfg: DictConfig) -> str:
    """The model of the config as it was named: a checkpoint folder, or a published one."""
    of_training = cfg.checkpoint.dir
    return str(cfg.model.model_type_or_dir if cfg.checkpoint.pretrained else of_training)


def stored_system(cfg: DictConfig, facts: Mapping[str, Any]) -> str | None:
    """The name of the system that made a run: ``config.system_name``, or what its search wrote; None without either."""
    told = cfg.retrieve.get("system") or facts.get("search_stats", {}).get("system")
    return None if told is None else str(told)
