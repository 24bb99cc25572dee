"""The engine of a command, and what makes documents and queries of the kind that it takes."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from splade.data.collections.collection import Collection, collection_state
from splade.engines import OWN, Documents, Engine, Opened, Queries, Texts, engine_of, kind_of
from splade.engines.folders import engines_in
from splade.engines.protocol import Kind, texts_of
from splade.files import InputError
from splade.progress import progress
from splade.records import Text

if TYPE_CHECKING:
    from splade.encoding.protocol import TextEncoder
    from splade.encoding.tables import TableEncoder
    from splade.models import Retriever
    from splade.onnx.folder import OnnxModel

BUILDING = ("memory_mb", "layout", "dtype", "batch", "bulk_mb", "timeout", "threads", "heap", "java", "jar", "merge")
PLACE = ("uri", "url", "index", "user", "token_file", "api_key_file", "password_file", "ca_file", "verify", "replicas")
NOT_RANKING = BUILDING + PLACE
"""Settings of an engine on which no ranking depends: how it is built, and where it is."""
BATCH = 256  # texts that an engine is given at a time


class QuerySource(Protocol):
    """Makes the queries of one place: encodes texts in its terms, or hands them on."""

    def encode(self, queries: Collection) -> Queries:
        """All of ``queries``; a bar shows the progress."""

    def vectors(self, texts: Iterable[Text], name: str) -> Queries:
        """``texts`` as queries; ``name`` is what the log calls them."""


class Source(Protocol):
    """Makes documents and queries of texts, of one kind."""

    @property
    def kind(self) -> Kind:
        """The kind of batches."""

    @property
    def fingerprint(self) -> str:
        """The encoder's fingerprint; "" without an encoder."""

    def documents(self, collection: Collection, head_vectors: str | None = None) -> Documents:
        """The documents of ``collection``; ``head_vectors`` is ``data.HEAD_VECTORS_PATH``."""

    def queries(self, opened: Opened, force: bool = False) -> QuerySource:
        """Return the source of queries for ``opened``; InputError where another encoder made it, unless ``force``."""


class Chosen(NamedTuple):
    """An engine of the config, not yet at a place, and the source of its documents and queries."""

    cfg: DictConfig
    name: str
    source: Source

    def at(self, folder: str | Path | None) -> Engine:
        """The engine at ``folder``; InputError for settings that it does not take, or documents of another kind."""
        engine = engine_at(self.cfg, self.name, folder)
        if engine.takes != self.source.kind:
            raise InputError(
                f"config.engine={self.name} takes {said(engine.takes)}, and this model makes "
                f"{said(self.source.kind)} (config.matching_type): use engine={_of_kind(self.source.kind)}, or "
                "another model"
            )
        return engine


def chosen_engine(cfg: DictConfig, folder: str | Path | None = None) -> Chosen:
    """The engine that ``config.engine`` or ``engine._target_`` names, or else the model's own.

    With ``folder``, the one engine that has documents in it is taken where nothing is named. Where several have, the
    model decides; BM25's index is not searched in place of a model that the user named.
    """
    model = FromModel(cfg)
    name = named_engine(cfg)
    if name is None and folder is not None:
        found = engines_in(folder)
        name = found[0] if len(found) == 1 else None
        if name == "bm25" and {"init_dict.model_type_or_dir", "config.checkpoint_dir"} & set(cfg.named):
            name = "inverted"  # which refuses it in words
    if name is None:
        name = engine_of(model.model) if model.table is None else "inverted"
    takes_texts = engine_at(cfg, name, None).takes == "texts"
    return Chosen(cfg, name, AsTexts() if takes_texts else model)


def named_engine(cfg: DictConfig) -> str | None:
    """The name that the user gave the engine; None where the model decides."""
    if OmegaConf.select(cfg, "patches.engine._target_") is not None:
        return "engine"
    name = OmegaConf.select(cfg, "config.engine")
    return None if name is None else str(name)


def engine_at(cfg: DictConfig, name: str, folder: str | Path | None) -> Engine:
    """The engine called ``name`` with the settings of the config, at ``folder``; nothing is read or written yet."""
    try:
        make = instantiate(_node(cfg, name))
        engine: Engine = make(None if folder is None else Path(folder))
    except (ValueError, TypeError) as error:
        shipped = map(str, cfg.catalog.engine.get(name) or ())
        own = ", ".join(f"engine.{key}" for key in shipped if not key.startswith("_"))
        more = f". The engine has {own}" if own and ", got '" in str(error) else ""
        raise InputError(f"{_blamed(cfg, name, str(error))}: {error}{more}") from error
    return engine


def engine_of_vectors(cfg: DictConfig, setting: str) -> Engine:
    """The engine at ``config.index_dir`` for vectors of ``setting``; InputError where it takes others than sparse."""
    engine = engine_at(cfg, named_engine(cfg) or "inverted", cfg.index.dir)
    if engine.takes != "sparse":
        raise InputError(
            f"{setting}: sparse vectors, and config.engine={cfg.config.get('engine')} takes {engine.takes}. Remove "
            "config.engine"
        )
    return engine


