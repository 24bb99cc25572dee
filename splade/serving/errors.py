"""Refusals as they are answered: a status, a kind of error, and a sentence that has no trace of the program in it."""

from typing import Literal

ErrorType = Literal["unhealthy", "backend", "overloaded", "validation", "tokenizer", "empty"]


class Refused(Exception):
    """A request that is not answered; ``headers`` go with the refusal."""

    status, kind = 422, "validation"

    def __init__(self, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message, self.headers = message, headers or {}


class Empty(Refused):
    """Nothing to encode."""

    status, kind = 400, "empty"


class NotValid(Refused):
    """A value that is not accepted."""


class NotTokenized(Refused):
    """A text or token id that the tokenizer does not take."""

    kind = "tokenizer"


class NotAllowed(Refused):
    """No key, or a wrong one."""

    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class NotHere(Refused):
    """Another name for this machine than its own."""

    status = 421


class TooLarge(Refused):
    """A body of too many bytes."""

    status = 413


class Backend(Refused):
    """The model or the engine failed, or there is none for what was asked."""

    status, kind = 424, "backend"


class Overloaded(Refused):
    """Too much waits already."""

    status, kind = 429, "overloaded"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after)})


class Unhealthy(Refused):
    """The server cannot answer at all."""

    status, kind = 503, "unhealthy"
