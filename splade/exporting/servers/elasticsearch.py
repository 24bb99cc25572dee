"""Files for Elasticsearch: documents in a field of ``sparse_vector``, by its bulk interface."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.engines.places.rest.feature_field import stored
from splade.engines.places.rest.forms import ElasticVector
from splade.exporting.lines import Layout
from splade.exporting.servers.bulk import Bulk
from splade.exporting.target import Observed


class Elasticsearch(Bulk):
    """The `Bulk` of Elasticsearch.

    ``index_options`` writes into the mapping that pruning of tokens is off: 8.19, and 9.1 and later, take it. Queries
    say it in any case.
    """

    def __init__(
        self, hits: int = 1000, index_options: bool = True, shard_docs: int | None = None, gzip: bool = False
    ) -> None:
        super().__init__(ElasticVector(index_options=index_options), hits, Layout(shard_docs, gzip))

    def prepare(self, observed: Observed) -> None:
        """The field is the same for all documents."""

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Documents' weights in 9 significant bits; queries' as they are."""
        return stored(weights) if side == "document" else weights

    def tokens(self, query: Any) -> dict[str, float]:
        """The weights of a ``sparse_vector`` query, of which nothing is pruned."""
        return dict(query["sparse_vector"]["query_vector"]) if query["sparse_vector"]["prune"] is False else {}
