"""The model of a command: the one that it uses, and the one that a training starts from.

A folder of ours (``splade.json``) or of Sentence Transformers (``modules.json``) describes itself, and is loaded
as what it is, under a hub name too; :mod:`splade.workflow.model_settings` says what the config may change of it.
"""

import logging
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from splade.files import InputError
from splade.models import Dense, Retriever, Splade, SpladeBm25, SpladeTopK
from splade.models.backbones.loading import folder_of
from splade.models.saving.checkpoint import Description, description_of
from splade.models.saving.dense_folders import read_dense
from splade.models.saving.sentence_transformers import is_sparse_encoder, module_names
from splade.onnx.folder import is_onnx
from splade.workflow.exported.settings import exported_folder
from splade.workflow.model_settings import (
    ADDRESSES,
    AT_USE,
    FOR_TRAINING,
    MADE_OF,
    OF_THE_RECIPE,
    Asked,
    asked_of,
    is_named,
    lost_by,
    own_of,
    settle,
)

logger = logging.getLogger(__name__)

OURS, THEIRS = "splade.json", "modules.json"
NAME = "init_dict.model_type_or_dir"
KIND = ("config.matching_type", "hf.model.dense", "model._target_")


def retriever_from(cfg: DictConfig) -> Retriever:
    """The trained model of ``config.checkpoint_dir``, or the published one that ``init_dict`` names.

    ``config.pretrained_no_yamlconfig=true`` chooses the second. What a folder says of itself holds, but for lengths,
    prompts and ``init_dict.top_q`` that the user named; a difference is logged. InputError where there is no model,
    or where it is another kind, or was trained for other settings, than the user named.
    """
    refuse_exported(exported_folder(cfg))
    if not cfg.checkpoint.pretrained:
        asked = {key: setting for key, setting in asked_of(cfg).items() if key not in MADE_OF}
        return _used(cfg, _trained_folder(cfg), asked)
    folder = _described_source(cfg)
    if folder is None:
        model: Retriever = instantiate(cfg.model)
        return model
    return _used(cfg, folder, asked_of(cfg, always=() if is_named(cfg, NAME) else OF_THE_RECIPE))


def starting_model(cfg: DictConfig) -> Retriever:
    """The model that a training starts from: ``init_dict.model_type_or_dir`` with the settings of the config.

    A folder that describes itself goes on as what it is, its query side, tables and lexical weights included; settings
    that the user named are changed, and said. A SPLADE model may become another kind. InputError, naming each part and
    setting, where the named kind would lose what the folder has.
    """
    folder = _described_source(cfg)
    target = _target(cfg)
    if folder is None or target is None:
        model: Retriever = instantiate(cfg.model)
        return model
    described, recipe = description_of(folder), not is_named(cfg, NAME)
    kind = _starting_kind(cfg, described, folder, target, named=recipe or is_named(cfg, *KIND))
    asked = asked_of(cfg, always={*FOR_TRAINING, *(OF_THE_RECIPE if recipe else ())})
    if kind is not described.kind:  # what the new kind has and the folder has not
        asked = {
            key: setting if key in described.settings else setting._replace(counts=setting.given)
            for key, setting in asked.items()
        }
    return _made(cfg, folder, described, asked, kind=kind)


def as_trained(cfg: DictConfig, model: Retriever) -> DictConfig:
    """``cfg`` with what ``model``, which its training starts from, is: so that the saved config says so too."""
    target = _target(cfg)
    if _described_source(cfg) is None or target is None:
        return cfg
    settled, name = deepcopy(cfg), _catalog_name(cfg, type(model))
    if type(model) is not target and name is not None:
        for key in set(map(str, cfg.model)) - set(map(str, cfg.catalog.model[name])):
            if OmegaConf.select(settled, ADDRESSES.get(key, key)) is not None:
                OmegaConf.update(settled, ADDRESSES[key], None, force_add=True)
        OmegaConf.update(settled, "config.matching_type", name, force_add=True)
        if OmegaConf.select(settled, "hf.model.dense"):
            OmegaConf.update(settled, "hf.model.dense", False)
    own = Description(type(model), "", model.settings(), {})
    for key, (address, value, given, _) in asked_of(settled).items():
        if key not in (*MADE_OF, *FOR_TRAINING) and (given or key in own.settings) and own_of(own, key) != value:
            OmegaConf.update(settled, address, own_of(own, key), force_add=True)
    return settled


def teacher_from(cfg: DictConfig) -> Any:
    """The teacher of ``config.teacher``; one without a model of its own is the model that a training starts from."""
    if cfg.kinds.teacher != "retriever" or cfg.kinds.teaching_model != "own":
        return instantiate(cfg.teacher)
    settings = {name: value for name, value in cfg.teacher.items() if name != "model"}
    return instantiate({**settings, "_partial_": True})(starting_model(cfg))


def refuse_exported(folder: Path | None) -> None:
    """InputError for the folder of an exported model, where torch has to compute one; None passes."""
    if folder is not None:
        raise InputError(
            f"{folder}: a model as ONNX graphs, which encodes but is no model that torch could train or change. Name "
            "the folder that it was exported from"
        )


def _trained_folder(cfg: DictConfig) -> Path:
    folder = Path(cfg.checkpoint.dir) / "model"
    if not folder.is_dir():
        raise InputError(
            f"config.checkpoint_dir={cfg.checkpoint.dir}: there is no trained model in {folder}. Train one "
            "(python -m splade.train), or set config.pretrained_no_yamlconfig=true to use "
            "init_dict.model_type_or_dir as it is"
        )
    return folder


