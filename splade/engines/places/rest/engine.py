"""The engine of an index on a server: the settings that OpenSearch and Elasticsearch have in common."""

from pathlib import Path
from typing import ClassVar

from splade.engines.places.kept import Kept
from splade.engines.places.rest.connection import Connection, basic, checked_access
from splade.engines.places.rest.forms import Form
from splade.engines.places.rest.server import Server, checked_prefix, checked_sizes
from splade.engines.places.retries import Retries
from splade.engines.places.secrets import refuse_secret_in, secret
from splade.files import InputError


class OnServer(Kept):
    """An index on the server at ``url``; its name begins with ``index``.

    The password of ``user`` is in ``password_file``, or in the environment's ``variable``. ``ca_file`` has the
    authority of the server's certificate; ``verify=False`` believes any. ``bulk_mb`` (MiB) bounds a request,
    ``timeout`` (seconds) each wait for an answer. ``merge`` makes one segment of each of the ``shards``.
    """

    retries: Retries = Retries()
    variable: ClassVar[str]  # of the environment, with the password
    administrator: ClassVar[str]  # the user where a password is given without one
    server: ClassVar[type[Server]]

    def __init__(
        self,
        folder: str | Path | None,
        form: Form,
        *,
        url: str | None = None,
        index: str = "",
        user: str | None = None,
        password_file: str | None = None,
        ca_file: str | None = None,
        verify: bool = True,
        timeout: float = 120,
        shards: int = 1,
        replicas: int = 0,
        merge: bool = False,
        bulk_mb: float = 8,
    ) -> None:
        super().__init__(folder, self.server.name)
        if url is not None:
            refuse_secret_in(url, "engine.url", self.variable)
        if not timeout > 0:
            raise InputError(f"engine.timeout={timeout}: expected seconds above 0")
        self.form, self.url, self.timeout = form, url, timeout
        self.prefix, self.sizes = checked_prefix(index), checked_sizes(shards, replicas, merge, bulk_mb)
        self.user, self.password_file, self.ca_file, self.verify = user, password_file, ca_file, verify

    def store(self, folder: Path) -> Server:
        """The server; nothing of it is in ``folder``."""
        del folder
        if self.url is None:
            raise InputError(f"engine={self.name} needs engine.url, as engine.url=https://HOST:9200")
        access = checked_access(self.header(), self.url, self.ca_file, self.verify)
        connection = Connection(
            self.url, access, name=self.name, secret_variable=self.variable, timeout=self.timeout, retries=self.retries
        )
        return self.server(connection, self.form, self.prefix, self.sizes)

    def header(self) -> str | None:
        """The header that says who one is; None where nothing is given."""
        password = secret(self.variable, self.password_file)
        if self.user is not None and password is None:
            raise InputError(
                f"engine.user={self.user}: its password is missing. Put it into the environment's {self.variable}, or "
                "into a file that engine.password_file names"
            )
        return None if password is None else basic(self.user or self.administrator, password)
