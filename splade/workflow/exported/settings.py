"""The model that a config names, where it is one that was exported as ONNX graphs, and the settings that it takes."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.files import InputError
from splade.onnx.folder import OnnxModel, is_onnx

logger = logging.getLogger(__name__)

READ = {
    "config.max_length": "max_length",
    "config.max_length_q": "max_length_q",
    "hf.data.prompt_q": "prompt_q",
    "init_dict.top_q": "top_q",
}
"""Settings that count for an exported model where the user named them."""
OF_THE_MODEL = ("init_dict.", "hf.data.prompt_d", "hf.model.", "config.matching_type", "config.tokenizer_type")
"""How the addresses begin that say what a model is made of: an export has that in its graphs."""
OF_TORCH = ("init_dict.fp16", "init_dict.bf16", "config.int8", "config.compile")
"""Ways in which torch computes."""
NAME = "init_dict.model_type_or_dir"


def exported_from(cfg: DictConfig) -> OnnxModel | None:
    """The exported model that ``config.checkpoint_dir`` is, or the published one's folder; None for any other model.

    InputError where the user named a setting that its graphs were not made with.
    """
    folder = exported_folder(cfg)
    if folder is None:
        return None
    model = OnnxModel(folder)
    for address in OF_TORCH:
        if address in cfg.named and OmegaConf.select(cfg, address):
            logger.warning("%s is not read: %s computes in what it was exported in (export.int8)", address, folder)
    _refuse_others(cfg, folder, model.settings)
    named = {key: OmegaConf.select(cfg, address) for address, key in READ.items() if address in cfg.named}
    return OnnxModel(folder, {key: value for key, value in named.items() if value is not None})


def exported_folder(cfg: DictConfig) -> Path | None:
    """The folder of the config's model where it is an export; None where it is not."""
    source = source_of(cfg)
    folder = Path(source).expanduser()
    return folder if source and folder.is_dir() and is_onnx(folder) else None


def source_of(cfg: DictConfig) -> str:
    """The folder or name of the config's model; "" where it names none."""
    source = OmegaConf.select(cfg, "model.model_type_or_dir") if cfg.checkpoint.pretrained else cfg.checkpoint.dir
    return str(source or "")


def _refuse_others(cfg: DictConfig, folder: Path, settings: Mapping[str, Any]) -> None:
    for address in cfg.named:
        if address in (*READ, *OF_TORCH, NAME) or not address.startswith(OF_THE_MODEL):
            continue
        value, own = OmegaConf.select(cfg, address), settings.get(address.rpartition(".")[2])
        if value is not None and value != own:
            raise InputError(
                f"{address}={value}: the graphs in {folder} were made with {own}, and cannot be changed. Remove "
                f"{address}, or export the model again with it"
            )