def _described_source(cfg: DictConfig) -> Path | None:
    """The folder that ``init_dict`` names, where it describes a model; None where the config does."""
    source = OmegaConf.select(cfg, "model.model_type_or_dir")
    if source is None:
        return None
    folder = folder_of(str(source))
    refuse_exported(folder if is_onnx(folder) else None)
    if (folder / OURS).is_file():
        return folder
    starts_anew = OmegaConf.select(cfg, "init_dict.head") in ("tied_identity", "new")  # a head is made, none is there
    if not (folder / THEIRS).is_file() or starts_anew:
        return None
    if cfg.checkpoint.pretrained or is_sparse_encoder(folder):
        return folder
    told = f"{folder}: of its modules ({module_names(folder)})"
    if issubclass(_target(cfg) or Retriever, Dense):
        try:
            read_dense(folder)
        except InputError as error:
            told = f"{error}. In this training"
        else:
            return folder
    logger.warning("%s the language model alone is taken; pooling, lengths and prompts are the config's", told)
    return None


def _used(cfg: DictConfig, folder: Path, asked: dict[str, Asked]) -> Retriever:
    """The model in ``folder`` as it describes itself, with the lengths, prompts and ``top_q`` that count."""
    described, target = description_of(folder), _target(cfg)
    if target is not None and not issubclass(described.kind, target) and is_named(cfg, *KIND):
        raise InputError(
            f"{_named_kind(cfg, target)}, but the model in {folder} is a {described.kind.__name__}. "
            f"{_remedy(folder, 'the matching_type it was trained with')}"
        )
    asked = {key: setting for key, setting in asked.items() if key not in FOR_TRAINING}
    return _made(cfg, folder, described, asked, kind=described.kind, changeable=AT_USE)


def _made(
    cfg: DictConfig, folder: Path, described: Description, asked: dict[str, Asked], *, kind: Any, changeable: Any = None
) -> Retriever:
    """The model of a described folder with the settings that count; what differs is said."""
    asked = _of_the_folder(cfg, described, asked)
    settled = settle(described, asked, kind=kind, changeable=changeable, remedy=_remedy(folder, "{instead}"))
    if _target(cfg) not in (kind, None):
        settled.unread.insert(0, f"a {kind.__name__} ({_kind(cfg)} is not read)")
    remark = "" if "normalize" in asked and asked["normalize"].counts else described.remark
    for sentence in filter(None, (settled.sentence(folder), remark)):
        logger.warning("%s", sentence)
    try:
        model: Retriever = kind(described.source, **settled.arguments)
    except ValueError as error:
        raise InputError(f"{folder}: {error}") from error
    return model


def _of_the_folder(cfg: DictConfig, described: Description, asked: dict[str, Asked]) -> dict[str, Asked]:
    """``asked`` with the name of the folder itself understood where it names a tokenizer or a query encoder."""
    source, found = str(cfg.model.model_type_or_dir), dict(asked)
    for key in ("tokenizer", "model_type_or_dir_q"):
        if key in found and str(found[key].value) == source:
            if key == "tokenizer" or key in described.settings:
                del found[key]
            else:
                found[key] = found[key]._replace(value=described.source)
    if issubclass(described.kind, SpladeBm25):
        for key in ("idf", "idf_floor"):
            if key in found and found[key].counts and "lexical" in described.settings:
                raise InputError(
                    f"{found[key].address}={found[key].value}, but the model in {described.source} has lexical weights "
                    f"that were learned; remove {found[key].address}, or give it others with splade.add_bm25"
                )
    return found


def _starting_kind(cfg: DictConfig, described: Description, folder: Path, target: Any, *, named: bool) -> Any:
    """The class that a training makes of the folder: the config's where nothing is lost, else the folder's."""
    kind, lost = described.kind, lost_by(described, target)
    if issubclass(kind, target) and not (lost and is_named(cfg, *KIND)):
        return kind
    if kind in (Splade, SpladeTopK) and not lost:
        logger.info("%s is a %s, and trained on as a %s", folder, kind.__name__, target.__name__)
        return target
    if named:
        told = f", and {', '.join(lost)} would be lost" if lost else ""
        own = _catalog_name(cfg, kind)
        raise InputError(
            f"{_named_kind(cfg, target)}, but the model in {folder} is a {kind.__name__}{told}. Go on from what it is"
            + (f" (config.matching_type={own})" if own else "")
            + f", or name a copy of the folder without {OURS} and {THEIRS}, to start from its document model alone"
        )
    return kind


def _target(cfg: DictConfig) -> type[Retriever] | None:
    """The class of retrievers that the config means; None where it names something else."""
    path = OmegaConf.select(cfg, "model._target_")
    found = get_object(path) if path else None
    return found if isinstance(found, type) and issubclass(found, Retriever) else None


def _kind(cfg: DictConfig) -> str:
    """The setting that says of which kind the config's model is."""
    return next((f"{each}={OmegaConf.select(cfg, each)}" for each in reversed(KIND) if is_named(cfg, each)), None) or (
        f"hf.model.dense={cfg.hf.model.dense}"
        if OmegaConf.select(cfg, "hf.model.dense")
        else f"config.matching_type={cfg.kinds.matching_type}"
    )


def _named_kind(cfg: DictConfig, target: type) -> str:
    return f"{_kind(cfg)} means {target.__module__}.{target.__qualname__}"


def _catalog_name(cfg: DictConfig, kind: type) -> str | None:
    """The name that ``config.matching_type`` has for a class."""
    for name, node in cfg.catalog.model.items():
        path = node.get("_target_") if isinstance(node, DictConfig) else node
        if path and get_object(str(path)) is kind:
            return str(name)
    return None


def _remedy(folder: Path, instead: str) -> str:
    saved = folder.parent / "config.yaml"
    known = f"Use its own config (SPLADE_CONFIG_FULLPATH={saved}), or set {instead}"
    return known if saved.is_file() else f"Set {instead}"
