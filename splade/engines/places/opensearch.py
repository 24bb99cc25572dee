"""OpenSearch: sparse vectors in a field of ``rank_features`` or ``sparse_vector``, over HTTP."""

from pathlib import Path
from typing import Any, ClassVar

from splade.engines.places.rest.engine import OnServer
from splade.engines.places.rest.forms import Form, RankFeatures, Seismic
from splade.engines.places.rest.server import Server
from splade.files import InputError

SEISMIC = {
    "method_engine": None,
    "ceiling_ingest": None,
    "ceiling_search": 16.0,
    "approximate_threshold": None,
    "n_postings": None,
    "cluster_ratio": None,
    "summary_prune_ratio": None,
    "top_n": None,
    "heap_factor": 1.0,
}
"""The settings of ``sparse_vector`` alone, with their defaults."""


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

    def __init__(self, folder: str | Path | None, *, form: str = "rank_features", **settings: Any) -> None:
        own = {name: settings.pop(name) for name in SEISMIC if name in settings}
        super().__init__(folder, form_of(form, own), **settings)


def form_of(form: str, settings: dict[str, Any]) -> Form:
    """The kind of field called ``form``; InputError for settings that it does not take."""
    if form == "sparse_vector":
        named = {"engine" if name == "method_engine" else name: value for name, value in settings.items()}
        return Seismic(**named)
    if form != "rank_features":
        raise InputError(f"engine.form={form}: accepted are rank_features and sparse_vector")
    for name, value in settings.items():
        if value != SEISMIC[name]:
            raise InputError(f"engine.{name}={value}: rank_features has none. Use engine.form=sparse_vector")
    return RankFeatures()
