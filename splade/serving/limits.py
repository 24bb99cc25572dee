"""The limits of a server, with the defaults of Text Embeddings Inference where it has the same one."""

import ipaddress
from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds on requests; ValueError, by `checked`, for one that is out of range."""

    max_client_batch_size: int = 32  # texts in a request
    max_concurrent_requests: int = 512  # being answered or waiting; more are refused with 429
    max_batch_tokens: int = 16384  # in a batch, padding counted
    max_batch_requests: int | None = None  # texts in a batch; None: as many as the tokens allow
    queue_size: int = 16384  # texts that wait to be encoded
    payload_limit: int = 2_000_000  # bytes of a body
    max_k: int = 1000  # hits of a search
    max_rerank_texts: int = 1000  # texts of one reranking or explanation, in several batches
    deadline_seconds: float = 30.0  # from the arrival of a request

    def checked(self) -> "Limits":
        """These limits; ValueError names the first that is below 1, or a deadline of nothing."""
        for name, value in self._asdict().items():
            least = 0.001 if name == "deadline_seconds" else 1
            if value is not None and value < least:
                raise ValueError(f"serve.{name}={value}: must be at least {least}")
        return self


def is_loopback(host: str) -> bool:
    """True where only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
