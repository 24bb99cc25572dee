"""A retriever as a model of MTEB: its retrieval tasks are searched by our engine, its other tasks get our vectors.

MTEB chunks a collection and multiplies dense matrices; a sparse model has `SearchModel` index and search instead.
Scores are the engine's, the figures MTEB's own, self-matches included: they are dropped by the tasks that drop them.
Needs the extra ``mteb``, which is loaded when it asks what the model is: it takes seconds to import.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from splade.dense.index import in_matrix
from splade.encoding import Encoder
from splade.engines import OWN, Documents, Engine, Opened, Queries, engine_of
from splade.engines.protocol import part_of
from splade.files import InputError
from splade.models import Retriever, load_retriever
from splade.models.retrievers.base import weights_digest
from splade.records import Ranking, SparseBatch, Text

DESCRIPTIONS = ("splade.json", "modules.json", "config.json")


class SearchModel:
    """A model folder as MTEB takes models: a ``SearchProtocol`` for retrieval, an ``EncoderProtocol`` for the rest.

    ``source`` is a model folder, a checkpoint folder with one in ``model/``, a hub name, or a retriever. Queries and
    documents are encoded by their sides, with the prompts and lengths of the folder; keywords replace them
    (``max_length``, ``max_length_q``, ``prompt_q``, ``prompt_d``; as of
    :func:`splade.models.load_retriever`). Texts of tasks that have no sides go through the document side.

    ``index_dir`` keeps the indexes, one for each collection, and an index of the same model and texts is not built
    again; None holds one index in memory. ``engine`` are arguments of :class:`splade.engines.Inverted` (a strategy and
    its options), or of :class:`splade.engines.Dense` for a dense model; ``encoding`` those of
    :class:`splade.encoding.Encoder`. ``name`` is what MTEB calls the model, ``organisation/model``.
    """

    def __init__(
        self,
        source: str | Path | Retriever,
        *,
        name: str | None = None,
        index_dir: str | Path | None = None,
        n_threads: int = 1,
        engine: Mapping[str, Any] | None = None,
        encoding: Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> None:
        self.model = source if isinstance(source, Retriever) else load_retriever(model_folder(source), **overrides)
        if isinstance(source, Retriever) and overrides:
            raise ValueError(f"a retriever is taken as it is; {', '.join(overrides)} is for folders")
        self.name = name or _name(source)
        self.index_dir = None if index_dir is None else Path(index_dir)
        self.n_threads, self.engine, self.encoding = n_threads, dict(engine or {}), dict(encoding or {})
        self.opened: Opened | None = None  # the collection that was indexed last
        self._engine_at(None)  # refuses arguments that it does not take
        self._meta: Any = None

    @property
    def mteb_model_meta(self) -> Any:
        """The ``mteb.models.ModelMeta``; its revision changes with any weight, length or prompt of either side."""
        if self._meta is None:
            self._meta = _meta(self.model, self.name, self.encoding)
        return self._meta

    def index(
        self,
        corpus: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        encode_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ARG002 - of the protocol
    ) -> None:
        """Encode and index a collection: rows with ``id``, ``text`` and perhaps ``title``."""
        place = None if self.index_dir is None else self.index_dir / task_metadata.name / f"{hf_subset}-{hf_split}"
        self.opened = self._engine_at(place).build(self._documents(corpus, encode_kwargs or {}))

    def search(
        self,
        queries: Any,
        *,
        top_k: int,
        encode_kwargs: Mapping[str, Any] | None = None,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,  # noqa: ARG002 - of the protocol
    ) -> dict[str, dict[str, float]]:
        """Scores by query and document, ``top_k`` at most; of the documents of ``top_ranked`` alone where it is given.

        Documents that share no term with a query are not found. Of ``top_ranked`` they are, with the score 0.
        """
        if self.opened is None:
            raise ValueError("index a collection before it is searched")
        asked = self._queries(queries_of(queries), encode_kwargs or {})
        if top_ranked is not None:
            return _ranked_anew(self.opened, asked, top_ranked, top_k)
        rankings = self.opened.search(asked, min(top_k, max(self.opened.n_docs, 1)), n_threads=self.n_threads)
        return {ranking.query_id: _scores(ranking) for ranking in rankings}

    def encode(self, inputs: Any, *, task_metadata: Any, prompt_type: Any = None, **kwargs: Any) -> Any:
        """Vectors [n, V] of the texts of ``inputs``, for MTEB's own search and its other tasks.

        A sparse float32 tensor for retrieval, a float32 array for tasks that work with arrays.
        """
        side = "query" if getattr(prompt_type, "value", prompt_type) == "query" else "document"
        texts = (Text(str(number), text) for number, text in enumerate(_texts_in(inputs)))
        rows = self._encoder(side, kwargs).encode_all(texts)
        if task_metadata.type == "Retrieval" and self.model.is_sparse:
            return _as_tensor(rows)
        return in_matrix(rows).matrix

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Inner products [n, m] of vectors [n, V] and [m, V]."""
        first, second = _two_dimensional(embeddings1), _two_dimensional(embeddings2)
        if second.is_sparse:
            return torch.sparse.mm(second, _dense(first).T).T
        return _dense(first) @ second.T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Inner products [n] of the vectors at the same places of two batches [n, V]."""
        return (_dense(_two_dimensional(embeddings1)) * _dense(_two_dimensional(embeddings2))).sum(dim=1)

    def _engine_at(self, place: Path | None) -> Engine:
        make: Callable[..., Engine] = OWN[engine_of(self.model)]
        return make(place, **self.engine)

    def _encoder(self, side: str, told: Mapping[str, Any]) -> Encoder:
        asked = {"batch_size": told["batch_size"]} if "batch_size" in told else {}
        return Encoder(self.model, side, **{**asked, **self.encoding})

    def _documents(self, corpus: Any, told: Mapping[str, Any]) -> Documents:
        encoder = self._encoder("document", told)

        def batches(start: int) -> Iterator[Any]:
            vectors = encoder.encode(islice(documents_of(corpus), start, None))
            return vectors if self.model.is_sparse else (in_matrix(batch) for batch in vectors)

        origin = {
            "texts": _digest(documents_of(corpus)),
            "max_length": encoder.max_length,
            "precision": encoder.precision,
        }
        return Documents(batches, self.model.vocab_size, None, self.model.fingerprint(), origin)

    def _queries(self, texts: Iterable[Text], told: Mapping[str, Any]) -> Queries:
        vectors = self._encoder("query", told).encode_all(texts)
        return Queries(vectors if self.model.is_sparse else in_matrix(vectors), fingerprint=self.model.fingerprint())


def model_folder(source: str | Path) -> str | Path:
    """The folder with the model: ``source`` itself, or ``model/`` in it, where a training saves it."""
    folder = Path(source)
    if (folder / "model").is_dir() and not any((folder / each).is_file() for each in DESCRIPTIONS):
        return folder / "model"
    return source


def documents_of(corpus: Any) -> Iterator[Text]:
    """Documents of MTEB as texts, ``(title + " " + text).strip()``; a missing title means the text alone."""
    for row in corpus:
        yield Text(str(row["id"]), f"{row.get('title') or ''} {row['text']}".strip())


def queries_of(queries: Any) -> Iterator[Text]:
    """Queries of MTEB as texts, an instruction after them; InputError for conversations."""
    for row in queries:
        if not isinstance(row["text"], str):
            raise InputError(f"query {row['id']!r} is a conversation; only tasks of single texts can be searched")
        yield Text(str(row["id"]), f"{row['text']} {row.get('instruction') or ''}".strip())


def _ranked_anew(
    opened: Any, queries: Queries, top_ranked: Mapping[str, Sequence[str]], k: int
) -> dict[str, dict[str, float]]:
    """Each query's own documents, scored and cut at ``k``; InputError where one is not in the collection."""
    found: dict[str, dict[str, float]] = {}
    for place, query_id in enumerate(queries.vectors.ids):
        listed = list(dict.fromkeys(top_ranked.get(query_id, ())))
        if missing := opened.unknown(listed):
            raise InputError(f"query {query_id!r}: the document {missing[0]!r} to rank is not in the collection")
        one = part_of(queries, place, place + 1).vectors
        if isinstance(one, SparseBatch):
            scores = _scores(next(iter(opened.searcher.search(one, k=max(len(listed), 1), allowed=listed))))
            scores |= {doc_id: 0.0 for doc_id in listed if doc_id not in scores}
        else:
            numbers = opened.index.doc_ids.numbers(listed)
            values = opened.index.vectors[numbers].astype(np.float32) @ one.matrix[0]
            scores = dict(zip(listed, values.tolist(), strict=True))
        found[query_id] = dict(sorted(scores.items(), key=lambda item: -item[1])[:k])
    return found


