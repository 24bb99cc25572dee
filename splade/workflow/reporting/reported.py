"""An experiment's config, index, texts and vectors, found from its result folders, for a report."""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from splade.config import configure
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.engines.folders import engines_in
from splade.expectations import Row
from splade.files import InputError
from splade.indexing import Index, InvertedIndex
from splade.records import Qrels
from splade.reports.experiment import Postings, result_folders
from splade.reports.postings import postings_of, stored_postings
from splade.results import Result
from splade.suites import folder_of, index_name, parts_of
from splade.suites.catalogue import set_of

logger = logging.getLogger(__name__)

CHECKPOINT, INDEX, CONFIG = "config.checkpoint_dir", "config.index_dir", "config.yaml"
ENGINE, PRETRAINED = "config.engine", "config.pretrained_no_yamlconfig"


class Known(NamedTuple):
    """The settings that an experiment is known by: those that the user named, then those of its saved config."""

    cfg: DictConfig
    saved: DictConfig | None
    file: Path | None  # the saved config
    out_dir: Path

    def value(self, address: str) -> Any:
        """The value at ``address``; None where neither says it."""
        if address in self.cfg.named:
            return OmegaConf.select(self.cfg, address)
        return None if self.saved is None else OmegaConf.select(self.saved, address, throw_on_missing=False)

    def folder(self, address: str, beside: str) -> Path | None:
        """The folder at ``address``, or the one called ``beside`` next to the results; None where there is none."""
        said = self.value(address)
        for folder in ([] if said is None else [Path(said)]) + [self.out_dir.parent / beside]:
            if folder.is_dir():
                return folder
        return None

    def training(self) -> tuple[Path | None, str]:
        """The folder of the training that the results rest on; None, and why, where they rest on none."""
        for address, word in ((ENGINE, "bm25"), (PRETRAINED, "True")):
            if CHECKPOINT not in self.cfg.named and str(self.value(address)) == word:
                return None, f"Nothing was trained for these results ({address}={word.lower()})."
        folder = self.folder(CHECKPOINT, "checkpoint")
        said = "" if folder else f"The folder of the training is not known. Name it with {CHECKPOINT}=FOLDER."
        return folder, said


def known_of(cfg: DictConfig, out_dir: Path, folder: Path | None = None) -> Known:
    """Everything that is known of the experiment in ``out_dir``, or of the one result in ``folder`` below it.

    The saved config is looked for in the results' folders, in ``out_dir``, beside it, and in the training's folder.
    """
    places = [*(result_folders(out_dir) if folder is None else [folder])]
    places += [out_dir, out_dir.parent, out_dir.parent / "checkpoint"]
    if CHECKPOINT in cfg.named:
        places.append(Path(OmegaConf.select(cfg, CHECKPOINT)))
    for place in places:
        if (place / CONFIG).is_file():
            return Known(cfg, _saved(place / CONFIG), place / CONFIG, out_dir)
    return Known(cfg, None, None, out_dir)


def _saved(file: Path) -> DictConfig | None:
    try:
        return configure("report", env={"SPLADE_CONFIG_FULLPATH": str(file)})
    except InputError as error:
        logger.warning("%s cannot be used by this version, and only its text is shown: %s", file, error)
        return None


class Sources(NamedTuple):
    """The places of a result's queries, documents and judgements; None for what is not known."""

    queries: Callable[[], Any] | None
    documents: Callable[[], Any] | None
    qrels: Callable[[], Qrels] | None
    index_dir: Path | None


def sources_of(result: Result, known: Known) -> Sources:
    """The sources of one result: those of its query set in ``known``, or of its BEIR folder."""
    name, index, judged = result.dataset, known.folder(INDEX, "index"), result.fact("qrels")
    one, path = set_of(name, result.fact("split")), known.value("beir.dataset_path")
    if index is not None and (index / "beir" / index_name(one, path)).is_dir():
        index = index / "beir" / index_name(one, path)
    sets = list(known.value("config.retrieval_name") or [])
    if name in sets:
        asked, collection = known.value("data.Q_COLLECTION_PATH"), known.value("data.COLLECTION_PATH")
        queries, judged = _entry(asked, sets, name), judged or _entry(known.value("data.EVAL_QREL_PATH"), sets, name)
        return Sources(
            (lambda: open_queries(queries)) if queries else None,
            (lambda: open_collection(collection)) if collection else None,
            (lambda: read_qrels(judged)) if judged else None,
            index,
        )
    if folder_of(one, path) is None:  # of a set that is not here, nothing is downloaded
        return Sources(None, None, (lambda: read_qrels(judged)) if judged else None, index)
    parts = cache(lambda: parts_of(one, path, titles=result.fact("conventions.titles")))
    qrels = (lambda: read_qrels(judged)) if judged else lambda: parts().qrels
    return Sources(lambda: parts().queries, lambda: parts().documents, qrels, index)


def _entry(values: Any, sets: Sequence[str], name: str) -> str | None:
    """The entry of the set ``name`` in a list with one for each set."""
    listed = list(values or [])
    return None if len(listed) != len(sets) or listed[sets.index(name)] is None else str(listed[sets.index(name)])


def index_of(folder: Path | None) -> Index:
    """The inverted index in ``folder``; InputError, with the reason, where there is none."""
    if folder is None:
        raise InputError("The index is not at hand. Name its folder with config.index_dir=FOLDER")
    if engines_in(folder) == ["dense"]:
        raise InputError(f"{folder} holds dense vectors, which have no terms and no posting lists")
    return InvertedIndex.open(folder, verify=False)


def all_postings(results: Sequence[Result], known: Known, missing: dict[str, str]) -> list[Postings]:
    """The posting lists of the indexes that ``results`` are of, each once; ``missing`` says which have none."""
    folders = [sources_of(one, known).index_dir for one in results] or [known.folder(INDEX, "index")]
    found = []
    for folder in dict.fromkeys(folders):
        try:
            found.append(postings_of(index_of(folder), folder or Path()))
        except InputError as error:
            stored = None if folder is None else folder / "index_dist.json"
            if stored is not None and stored.is_file():
                found.append(stored_postings(stored))
            else:
                missing[f"postings {folder}"] = f"{error}".rstrip(".") + "."
    return found


def own_rows(known: Known, rows: Sequence[Row], named: Sequence[str]) -> list[str]:
    """The names of the rows of this experiment's model: those that the user named, and those with the model's name."""
    model = known.value("init_dict.model_type_or_dir") if known.value(PRETRAINED) else None
    return [row.name for row in rows if row.name in named or (model is not None and row.model == str(model))]
