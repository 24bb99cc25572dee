"""Files for OpenSearch: documents in a field of ``rank_features`` or ``sparse_vector``, by its bulk interface."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.engines.places.rest.feature_field import stored
from splade.engines.places.rest.forms import FIELD, TRUNCATED
from splade.engines.places.rest.opensearch import form_of
from splade.exporting.lines import Layout
from splade.exporting.servers.bulk import Bulk
from splade.exporting.target import Observed

APPROXIMATE = 1_000_000  # documents of a segment from which on a server searches approximately, where none is named
STEPS = 255  # of the 8 bits that SEISMIC quantises to


class OpenSearch(Bulk):
    """The `Bulk` of OpenSearch; ``form`` and its settings are those of the engine ``opensearch``.

    The ceiling of documents' weights, where none is given, is the largest of them. Where there are fewer documents than
    a segment needs to be searched approximately, weights are kept as Lucene does; else to 8 bits, as far as segments
    get that large.
    """

    def __init__(
        self,
        form: str = "rank_features",
        hits: int = 1000,
        method_engine: str | None = None,
        ceiling_ingest: float | None = None,
        ceiling_search: float | None = None,
        approximate_threshold: int | None = None,
        n_postings: int | None = None,
        cluster_ratio: float | None = None,
        summary_prune_ratio: float | None = None,
        top_n: int | None = None,
        heap_factor: float | None = None,
        shard_docs: int | None = None,
        gzip: bool = False,
    ) -> None:
        seismic = {
            "method_engine": method_engine,
            "ceiling_ingest": ceiling_ingest,
            "ceiling_search": ceiling_search,
            "approximate_threshold": approximate_threshold,
            "n_postings": n_postings,
            "cluster_ratio": cluster_ratio,
            "summary_prune_ratio": summary_prune_ratio,
            "top_n": top_n,
            "heap_factor": heap_factor,
        }
        super().__init__(form_of(form, seismic, "export"), hits, Layout(shard_docs, gzip))
        self.least = APPROXIMATE if approximate_threshold is None else approximate_threshold
        self.exact = method_engine == "native"
        self.approximate = False

    def prepare(self, observed: Observed) -> None:
        """Take the ceiling, and whether a segment may be searched approximately."""
        super().prepare(observed)
        self.approximate = self.form.name == "sparse_vector" and observed.n_docs >= self.least

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Documents' weights in 9 significant bits, in 8 bits up to the ceiling, or whole; queries' as they are."""
        if side == "query":
            return weights
        if self.approximate:
            steps = np.rint(np.minimum(weights, self.form.ceiling) / self.form.ceiling * STEPS)
            return (steps * self.form.ceiling / STEPS).astype(np.float32)
        return weights if self.exact else stored(weights)

    def quantization(self) -> str:
        """The words for what is kept of documents' weights."""
        if self.approximate:
            return f"documents: 8 bits up to {self.form.ceiling:.6g}, where a segment is large enough for SEISMIC"
        return "none" if self.exact else TRUNCATED

    def tokens(self, query: Any) -> dict[str, float]:
        """The weights of a ``neural_sparse`` query."""
        return dict(query["neural_sparse"][FIELD]["query_tokens"])
