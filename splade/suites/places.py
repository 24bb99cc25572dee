"""The files of an evaluation set: a local folder first, else ir_datasets, which may download them.

A local folder is laid out as BEIR's are (``corpus.jsonl``, ``queries.jsonl``, ``qrels/SPLIT.tsv``), or as NanoBEIR's on
the hub (Parquet files in ``corpus/``, ``queries/`` and ``qrels/``).
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from splade.data.collections.collection import Collection, collection_state, file_state
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels, split_file
from splade.data.text_files.sources import PREFIX, NotDownloadedError, is_known
from splade.files import InputError
from splade.records import Qrels
from splade.suites.catalogue import CQADUPSTACK, MSMARCO, NANO, NANOBEIR, TREC_DL, EvaluationSet, near_names
from splade.suites.downloads import fetch
from splade.suites.hub_layout import hub_parts, is_hub_layout

logger = logging.getLogger(__name__)

CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")


class Parts(NamedTuple):
    """An opened set: documents, the queries of its split, its judgements, and what tells these from others."""

    documents: Collection
    queries: Collection
    qrels: Qrels
    stored_as: str  # the name of the index: of the set, or of the documents that it shares with others
    state: dict[str, Any]  # of the queries and judgements; the documents' is that of their collection


def parts_of(one: EvaluationSet, path: str | None, *, titles: str | None = None, alone: bool = True) -> Parts:
    """Open a set. ``path`` and ``alone`` are as for `folder_of`; ``titles`` stands in the place of the set's own.

    InputError where there is nothing to open, or no such split; NotDownloadedError where a download failed.
    """
    titles = titles or one.titles
    found = folder_of(one, path, alone=alone)
    if found is None:
        return _of_ir_datasets(one, path, titles)
    folder, index = found
    if is_hub_layout(folder):
        documents, queries, qrels, state = hub_parts(folder)
        return Parts(documents, queries, qrels, index, state)
    qrels_path = _qrels_file(one, folder)
    split = qrels_path.name.removesuffix(".gz").removesuffix(".tsv")
    queries = open_queries(folder, split=split)
    state = {"queries": collection_state(queries), "qrels": {"file": str(qrels_path), **file_state(qrels_path)}}
    return Parts(open_collection(folder, titles=titles), queries, read_qrels(qrels_path), index, state)


def folder_of(one: EvaluationSet, path: str | None, *, alone: bool = True) -> tuple[Path, str] | None:
    """The folder of a set at ``path``, and the name of its index; None where it has none.

    This is ``path/NAME``, or ``path`` itself where that holds a corpus and either ``alone`` is set, because no other
    set is asked for, or it is called as the set is.
    """
    if path is None:
        return None
    here, last = Path(path), one.name.rpartition("/")[2]
    folders = [here / name for name in _names(one, here)]
    if alone or here.name == last:
        folders.append(here)
    for folder in folders:
        if _holds_corpus(folder):
            return folder, one.name
    shared = here / str(one.documents)
    if one.documents == MSMARCO and one.name != MSMARCO and _holds_corpus(shared):
        return (shared, one.documents) if _has_split(shared, one.name) else None
    return None


def index_name(one: EvaluationSet, path: str | None, *, alone: bool = True) -> str:
    """The name of a set's index: its own, or that of the documents that it shares with others."""
    found = folder_of(one, path, alone=alone)
    return found[1] if found is not None else one.documents or one.name


def missing_sets(sets: Sequence[EvaluationSet], path: str | None, open_all: bool) -> dict[str, str]:
    """The sets that cannot be opened, by name, and why.

    With ``open_all`` those of ir_datasets are opened as well, whose files would have to be there; otherwise it is only
    asked whether the package knows them. Local folders are opened, and their queries and judgements read.
    """
    problems = {}
    for one in sets:
        problem = _problem(one, path, open_all, alone=len(sets) == 1)
        if problem is not None:
            problems[one.name] = problem
    return problems


def _local_names(path: str | None) -> list[str]:
    """The sets in the folder ``path``, by the names of their folders."""
    folders = sorted(Path(path).iterdir()) if path and Path(path).is_dir() else []
    return [folder.name for folder in folders if any((folder / name).is_file() for name in CORPUS)]


def _problem(one: EvaluationSet, path: str | None, open_all: bool, alone: bool) -> str | None:
    found = folder_of(one, path, alone=alone)
    try:
        if found is not None:
            parts_of(one, path, alone=alone)
        elif not any(map(is_known, _ids(one))):
            near = near_names(one.name, _local_names(path))
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            return f"no folder of this name in {path}, and no set that ir_datasets knows{hint}"
        elif open_all:
            parts = _of_ir_datasets(one, path, one.titles)
            next(iter(parts.documents))
    except InputError as error:
        return str(error)
    return None


def _names(one: EvaluationSet, here: Path) -> list[str]:
    """The folders, below a folder of sets, that a set may be in."""
    group, _, own = one.name.rpartition("/")
    if group == NANOBEIR:
        among = [f"{folder}/{name}" for folder in (NANOBEIR, "nano-beir", "NanoBEIR") for name in (own, NANO.get(own))]
        # The plain name may be that of the whole set, so it counts in a folder of NanoBEIR's only.
        return [*among, str(NANO.get(own)), *([own] if "nano" in here.name.lower() else [])]
    if group == CQADUPSTACK:
        return [one.name, own, f"{CQADUPSTACK}-{own}"]
    return [one.name]


def _qrels_file(one: EvaluationSet, folder: Path) -> Path:
    """The judgements of a local folder: those of the set's split, or of its name in a folder that sets share."""
    if one.name in TREC_DL and _has_split(folder, one.name):
        return split_file(folder, one.name)
    split = one.split
    if one.name.startswith(f"{NANOBEIR}/") and not _has_split(folder, split):
        return split_file(folder, None)  # a sample has one split, whatever it is called
    try:
        return split_file(folder, split)
    except InputError as error:
        raise InputError(f"+beir.split={split}: there are no such qrels: {error}") from error


def _has_split(folder: Path, split: str) -> bool:
    return any((folder / "qrels" / f"{split}.{end}").is_file() for end in ("tsv", "tsv.gz"))


def _holds_corpus(folder: Path) -> bool:
    return any((folder / file).is_file() for file in CORPUS) or is_hub_layout(folder)


def _ids(one: EvaluationSet) -> list[str]:
    return [f"{PREFIX}{identifier}" for identifier in one.irds]


def _of_ir_datasets(one: EvaluationSet, path: str | None, titles: str) -> Parts:
    logger.info("%s is not in %s; ir_datasets reads or downloads it", one.name, path)
    identifier = next(filter(is_known, _ids(one)), _ids(one)[-1])
    shared = None if one.irds_documents is None else f"{PREFIX}{one.irds_documents}"
    try:
        if one.archive is not None:
            fetch(identifier, *one.archive)
        documents = open_collection(shared or identifier, titles=titles)
        queries, qrels = open_queries(identifier), read_qrels(identifier)
    except NotDownloadedError as error:
        folder = Path(path or "data/beir") / one.name
        raise NotDownloadedError(
            f"{error}: put corpus.jsonl, queries.jsonl and qrels/{one.split}.tsv of BEIR's {one.name}, gzipped or not, "
            f"into {folder} and set +beir.dataset_path={path or 'data/beir'}"
        ) from error
    state: dict[str, Any] = {"queries": collection_state(queries), "qrels": identifier}
    return Parts(documents, queries, qrels, one.documents or one.name, state)
