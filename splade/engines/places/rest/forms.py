"""The fields that hold sparse vectors in OpenSearch and Elasticsearch: mappings, and the queries that search them.

Keys are whole term ids: a token may have a dot, which splits a key, or be empty; and OpenSearch's ``sparse_vector``
takes integers alone.
"""

import re
from copy import copy
from typing import Any, ClassVar, Protocol

import numpy as np

from splade.engines.places.rest.feature_field import LARGEST_QUERY, check_weights, scale_into
from splade.files import InputError
from splade.records import SparseBatch

FIELD, NUMBER = "vector", "number"
TRUNCATED = "weights of documents cut to 9 significant bits (Lucene's FeatureField)"
MOST_SEISMIC = 32768  # terms; OpenSearch folds larger ids by this modulus where it searches approximately
SERVERS_CEILING = 3.0  # of documents' weights, where the mapping names none
HEADROOM = 1.25  # of a ceiling over the largest weight, where it is known of the first documents only


class Form(Protocol):
    """A kind of field."""

    name: ClassVar[str]

    @property
    def ceiling(self) -> float:
        """Weights of documents above it may count as it; infinite where there is none."""

    def fitted(self, version: str, ceiling: float | None) -> "Form":
        """The form for a server, "" where its version is not known, and documents whose weights ``ceiling`` bounds."""

    def settings(self) -> dict[str, Any]:
        """Settings of an index that has such a field."""

    def mapping(self) -> dict[str, Any]:
        """The mapping of the field."""

    def check(self, batch: SparseBatch) -> None:
        """InputError for documents that the field cannot hold."""

    def scale(self, largest: float) -> float:
        """The factor, a power of two, for a query whose largest weight is ``largest``."""

    def query(self, tokens: dict[str, float], limit: int) -> dict[str, Any]:
        """The query for ``limit`` documents; weights are scaled already."""

    def identity(self) -> dict[str, Any]:
        """The settings that decide what is stored."""

    def facts(self) -> dict[str, Any]:
        """``strategy`` and ``quantization``, in words."""


class RankFeatures:
    """OpenSearch's ``rank_features``, searched by ``neural_sparse``: exact on the weights that are stored."""

    name: ClassVar[str] = "rank_features"
    ceiling: float = np.inf

    def fitted(self, version: str, ceiling: float | None) -> "RankFeatures":
        """The same for every server."""
        del version, ceiling
        return self

    def settings(self) -> dict[str, Any]:
        """Nothing beside the defaults."""
        return {}

    def mapping(self) -> dict[str, Any]:
        """The field alone."""
        return {"type": "rank_features"}

    def check(self, batch: SparseBatch) -> None:
        """InputError for weights that Lucene refuses."""
        check_weights(batch)

    def scale(self, largest: float) -> float:
        """1 up to Lucene's limit."""
        return scale_into(largest)

    def query(self, tokens: dict[str, float], limit: int) -> dict[str, Any]:
        """A ``neural_sparse`` query with the weights given."""
        del limit
        return {"neural_sparse": {FIELD: {"query_tokens": tokens}}}

    def identity(self) -> dict[str, Any]:
        """The name of the field's type."""
        return {"form": self.name}

    def facts(self) -> dict[str, Any]:
        """Lucene's own dynamic pruning is exact."""
        return {"strategy": "Lucene, exact", "quantization": TRUNCATED}


