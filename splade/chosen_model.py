"""Which model a command uses, and whether what the config says of it is what it is.

A folder of ours (``splade.json``) or of Sentence Transformers (``modules.json``) describes itself, and is loaded
as what it is. A setting of the config that says otherwise would not be read, so it is an error.
"""

import logging
from pathlib import Path
from typing import Any

from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from splade.files import InputError
from splade.models import SparseRetriever, load_retriever

logger = logging.getLogger(__name__)

OURS, THEIRS = "splade.json", "modules.json"
ADDRESSES = {
    "agg": "init_dict.agg",
    "activation": "init_dict.activation",
    "agg_q": "init_dict.agg_q",
    "activation_q": "init_dict.activation_q",
    "pool_special_tokens": "init_dict.pool_special_tokens",
    "pooling": "init_dict.pooling",
    "attention": "init_dict.attention",
    "lower_case": "init_dict.lower_case",
    "lexical_type": "init_dict.lexical_type",
    "top_d": "init_dict.top_d",
    "prompt_q": "hf.data.prompt_q",
    "prompt_d": "hf.data.prompt_d",
}
"""Settings that a folder fixes, and where a config may say something of them."""


def retriever_from(cfg: DictConfig) -> SparseRetriever:
    """The trained model of ``config.checkpoint_dir``, or the published one that ``init_dict`` names.

    ``config.pretrained_no_yamlconfig=true`` chooses the second. Lengths and ``init_dict.top_q`` are those of the
    config. InputError where there is no model, or where it is another kind than the config says.
    """
    if not cfg.checkpoint.pretrained:
        return _described(_trained_folder(cfg), cfg)
    source = Path(str(OmegaConf.select(cfg, "model.model_type_or_dir")))
    starts_anew = OmegaConf.select(cfg, "init_dict.head") in ("tied_identity", "new")  # a head is made, none is there
    if (source / OURS).is_file() or ((source / THEIRS).is_file() and not starts_anew):
        return _described(source, cfg)
    model: SparseRetriever = instantiate(cfg.model)
    return model


def _trained_folder(cfg: DictConfig) -> Path:
    folder = Path(cfg.checkpoint.dir) / "model"
    if not folder.is_dir():
        raise InputError(
            f"config.checkpoint_dir={cfg.checkpoint.dir}: there is no trained model in {folder}. Train one "
            "(python -m splade.train), or set config.pretrained_no_yamlconfig=true to use "
            "init_dict.model_type_or_dir as it is"
        )
    return folder


def _described(folder: Path, cfg: DictConfig) -> SparseRetriever:
    """The model in ``folder`` as it describes itself, with the config's lengths."""
    lengths = {}
    if cfg.encoder.max_length is not None:
        lengths = {"max_length": cfg.encoder.max_length, "max_length_q": cfg.encoder.max_length_q}
    model = load_retriever(folder, **lengths)
    _refuse_another_kind(folder, model, cfg)
    has = {"agg_q": model.settings().get("agg"), "activation_q": model.settings().get("activation"), "top_d": -1}
    has |= model.settings()
    for key, address in ADDRESSES.items():
        asked, is_ = OmegaConf.select(cfg, address), has.get(key)
        if asked is not None and asked != is_:
            raise InputError(
                f"{address}={asked}, but the model in {folder} has {key}={is_}, and that cannot be changed "
                f"afterwards. {_remedy(folder, f'{address}={is_}')}"
            )
    top_q = OmegaConf.select(cfg, "init_dict.top_q")
    if top_q is not None and top_q != has.get("top_q", -1):
        if not model.is_sparse:
            raise InputError(f"init_dict.top_q={top_q}, but the model in {folder} is dense: remove it")
        model = load_retriever(folder, top_q=top_q, **lengths)
        logger.info("queries keep their %d largest weights, as init_dict.top_q says", top_q)
    return model


def _refuse_another_kind(folder: Path, model: SparseRetriever, cfg: DictConfig) -> None:
    asked = OmegaConf.select(cfg, "config.matching_type")
    target: Any = OmegaConf.select(cfg, "model._target_")
    if asked is not None and target is not None and not isinstance(model, get_class(target)):
        raise InputError(
            f"config.matching_type={asked} means {target}, but the model in {folder} is a {type(model).__name__}. "
            f"{_remedy(folder, 'the matching_type it was trained with')}"
        )


def _remedy(folder: Path, instead: str) -> str:
    saved = folder.parent / "config.yaml"
    known = f"Use its own config (SPLADE_CONFIG_FULLPATH={saved}), or set {instead}"
    return known if saved.is_file() else f"Set {instead}"
