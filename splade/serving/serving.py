"""All that the routes of one server share: its systems, limits, measures, and the count of what is being answered."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, NamedTuple

from splade.serving.errors import Backend, NotValid, Overloaded
from splade.serving.limits import Limits
from splade.serving.metrics import Metrics
from splade.serving.searching import STRATEGIES
from splade.serving.sides import Sides
from splade.serving.system import Standing, System


class About(NamedTuple):
    """The names that a server tells of itself."""

    model_id: str
    served_model_name: str
    version: str
    key: str | None = None
    local: bool = False  # only this machine can reach it, so that no other name leads to it


class Serving:
    """The systems of a server by name, the first of them asked where a request names none.

    ``searchers`` are the threads that search; ``how`` are the settings of a search, ``threshold`` and the like.
    """

    def __init__(
        self,
        systems: Mapping[str, System],
        limits: Limits,
        metrics: Metrics,
        about: About,
        searchers: Executor,
        threshold: float = 0.0,
    ) -> None:
        self.systems, self.limits, self.metrics, self.about = dict(systems), limits, metrics, about
        self.searchers, self.threshold = searchers, threshold
        self.n_answering = 0

    @property
    def first(self) -> System:
        """The system that is asked where a request names none."""
        return next(iter(self.systems.values()))

    def system(self, name: str | None) -> System:
        """The system of a name; NotValid where there is none."""
        if name is None:
            return self.first
        if name not in self.systems:
            raise NotValid(f"`system` {name!r} is not one of {', '.join(self.systems)}")
        return self.systems[name]

    def sides(self, name: str | None = None) -> Sides:
        """The model of a system; Backend where it has none, or one whose vectors are not sparse."""
        system = self.system(name)
        if system.kind == "dense":
            raise Backend(
                "this server's model is dense: its vectors have no terms, and only /search takes texts for it"
            )
        found = system.sides
        if found is None:
            raise Backend("this server has an engine of texts and no model that makes vectors of them")
        return found

    def standing(self, name: str | None = None) -> Standing:
        """The index of a system as it stands now; Backend where it has none."""
        found = self.system(name).standing
        if found is None:
            raise Backend("this server has no index to search: it was started with serve.search=false")
        return found

    def deadline(self) -> float:
        """The time of the monotonic clock by which a request that comes now is answered."""
        return time.monotonic() + self.limits.deadline_seconds

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count one request more for the time of the block; Overloaded where there are too many."""
        if self.n_answering >= self.limits.max_concurrent_requests:
            raise Overloaded(
                f"{self.n_answering} requests are being answered, and no more than "
                f"{self.limits.max_concurrent_requests} are at a time", retry_after=1,
            )  # fmt: skip
        self.n_answering += 1
        try:
            yield
        finally:
            self.n_answering -= 1

    def info(self) -> dict[str, Any]:
        """Describe the model, the limits and the systems, as ``/info`` tells."""
        limits, sides = self.limits, self.first.sides
        encoders = {} if sides is None else sides.loaded
        loaded = encoders.get("document", encoders.get("query"))  # a client that names no side has documents
        return {
            "model_id": self.about.model_id,
            "model_sha": None if loaded is None else loaded.fingerprint(),
            "model_dtype": "float32" if loaded is None else loaded.precision,
            "served_model_name": self.about.served_model_name,
            "model_type": {"embedding": {"pooling": "splade"}},
            "max_concurrent_requests": limits.max_concurrent_requests,
            "max_input_length": None if loaded is None else loaded.max_length,
            "max_batch_tokens": limits.max_batch_tokens,
            "max_batch_requests": limits.max_batch_requests,
            "max_client_batch_size": limits.max_client_batch_size,
            "auto_truncate": True,
            "tokenization_workers": 1,
            "version": self.about.version,
            "sha": None,
            "docker_label": None,
            "payload_limit": limits.payload_limit,
            "max_k": limits.max_k,
            "systems": {name: _told(system) for name, system in self.systems.items()},
        }

    def close(self) -> None:
        """Answer what waits, and stop."""
        for system in self.systems.values():
            system.close()
        self.searchers.shutdown()


def _told(system: System) -> dict[str, Any]:
    standing = system.standing
    if standing is None:
        return {"engine": None, "problem": system.problem or None}
    opened = standing.opened
    return {
        "engine": system.engine,
        "n_docs": opened.n_docs,
        "vocab_size": opened.vocab_size,
        "fingerprint": opened.fingerprint,
        "strategies": list(STRATEGIES) if standing.inverted else [],
        "strategy": standing.inverted.searcher.strategy if standing.inverted else None,
        "texts": standing.texts is not None,
        "explains": system.sides is not None,
        "generation": standing.generation,
        "problem": system.problem or None,
    }
