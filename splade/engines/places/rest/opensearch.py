"""OpenSearch: sparse vectors in a field of ``rank_features`` or ``sparse_vector``, over HTTP."""

from pathlib import Path
from typing import Any, ClassVar

from splade.engines.places.rest.engine import OnServer
from splade.engines.places.rest.forms import Form, RankFeatures, Seismic
from splade.engines.places.rest.server import Server
from splade.files import InputError


class OpenSearchServer(Server):
    """The store of :class:`OpenSearch`."""

    name: ClassVar[str] = "opensearch"


class OpenSearch(OnServer):
    """The engine ``opensearch``: an index on the server at ``url``, with the plugin neural-search.

    ``form`` is "rank_features", exact on weights of 9 significant bits, or "sparse_vector" with the settings of
    :class:`splade.engines.places.rest.forms.Seismic`. The others are those of
    :class:`splade.engines.places.rest.engine.OnServer`; the password's variable is ``OPENSEARCH_PASSWORD``.
    """

    variable: ClassVar[str] = "OPENSEARCH_PASSWORD"
    administrator: ClassVar[str] = "admin"
    server: ClassVar[type[Server]] = OpenSearchServer

    def __init__(
        self,
        folder: str | Path | None,
        *,
        form: str = "rank_features",
        method_engine: str | None = None,
        ceiling_ingest: float | None = None,
        ceiling_search: float | None = None,
        approximate_threshold: int | None = None,
        n_postings: int | None = None,
        cluster_ratio: float | None = None,
        summary_prune_ratio: float | None = None,
        top_n: int | None = None,
        heap_factor: float | None = None,
        **server: Any,
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
        super().__init__(folder, form_of(form, seismic), **server)


def form_of(form: str, seismic: dict[str, Any], owner: str = "engine") -> Form:
    """The kind of field called ``form``; InputError for settings, other than None, that it does not take.

    ``owner`` begins the names of these settings.
    """
    given = {name: value for name, value in seismic.items() if value is not None}
    if form == "sparse_vector":
        return Seismic(**given, owner=owner)
    if form != "rank_features":
        raise InputError(f"{owner}.form={form}: accepted are rank_features and sparse_vector")
    for name, value in given.items():
        raise InputError(f"{owner}.{name}={value}: rank_features has none. Use {owner}.form=sparse_vector")
    return RankFeatures()
