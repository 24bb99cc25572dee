"""The explanation that a config asks for: of a text, of a query and a document, or of a document of an index."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from splade.data.collections.collection import collection_state
from splade.data.collections.opening import open_collection
from splade.engines.protocol import Queries
from splade.explaining import Bag, Explainer, Match
from splade.explaining.bags import in_terms_of, numbers_named
from splade.explaining.forms import FORMS, Explained
from splade.files import InputError, whole_file
from splade.indexing import Index, InvertedIndex
from splade.models import Retriever, load_retriever
from splade.models.saving.averaging import model_folder
from splade.onnx.folder import is_onnx
from splade.records import SIDES, SparseBatch
from splade.workflow.encoding import check_fingerprint, encoder_from
from splade.workflow.exported.settings import source_of
from splade.workflow.model_loading import refuse_exported, retriever_from
from splade.workflow.searching import pruned_queries

logger = logging.getLogger(__name__)

ASKED = "explain.text, explain.query with explain.document, or explain.query with explain.document_id"


def explained(cfg: DictConfig) -> Explained:
    """The explanation that ``explain.*`` asks for; InputError, before a model is loaded, where it asks for none."""
    asked = cfg.explanation
    check_asked(asked)
    model = retriever_from(cfg)
    explainer = explainer_of(cfg, model, source_of(cfg))
    if asked.document_id is not None:
        return _of_index(cfg, model, explainer)
    if asked.beside is not None:
        folder = model_folder(asked.beside)
        refuse_exported(folder if is_onnx(folder) else None)
        other = explainer_of(cfg, load_retriever(folder), str(asked.beside))
        if asked.text is not None:
            return explainer.compare(other, asked.text, side=asked.side)
        return explainer.compare(other, asked.query, asked.document)
    if asked.text is not None:
        return explainer.bag(asked.text, asked.side)
    return explainer.match(asked.query, asked.document)


def explainer_of(cfg: DictConfig, model: Retriever, name: str = "") -> Explainer:
    """The explainer of ``model``, which encodes as the config says; InputError for a dense model."""
    return Explainer(encoder_from(cfg, model, "query"), encoder_from(cfg, model, "document"), name=name)


def check_asked(asked: Any) -> None:
    """InputError where ``asked``, the node ``explanation``, asks for nothing, or for two things at once."""
    if asked.form not in FORMS:
        raise InputError(f"explain.format={asked.form}: accepted are {', '.join(FORMS)}")
    if asked.side not in SIDES:
        raise InputError(f"explain.side={asked.side}: accepted are {', '.join(SIDES)}")
    given = {name for name in ("text", "query", "document", "document_id") if asked[name] is not None}
    if given not in ({"text"}, {"query", "document"}, {"query", "document_id"}, {"query", "document", "document_id"}):
        said = ", ".join(f"explain.{name}" for name in sorted(given)) or "none of these"
        raise InputError(f"set {ASKED}; {said} given")
    if asked.beside is not None and "document_id" in given:
        raise InputError(
            "explain.beside: an index holds the weights of one model; give the text in explain.document, without "
            "explain.document_id, to see two models side by side"
        )
    if asked.n_terms < 1:
        raise InputError(f"explain.n_terms={asked.n_terms}: show 1 term or more")


def _of_index(cfg: DictConfig, model: Retriever, explainer: Explainer) -> Match:
    asked, index = cfg.explanation, InvertedIndex.open(cfg.explained.dir)
    check_fingerprint(index, model.fingerprint(), cfg.search.force)
    doc_id = asked.document_id
    text = _text_of(cfg.explained.collection, index, doc_id) if asked.document is None else asked.document
    return explainer.hit(_searched(explainer.bag(asked.query, "query"), index, explainer, cfg), index, doc_id, text)


def _searched(query: Bag, index: Index, explainer: Explainer, cfg: DictConfig) -> Bag:
    """The terms of a query that a search of the config takes, without those that it prunes."""
    batch = SparseBatch(("",), in_terms_of(index, query), index.vocab_size)
    pruned, account = pruned_queries(Queries(batch), cfg.search)
    if not account:
        return query
    kept = set(numbers_named(index, explainer.encoders["query"], pruned.vectors.rows.columns.tolist()))
    return query._replace(terms=tuple(term for term in query.terms if term.token in kept))


def _text_of(source: str | None, index: Index, doc_id: str) -> str | None:
    """The text of a document in the collection that the index was made of; None, with a reason, where it is not."""
    if source is None:
        return None
    try:
        collection = open_collection(source)
        same = collection_state(collection).items() <= index.metadata.items()
        if same and collection.find([doc_id])[0] >= 0:
            return collection[doc_id]
        reason = "it is not the collection that the index was made of" if not same else "the document is not in it"
    except InputError as error:
        reason = str(error)
    logger.warning(
        "data.COLLECTION_PATH=%s: %s. The document's text is not shown; give it in explain.document", source, reason
    )
    return None


def written(explanation: Explained, asked: Any) -> Path | None:
    """Print ``explanation`` in the form that is asked for, or write it to ``explain.path``, which is returned."""
    text = FORMS[asked.form](explanation, int(asked.n_terms))
    if asked.path is None:
        print(text, end="")
        return None
    with whole_file(asked.path) as stream:
        stream.write(text)
    return Path(asked.path)
