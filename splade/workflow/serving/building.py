"""The systems of a server: models and indexes of the config, opened. This module starts without torch."""

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from splade import __version__
from splade.data.collections.collection import Collection, collection_state
from splade.data.collections.opening import open_collection
from splade.encoding.protocol import TextEncoder
from splade.engines import Opened, Queries
from splade.engines.folders import engines_in
from splade.engines.places.secrets import secret
from splade.files import InputError
from splade.records import SparseBatch
from splade.serving.limits import Limits, is_loopback
from splade.serving.metrics import Metrics
from splade.serving.serving import About, Serving
from splade.serving.sides import Sides
from splade.serving.system import Asking, Parts, System, folder_state
from splade.workflow.engines import Chosen, FromModel, chosen_engine, named_engine
from splade.workflow.evaluating.systems import model_name
from splade.workflow.exported.settings import exported_folder
from splade.workflow.searching import pruned_queries

logger = logging.getLogger(__name__)

KEY = "SPLADE_API_KEY"
COLLECTION = "data.COLLECTION_PATH"
OWN = "default"


def serving_from(cfg: DictConfig) -> Serving:
    """The server of a config, its indexes open and its models loaded; InputError for what cannot be served."""
    chosen = cfg.serving
    limits = Limits(**{name: chosen.limits[name] for name in Limits._fields if name in chosen.limits}).checked()
    metrics = Metrics()
    systems = {OWN: system_from(cfg, OWN, limits, metrics)}
    for name, changed in configs_beside(cfg):
        systems[name] = system_from(changed, name, limits, metrics)
    first = systems[OWN]
    metrics.gauge("te_queue_size", lambda: first.sides.batcher.n_waiting if first.sides else 0)
    if first.standing is not None:
        metrics.gauge("te_index_generation", lambda: first.standing.generation if first.standing else 0)
        metrics.gauge("te_index_docs", lambda: first.standing.opened.n_docs if first.standing else 0)
    name = str(chosen.name or model_name(cfg))
    key = key_of(cfg)
    local = key is None and is_loopback(chosen.host)
    about = About(model_name(cfg), name, __version__, key, local)
    searchers = ThreadPoolExecutor(int(chosen.search_threads or os.cpu_count() or 1), "searches")
    return Serving(systems, limits, metrics, about, searchers, float(cfg.search.threshold))


def key_of(cfg: DictConfig) -> str | None:
    """The key that requests must bring; None where they need none."""
    return secret(KEY, cfg.serving.api_key_file)


def system_from(cfg: DictConfig, name: str, limits: Limits, metrics: Metrics) -> System:
    """The model and the index of a config; `splade.serving.system.System` says how the index is taken over."""
    folder = Path(cfg.index.dir)
    if not cfg.serving.search:
        source = FromModel(cfg)
        return System(name, _sides(cfg, source, limits, metrics), kind=source.kind)
    nothing = InputError(
        f"config.index_dir={folder}: there is no index to serve. Make one (python -m splade.index), or serve vectors "
        "alone with serve.search=false"
    )
    if not engines_in(folder) and named_engine(cfg) is None:  # before a model is loaded for it
        raise nothing
    chosen = chosen_engine(cfg, folder)
    if not chosen.at(folder).exists():
        raise nothing
    sides = None if chosen.source.kind == "texts" else _sides(cfg, chosen.source, limits, metrics)

    def parts() -> Parts:
        opened = chosen.at(folder).open()
        return Parts(opened, _asking(chosen, opened, cfg), texts_of(cfg, opened))

    return System(
        name, sides, parts, lambda: folder_state(folder), kind=chosen.source.kind, engine=chosen.name, place=folder
    )


def _sides(cfg: DictConfig, source: Any, limits: Limits, metrics: Metrics) -> Sides:
    """The encoders of a model, loaded now, but for the document side of one whose queries are looked up in a table."""

    def load(side: str) -> TextEncoder:
        if exported_folder(cfg) is None and (side == "document" or source.table is None):
            from splade.models.backbones.loading import folder_of  # here: graphs and tables of queries need no torch

            named = model_name(cfg) if cfg.checkpoint.pretrained else Path(cfg.checkpoint.dir) / "model"
            refuse_pickles(folder_of(named))
            instantiate(cfg.gpu)
        encoder: TextEncoder = source.encoder(side)
        return encoder

    sides = Sides(load, limits, metrics)
    for side in ("query", "document") if source.table is None else ("query",):
        sides.warm(side)
    return sides


def refuse_pickles(folder: Path) -> None:
    """InputError for a model whose weights are a pickle, which may run code as it is opened."""
    for part in (folder, *(path for path in folder.glob("*/") if path.is_dir())):
        pickled = sorted(part.glob("pytorch_model*.bin")) + sorted(part.glob("adapter_model.bin"))
        if pickled and not any(part.glob("*.safetensors")):
            raise InputError(
                f"{part}: its weights are a pickle ({pickled[0].name}), and a server opens none. Save it as "
                "safetensors: load_retriever(FOLDER) and save_retriever(MODEL, NEW_FOLDER) of splade.models"
            )


class Pruned:
    """Queries in the terms of an index, with the heaviest of their terms that the config keeps."""

    def __init__(self, asking: Asking, cfg: DictConfig) -> None:
        self._asking, self._settings, self.fingerprint = asking, cfg.search, asking.fingerprint

    def in_terms(self, batch: SparseBatch) -> Queries:
        """``batch`` in the terms of the index, pruned."""
        return pruned_queries(self._asking.in_terms(batch), self._settings)[0]


def _asking(chosen: Chosen, opened: Opened, cfg: DictConfig) -> Asking | None:
    if chosen.source.kind == "texts":
        return None
    return Pruned(chosen.source.queries(opened, cfg.search.force), cfg)  # type: ignore[arg-type]


def texts_of(cfg: DictConfig, opened: Opened) -> Collection | None:
    """The documents' texts: of the collection that the user named, or that the index was made of, if it is the same."""
    named = COLLECTION in cfg.named
    source = cfg.index.collection if named else opened.metadata.get("collection")
    if source is None:
        return None
    try:
        collection = open_collection(source)
        state = collection_state(collection)
        if not named and any(opened.metadata.get(key) not in (None, value) for key, value in state.items()):
            raise InputError(f"{source} has changed since it was indexed")
        len(collection)
    except (InputError, OSError) as error:
        logger.warning("hits have no texts: %s", error)
        return None
    return collection


def configs_beside(cfg: DictConfig) -> Iterator[tuple[str, DictConfig]]:
    """The other systems of ``serve.others`` by name, each the config with its own folders."""
    others: Any = OmegaConf.to_container(cfg.serving, resolve=True)
    for name, own in (others["others"] or {}).items():
        if not isinstance(own, dict) or not own or not set(own) <= {"checkpoint_dir", "index_dir"} or name == OWN:
            raise InputError(
                f"serve.others.{name}={own}: give checkpoint_dir and index_dir, {{checkpoint_dir: DIR, index_dir: DIR}}"
                f", and a name other than {OWN}"
            )
        changed = deepcopy(cfg)
        OmegaConf.set_struct(changed, False)
        if "checkpoint_dir" in own:
            OmegaConf.update(changed, "checkpoint", {"dir": own["checkpoint_dir"], "pretrained": False})
        if "index_dir" in own:
            OmegaConf.update(changed, "index.dir", own["index_dir"])
        yield str(name), changed