def _scores(ranking: Ranking) -> dict[str, float]:
    return dict(zip(ranking.doc_ids, np.asarray(ranking.scores).tolist(), strict=True))


def _texts_in(inputs: Any) -> Iterator[str]:
    for batch in inputs:
        if "text" not in batch:
            raise InputError(f"only texts can be encoded; this task has {', '.join(map(str, batch))}")
        yield from batch["text"]


def _as_tensor(batch: SparseBatch) -> torch.Tensor:
    """A sparse COO tensor [n, V], float32."""
    sizes = np.diff(batch.rows.offsets)
    places = np.stack([np.repeat(np.arange(len(sizes)), sizes), batch.rows.columns.astype(np.int64)])
    shape = (len(sizes), batch.vocab_size)
    values = torch.from_numpy(np.array(batch.rows.weights))
    return torch.sparse_coo_tensor(torch.from_numpy(places), values, shape, check_invariants=True).coalesce()


def _two_dimensional(vectors: Any) -> torch.Tensor:
    tensor = torch.as_tensor(vectors)
    return tensor if tensor.dim() == 2 else tensor[None]


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_dense() if tensor.is_sparse else tensor


def _digest(texts: Iterable[Text]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(json.dumps(text).encode())
    return digest.hexdigest()


def _name(source: str | Path | Retriever) -> str:
    if isinstance(source, Retriever):
        return f"splade/{type(source).__name__}"
    folder = Path(source)
    return f"local/{folder.resolve().name}" if folder.is_dir() else str(source)


def _meta(model: Retriever, name: str, encoding: Mapping[str, Any]) -> Any:
    from mteb.models import ModelMeta

    settings = {**model.settings(), "encoding": dict(encoding), "kind": type(model).__name__}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    weights = {id(weight): weight for weight in model.parameters()}.values()
    n_bytes = sum(weight.numel() * weight.element_size() for weight in weights)
    return ModelMeta(
        loader=None,
        name=name,
        revision=weights_digest(model.state_dict().items(), digest),
        release_date=None,
        languages=None,
        n_parameters=sum(weight.numel() for weight in weights),
        memory_usage_mb=n_bytes / 2**20,
        max_tokens=model.max_length("document"),
        embed_dim=model.vocab_size,
        license=None,
        open_weights=None,
        public_training_code=None,
        public_training_data=None,
        framework=["PyTorch"],
        similarity_fn_name="dot",
        use_instructions=any(model.prompt(side) for side in ("query", "document")),
        training_datasets=None,
        model_type=["sparse" if model.is_sparse else "dense"],
        experiment_kwargs=None,
    )
