"""Client packages of other systems: imported when they are used, and said in words where they are not installed."""

import importlib
import logging
from typing import Any

from splade.files import InputError


def package(module: str, engine: str) -> Any:
    """The module ``module``; InputError with the extra of ``engine`` to install where it cannot be imported."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"engine={engine} needs the package of {module}, which cannot be imported ({error}). "
            f"Install it: pip install 'splade[{engine}]'"
        ) from error


class Heard(logging.Filter):
    """Keeps from the log what a client says of an error that it raises as well, which is told in words.

    ``last`` is the last such error, for a client that says it only there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a record of an error, or a warning of one."""
        if record.levelno < logging.WARNING:
            return True
        self.last = str(record.exc_info[1]) if record.exc_info else record.getMessage()
        return False


def hear(name: str) -> Heard:
    """The one filter of this kind of the logger ``name``."""
    logger = logging.getLogger(name)
    for there in logger.filters:
        if isinstance(there, Heard):
            return there
    heard = Heard()
    logger.addFilter(heard)
    return heard