class Seismic:
    """OpenSearch's ``sparse_vector`` (3.3 and later): SEISMIC, approximate, in large segments; plain in others.

    A segment of at least ``approximate_threshold`` documents (1,000,000 where None) is searched by SEISMIC over 8-bit
    weights; a smaller one as ``rank_features`` is. Documents' weights are quantised up to ``ceiling_ingest``: None for
    the largest observed. A query is brought to ``ceiling_search`` by a power of two. ``method_engine`` is the
    ``method.engine`` of OpenSearch 3.9, "lucene" or "native"; None sends none, for older servers. ``top_n`` query terms
    open postings, all where None. ``owner`` begins the names of these settings in messages.
    """

    name: ClassVar[str] = "sparse_vector"

    def __init__(
        self,
        *,
        method_engine: str | None = None,
        ceiling_ingest: float | None = None,
        ceiling_search: float = 16.0,
        approximate_threshold: int | None = None,
        n_postings: int | None = None,
        cluster_ratio: float | None = None,
        summary_prune_ratio: float | None = None,
        top_n: int | None = None,
        heap_factor: float = 1.0,
        owner: str = "engine",
    ) -> None:
        if method_engine not in (None, "lucene", "native"):
            raise InputError(
                f"{owner}.method_engine={method_engine}: accepted are lucene and native (OpenSearch 3.9), or null"
            )
        if not 0 < ceiling_search <= LARGEST_QUERY:
            raise InputError(f"{owner}.ceiling_search={ceiling_search}: expected above 0 and at most {LARGEST_QUERY:g}")
        if ceiling_ingest is not None and not ceiling_ingest > 0:
            raise InputError(f"{owner}.ceiling_ingest={ceiling_ingest}: expected a weight above 0, or null")
        self.engine, self.ceiling_ingest, self.ceiling_search = method_engine, ceiling_ingest, float(ceiling_search)
        self.top_n, self.heap_factor = top_n, heap_factor
        given: dict[str, float | None] = {"approximate_threshold": approximate_threshold, "n_postings": n_postings}
        given |= {"cluster_ratio": cluster_ratio, "summary_prune_ratio": summary_prune_ratio}
        self.given = {name: value for name, value in given.items() if value is not None}

    def settings(self) -> dict[str, Any]:
        """The index must be told that it has such fields."""
        return {"sparse": True}

    @property
    def ceiling(self) -> float:
        """The ceiling of documents' weights; the server's own where there is none."""
        return SERVERS_CEILING if self.ceiling_ingest is None else self.ceiling_ingest

    def fitted(self, version: str, ceiling: float | None) -> "Seismic":
        """With ``ceiling`` where the user gave none."""
        del version
        fitted = copy(self)
        if fitted.ceiling_ingest is None and ceiling is not None:
            fitted.ceiling_ingest = ceiling
        return fitted

    def mapping(self) -> dict[str, Any]:
        """The field with both ceilings; the server's own is 3 for documents, and cuts what is above."""
        parameters: dict[str, float] = dict(self.given)
        parameters["quantization_ceiling_ingest"] = self.ceiling
        parameters["quantization_ceiling_search"] = self.ceiling_search
        engine = {} if self.engine is None else {"engine": self.engine}
        return {"type": "sparse_vector", "method": {"name": "seismic", **engine, "parameters": parameters}}

    def check(self, batch: SparseBatch) -> None:
        """InputError for term ids that SEISMIC would take for others, and for weights that Lucene refuses."""
        columns = batch.rows.columns
        if columns.size and (largest := int(columns.max())) >= MOST_SEISMIC:
            raise InputError(
                f"a document has the term id {largest}; OpenSearch's sparse_vector folds ids of {MOST_SEISMIC} and "
                "more onto smaller ones, so that two terms become one. Use form=rank_features"
            )
        check_weights(batch)

    def scale(self, largest: float) -> float:
        """The query fills the range that it is quantised in."""
        return scale_into(largest, self.ceiling_search, fill=True)

    def query(self, tokens: dict[str, float], limit: int) -> dict[str, Any]:
        """A ``neural_sparse`` query with the parameters of SEISMIC; small segments ignore them."""
        method = {"k": limit, "top_n": self.top_n or len(tokens), "heap_factor": self.heap_factor}
        return {"neural_sparse": {FIELD: {"query_tokens": tokens, "method_parameters": method}}}

    def identity(self) -> dict[str, Any]:
        """All that the mapping has."""
        own = {"engine": self.engine, "ceiling_ingest": self.ceiling_ingest, "ceiling_search": self.ceiling_search}
        return {"form": self.name, **own, **self.given}

    def facts(self) -> dict[str, Any]:
        """The two ways in which a segment is searched."""
        least = self.given.get("approximate_threshold", 1_000_000)
        small = "float weights" if self.engine == "native" else TRUNCATED
        return {
            "strategy": f"SEISMIC in segments of {least} documents and more, exact in smaller ones",
            "quantization": f"8 bits where SEISMIC searches; elsewhere {small}",
        }


class ElasticVector:
    """Elasticsearch's ``sparse_vector``: exact on the weights that are stored, with its pruning of tokens off.

    ``index_options`` is False for servers that do not know the mapping's own switch (before 8.19 and 9.1); queries say
    it in any case.
    """

    name: ClassVar[str] = "sparse_vector"
    ceiling: float = np.inf

    def __init__(self, *, index_options: bool = True) -> None:
        self.index_options = index_options

    def fitted(self, version: str, ceiling: float | None) -> "ElasticVector":
        """With the mapping's switch where the server knows it."""
        del ceiling
        return ElasticVector(index_options=_knows_index_options(version))

    def settings(self) -> dict[str, Any]:
        """Nothing beside the defaults."""
        return {}

    def mapping(self) -> dict[str, Any]:
        """The field, with pruning off for other people's queries too."""
        return {"type": "sparse_vector"} | ({"index_options": {"prune": False}} if self.index_options else {})

    def check(self, batch: SparseBatch) -> None:
        """InputError for weights that Lucene refuses."""
        check_weights(batch)

    def scale(self, largest: float) -> float:
        """1 up to Lucene's limit."""
        return scale_into(largest)

    def query(self, tokens: dict[str, float], limit: int) -> dict[str, Any]:
        """A ``sparse_vector`` query with the weights given, and no token left out."""
        del limit
        return {"sparse_vector": {"field": FIELD, "query_vector": tokens, "prune": False}}

    def identity(self) -> dict[str, Any]:
        """The name of the field's type."""
        return {"form": self.name}

    def facts(self) -> dict[str, Any]:
        """Lucene's own dynamic pruning is exact."""
        return {"strategy": "Lucene, exact; pruning of tokens off", "quantization": TRUNCATED}


def _knows_index_options(version: str) -> bool:
    """True for an Elasticsearch whose ``sparse_vector`` mapping has ``index_options``: 8.19, and 9.1 and later."""
    numbers = re.findall(r"\d+", version)[:2]
    major, minor = (int(number) for number in numbers) if len(numbers) == 2 else (0, 0)
    return (major, minor) >= (9, 1) or (8, 19) <= (major, minor) < (9, 0)
