"""Elasticsearch: sparse vectors in a field of ``sparse_vector``, over HTTP."""

from pathlib import Path
from typing import Any, ClassVar

from splade.engines.places.rest.engine import OnServer
from splade.engines.places.rest.forms import ElasticVector
from splade.engines.places.rest.server import Server
from splade.engines.places.secrets import secret
from splade.files import InputError

KEY = "ELASTICSEARCH_API_KEY"


class ElasticsearchServer(Server):
    """The store of :class:`Elasticsearch`."""

    name: ClassVar[str] = "elasticsearch"


class Elasticsearch(OnServer):
    """The engine ``elasticsearch``: an index on the server at ``url``, 8.15 or later.

    Scores are exact on weights of 9 significant bits. An API key, in the encoded form, is in ``api_key_file`` or in the
    environment's ``ELASTICSEARCH_API_KEY``; with ``user`` or ``password_file`` a password is taken in its place. The
    others are those of :class:`splade.engines.places.rest.engine.OnServer`; the password's variable is
    ``ELASTICSEARCH_PASSWORD``.
    """

    variable: ClassVar[str] = "ELASTICSEARCH_PASSWORD"
    administrator: ClassVar[str] = "elastic"
    server: ClassVar[type[Server]] = ElasticsearchServer

    def __init__(self, folder: str | Path | None, *, api_key_file: str | None = None, **settings: Any) -> None:
        super().__init__(folder, ElasticVector(), **settings)
        self.api_key_file = api_key_file
        if api_key_file is not None and self._with_password:
            raise InputError("engine.api_key_file, and engine.user or engine.password_file: give one of them")

    @property
    def _with_password(self) -> bool:
        return self.user is not None or self.password_file is not None

    def header(self) -> str | None:
        """A key, or a user with a password."""
        key = None if self._with_password else secret(KEY, self.api_key_file)
        return super().header() if key is None else f"ApiKey {key}"