def _blamed(cfg: DictConfig, name: str, problem: str) -> str:
    """The setting that ``problem`` is about, and its value: the strategy, or else the engine."""
    older = OmegaConf.select(cfg, "config.search.strategy")
    if not problem.startswith("strategy"):
        return f"config.engine={name}"
    own = OmegaConf.select(cfg, "patches.engine.strategy", default=older if older is not None else "auto")
    return f"config.search.strategy={own}" if own == older else f"engine.strategy={own}"


def _node(cfg: DictConfig, name: str) -> Any:
    """The wired node of the engine called ``name``; a strategy of the catalog has its dotted path in it."""
    node = cfg.engine
    if name not in ("engine", str(cfg.kinds.engine)):
        # The model, or what is in a folder, has decided; settings that the user named are this engine's.
        node, own = cfg.catalog.engine[name], OmegaConf.select(cfg, "patches.engine")
        node = node if own is None else OmegaConf.merge(node, own)
    path = cfg.catalog.strategy.get(str(node.get("strategy")))
    return node if path is None else OmegaConf.merge(node, {"strategy": path})


def engine_settings(cfg: DictConfig, name: str) -> dict[str, Any]:
    """The settings of the engine called ``name`` that rankings depend on: all but those of how it is built."""
    node = dict(OmegaConf.to_container(_node(cfg, name), resolve=True))  # type: ignore[arg-type]
    own = {str(key): value for key, value in node.items() if not str(key).startswith("_") and key not in NOT_RANKING}
    return own if name == "inverted" else own | {"engine": name}


class AsTexts:
    """The texts as they are, for an engine that weighs words itself."""

    kind: Kind = "texts"
    fingerprint = ""

    def documents(self, collection: Collection, head_vectors: str | None = None) -> Documents:
        """The documents of ``collection``, in batches."""
        if head_vectors:
            raise InputError(f"data.HEAD_VECTORS_PATH={head_vectors}: an engine of texts has no model; remove it")

        def batches(start: int) -> Iterable[Texts]:
            with progress(desc="index", unit="doc", initial=start, total=len(collection)) as bar:
                for batch in _batches(collection.iterate(start)):
                    yield batch
                    bar.update(len(batch.ids))

        return Documents(batches, None, None, "", collection_state(collection))

    def queries(self, opened: Opened, force: bool = False) -> QuerySource:  # noqa: ARG002 - the protocol's signature
        """Return the source of their texts."""
        return _TextsOfQueries()


class _TextsOfQueries:
    def encode(self, queries: Collection) -> Queries:
        return self.vectors(queries, "")

    def vectors(self, texts: Iterable[Text], name: str) -> Queries:  # noqa: ARG002 - the protocol's signature
        return Queries(texts_of(texts))


class FromModel:
    """Vectors of the config's model, which is loaded when it is first asked for."""

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = cfg

    @cached_property
    def model(self) -> "Retriever | OnnxModel":
        """The model of the config."""
        from splade.workflow.exported.models import model_from  # here and below: texts are searched without torch

        return model_from(self.cfg)

    @cached_property
    def table(self) -> "TableEncoder | None":
        """The encoder of queries where these are looked up in a table; then no query loads the model."""
        from splade.workflow.querying.tables import table_from

        return table_from(self.cfg)

    @property
    def kind(self) -> Kind:
        """The kind of the model's vectors."""
        return kind_of(self.model) if self.table is None else "sparse"

    @property
    def fingerprint(self) -> str:
        """The model's fingerprint."""
        return self.model.fingerprint() if self.table is None else self.table.fingerprint()

    def encoder(self, side: str) -> "TextEncoder":
        """The encoder of one side."""
        if side == "query" and self.table is not None:
            return self.table
        from splade.workflow.encoding import encoder_from

        return encoder_from(self.cfg, self.model, side, kind=self.kind)

    def documents(self, collection: Collection, head_vectors: str | None = None) -> Documents:
        """The vectors of ``collection``, encoded when they are asked for."""
        from splade.data.vectors.vectors import open_vectors
        from splade.workflow.encoding import encoded_documents, encoder_from

        if head_vectors and self.kind != "sparse":
            raise InputError(f"data.HEAD_VECTORS_PATH={head_vectors}: a dense model has no BM25's weights; remove it")
        encoder = encoder_from(self.cfg, self.model, "document", kind=self.kind)
        if head_vectors:
            from splade.workflow.head_vectors import documents_from_head

            return documents_from_head(encoder, collection, open_vectors(head_vectors))
        return encoded_documents(encoder, collection)

    def queries(self, opened: Opened, force: bool = False) -> QuerySource:
        """Return the encoder of queries, in the terms of ``opened``."""
        from splade.workflow.querying.encoding import DenseQueryEncoder, QueryEncoder

        return (DenseQueryEncoder if self.kind == "dense" else QueryEncoder)(self.encoder("query"), opened, force)


def _batches(texts: Iterable[Text]) -> Iterable[Texts]:
    held: list[Text] = []
    for text in texts:
        held.append(text)
        if len(held) == BATCH:
            yield texts_of(held)
            held = []
    if held:
        yield texts_of(held)


def said(kind: str) -> str:
    """The words for a kind of batches."""
    return kind if kind == "texts" else f"{kind} vectors"


def _of_kind(kind: str) -> str:
    return next(name for name, engine in OWN.items() if engine(None).takes == kind)
