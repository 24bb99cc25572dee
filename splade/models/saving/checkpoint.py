"""Model folders: written by us, plain masked language models, and those of Sentence Transformers.

A folder of ours holds the document model and the tokenizer at its root, where any program finds a
plain masked language model. A query side of its own is in a folder below it. ``splade.json`` says how the
vectors are made of them. Where Sentence Transformers can make the same vectors, the folder has its files too and is
a ``SparseEncoder``.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from splade.batches import stand_in
from splade.files import InputError, read_json, whole_folder, write_json
from splade.models.backbones.loading import folder_of, has_tokenizer
from splade.models.encoders.own_tokens import TokenBag
from splade.models.encoders.token_tables import IDF
from splade.models.retrievers.base import Retriever
from splade.models.retrievers.bm25 import SpladeBm25
from splade.models.retrievers.dense import Dense
from splade.models.retrievers.inference_free import SpladeDoc, SpladeIdf, SpladeTable
from splade.models.retrievers.mlp_queries import SpladeMlp
from splade.models.retrievers.sparse import SparseRetriever
from splade.models.retrievers.splade import Splade, SpladeLexical, SpladeTopK
from splade.models.saving.dense_folders import read_dense
from splade.models.saving.modules_json import MODULES
from splade.models.saving.sentence_transformers import is_sparse_encoder, read_sparse_encoder, remark_on
from splade.models.saving.sparse_encoder_files import obstacle, save_token_table, write_sparse_encoder

logger = logging.getLogger(__name__)

DESCRIPTION = "splade.json"
FORMAT_VERSION = 1
KINDS: dict[str, type[Retriever]] = {
    kind.__name__: kind
    for kind in (Splade, SpladeDoc, SpladeIdf, SpladeTable, SpladeMlp, SpladeLexical, SpladeTopK, SpladeBm25, Dense)
}


def save_retriever(model: Retriever, folder: str | Path, *, extra: Mapping[str, Any] | None = None) -> None:
    """Write ``model`` to ``folder``, which appears whole or not at all and replaces an older model.

    ``extra`` holds JSON values to keep beside the weights (the training step), on top of those that the model came
    with; they come back as ``.extra``. A model that keeps more than its sides and its settings writes itself: one with
    a method ``save_pretrained(folder, extra=…)`` is asked to. Raises InputError where the folder holds something else
    than a model of ours.
    """
    own: Any = getattr(model, "save_pretrained", None)
    if own is not None:
        own(folder, extra=extra)
        return
    folder = Path(folder)
    check_replaceable(folder)
    unsaid = obstacle(model)
    with whole_folder(folder) as temporary:
        model._document.save(temporary)
        model.tokenizer("document").save_pretrained(temporary)
        _save_query_side(model, temporary)
        for name in model.folders:
            getattr(model, name).save(temporary / name)
        if isinstance(model, SparseRetriever) and not unsaid:
            write_sparse_encoder(model, temporary)
        description = {
            "format_version": FORMAT_VERSION,
            "kind": _name(type(model)),
            "sides": {"document": "model", "query": _query_side(model)},
            "vocab_size": model.vocab_size,
            "settings": model.settings(),
            "sentence_transformers": unsaid or "the same vectors",
            "extra": {**model.extra, **(extra or {})},
            **_query_table(model),
        }
        write_json(temporary / DESCRIPTION, description)


def check_replaceable(folder: Path, description: str = DESCRIPTION) -> None:
    """InputError where ``folder`` holds something else than a model with the file ``description``."""
    if folder.exists() and not (folder.is_dir() and ((folder / description).is_file() or not any(folder.iterdir()))):
        raise InputError(f"{folder}: holds files that are not a model saved here; choose an empty or a new folder")


def load_retriever(path: str | Path, **overrides: Any) -> Retriever:
    """The retriever of a folder or hub name, in evaluation mode on the CPU.

    Folders of ours are rebuilt as they were saved; those of Sentence Transformers are read with their pooling, length
    and prompts, a ``SparseEncoder`` with its activation and Router, a dense ``SentenceTransformer`` with its unit
    length; a masked language model with an ``idf.json`` becomes a :class:`SpladeIdf`, any other a :class:`Splade`, with
    default settings. ``overrides`` replace keyword arguments of the constructor.
    A class from outside this package must have been imported before its folder is loaded.
    Raises InputError where the folder cannot be used.
    """
    described = description_of(path)
    if described.remark and "normalize" not in overrides:
        logger.warning("%s", described.remark)
    model = described.kind(described.source, **{**described.settings, **overrides})  # type: ignore[arg-type]
    model.extra = described.extra
    return model


class Description(NamedTuple):
    """The parts of a saved retriever: its class, the first and the other arguments, and the values saved beside.

    ``remark``: a sentence for the user on how its vectors are compared, where the folder leaves that to be said.
    """

    kind: type[Retriever]
    source: str | Path
    settings: dict[str, Any]
    extra: dict[str, Any]
    remark: str = ""


def description_of(path: str | Path) -> Description:
    """Describe how the retriever of a folder or hub name is made; InputError where its description is unknown here."""
    folder, remark = folder_of(path), ""
    if (folder / DESCRIPTION).is_file():
        kind, settings, extra = _read_description(folder)
    elif (folder / MODULES).is_file() and is_sparse_encoder(folder):
        name, settings = read_sparse_encoder(folder)
        kind, extra, remark = KINDS[name], {}, remark_on(folder)
    elif (folder / MODULES).is_file():
        settings, remark = read_dense(folder)
        kind, extra = Dense, {}
    elif (folder / IDF).is_file():
        kind, settings, extra = SpladeIdf, {"idf": folder / IDF}, {}
    else:
        kind, settings, extra = Splade, {}, {}
    return Description(kind, settings.pop("model_type_or_dir", folder), settings, extra, remark)


def described_tokenizer(path: str | Path) -> str | Path:
    """The folder or hub name whose tokenizer reads the documents of a model; of a Router, that of its document side."""
    folder = folder_of(path)
    if has_tokenizer(folder) or not (folder / MODULES).is_file():
        return path
    return description_of(folder).source


def _read_description(folder: Path) -> tuple[type[Retriever], dict[str, Any], dict[str, Any]]:
    path = folder / DESCRIPTION
    description = read_json(path)
    if not isinstance(description, dict) or not isinstance(description.get("settings"), dict):
        raise InputError(f"{path}: not the description of a model: it has no 'settings'")
    version = description.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: written in format {version!r}, this program reads {FORMAT_VERSION}; "
            "load it with the version of splade that wrote it"
        )
    name = description.get("kind")
    kinds = KINDS | {_name(kind): kind for kind in _subclasses(Retriever)}
    if name not in kinds:
        raise InputError(
            f"{path}: unknown kind of model {name!r}; known are {', '.join(sorted(kinds))}. "
            "A class of your own must be imported before its folder is loaded"
        )
    settings = dict(description["settings"])
    for place, argument in (kinds[name].query_folder, *((name, name) for name in kinds[name].folders)):
        if argument and (folder / place).is_dir():
            settings[argument] = folder / place
    return kinds[name], settings, dict(description.get("extra") or {})


def _query_table(model: Retriever) -> dict[str, Any]:
    """All that a program without torch needs beside the query side's table (:mod:`splade.encoding.tables`)."""
    if model.shares_encoder or not isinstance(model.encoders["query"], TokenBag):
        return {}
    return {"query_table": {"fingerprint": model.fingerprint(), "stand_in": stand_in(model.tokenizer("query"))}}


def _query_side(model: Retriever) -> str:
    if model.shares_encoder:
        return "shared"
    return "tokens" if type(model.encoders["query"]) is TokenBag else f"{model.query_folder[0]}/"


def _save_query_side(model: Retriever, folder: Path) -> None:
    """Write a query side of its own into its place below ``folder``."""
    query: Any = None if model.shares_encoder else model.encoders["query"]
    place = folder / model.query_folder[0]
    if isinstance(query, TokenBag):
        save_token_table(model, query, place)
    elif hasattr(query, "save"):
        query.save(place)
        model.tokenizer("query").save_pretrained(place)


def _name(kind: type[Retriever]) -> str:
    return kind.__name__ if KINDS.get(kind.__name__) is kind else f"{kind.__module__}.{kind.__qualname__}"


def _subclasses(kind: type[Retriever]) -> Iterator[type[Retriever]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)
