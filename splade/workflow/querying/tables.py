"""The query table of a command's model, where its folder has one. This module starts without torch."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from splade.encoding.tables import Table, TableEncoder, table_in

QUERIES = {"config.max_length": "max_length", "config.max_length_q": "max_length_q", "init_dict.top_q": "top_q"}
"""Settings of a model that its queries may be looked up with, whatever they are."""
MODEL = ("init_dict.", "hf.data.prompt", "hf.model.", "model.", "encoder.", "config.matching_type", "config.int8")
"""How the addresses begin that say something of a model."""
NOT_OF_THE_FOLDER = ("init_dict.model_type_or_dir", "init_dict.fp16", "init_dict.bf16", "init_dict.lora")
"""Those of them that change no vector of a query that is looked up."""


def table_from(cfg: DictConfig) -> TableEncoder | None:
    """Look the queries of the config's model up in its table; None where that takes the model itself.

    It does where the folder has no table, or no fingerprint of its documents' side beside it, and where the user
    named another setting than the folder has, which the model has to judge.
    """
    folder = _folder(cfg)
    table = table_in(folder) if folder is not None else None
    if table is None or any(_is_another(cfg, table, address) for address in cfg.named):
        return None
    told = {name: _named(cfg, address) for address, name in QUERIES.items()}
    length = told["max_length_q"]
    if length is None and table.settings.get("max_length_q") in (None, table.settings.get("max_length")):
        length = told["max_length"]
    return TableEncoder(table, max_length=length, top=told["top_q"])


def _folder(cfg: DictConfig) -> Path | None:
    """The folder of the config's model; None where it is a name on a hub, which is loaded as a model."""
    named = OmegaConf.select(cfg, "model.model_type_or_dir")
    folder = Path(str(named)) if cfg.checkpoint.pretrained else Path(cfg.checkpoint.dir) / "model"
    return folder if folder.is_dir() else None


def _named(cfg: DictConfig, address: str) -> int | None:
    value = OmegaConf.select(cfg, address) if address in cfg.named else None
    return None if value is None else int(value)


def _is_another(cfg: DictConfig, table: Table, address: str) -> bool:
    """True where the user's value at ``address`` speaks of the model, and is not the folder's."""
    if address in QUERIES or not address.startswith(MODEL) or address.startswith(NOT_OF_THE_FOLDER):
        return False
    value = OmegaConf.select(cfg, address)
    return value is not None and table.settings.get(address.rpartition(".")[2]) != value
