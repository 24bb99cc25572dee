"""Keeping two processes from writing one thing."""

import logging
import os
import weakref
from pathlib import Path

from splade.files import InputError

try:
    import fcntl
except ImportError:  # not POSIX: two processes that write one index at a time are not noticed
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)


class Lock:
    """Holds the file ``path`` until `release`, or until the process ends, however it ends.

    InputError where another process holds it; ``what`` is being written, ``remedy`` says what to do.
    """

    def __init__(self, path: Path, remedy: str, what: str = "index") -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self.release = weakref.finalize(self, os.close, descriptor)
        if fcntl is None:
            return
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise InputError(f"{path.parent}: another process is writing this {what}. {remedy}") from error
        except OSError:  # a file system without locks
            logger.debug("%s: no file locks here", path)
