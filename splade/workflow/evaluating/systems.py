"""Names that tell systems apart where their results stand in one table."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.workflow.engines import engine_settings

UNSAID = {"strategy": "auto", "analyzer": "english", "engine": None}  # settings that go without saying, by their value
SAID = ("k1", "b")  # settings that are said whatever their value


def system_of(cfg: DictConfig, engine: str, of: str | None = None) -> str:
    """``config.system_name``, or else the engine with the settings that are not its defaults, and whose vectors it has.

    ``engine`` is a name as `splade.workflow.engines.Chosen` has it. ``of`` names the vectors; None stands for the
    model of the config, and "" for an engine that weighs words itself.
    """
    if cfg.retrieve.system is not None:
        return str(cfg.retrieve.system)
    unsaid = {name: value for name, value in _shipped(cfg, engine).items() if name not in SAID} | UNSAID
    settings = engine_settings(cfg, engine)
    own = ", ".join(
        f"{name}={value}" for name, value in settings.items() if name != "engine" and value != unsaid.get(name)
    )
    return f"{engine}{f'({own})' if own else ''} {model_name(cfg) if of is None else of}".strip()


def _shipped(cfg: DictConfig, engine: str) -> dict[str, Any]:
    """The settings of an engine of the catalog as they are written there; none for one of the user's own."""
    node = cfg.catalog.engine.get(engine)
    return {} if not isinstance(node, DictConfig) else dict(OmegaConf.to_container(node))  # type: ignore[arg-type]


def model_name(cfg: DictConfig) -> str:
    """The model of the config as it was named: a checkpoint folder, or a published one."""
    of_training = cfg.checkpoint.dir
    return str(cfg.model.model_type_or_dir if cfg.checkpoint.pretrained else of_training)


def stored_system(cfg: DictConfig, facts: Mapping[str, Any]) -> str | None:
    """The name of the system that made a run: ``config.system_name``, or what its search wrote; None without either."""
    told = cfg.retrieve.get("system") or facts.get("search_stats", {}).get("system")
    return None if told is None else str(told)
