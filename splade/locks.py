"""Keeping all writers of one thing but one out: those of other processes, and those of this one."""

import logging
import os
import threading
import weakref
from pathlib import Path

from splade.files import InputError

try:
    import fcntl
except ImportError:  # not POSIX: two processes that write one index at a time are not noticed
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

Key = tuple[int, int]  # device and inode

_HELD: dict[Key, int] = {}  # files that a lock of this process holds, and the process, which a fork is not
_CHANGING = threading.RLock()  # a lock that is forgotten is released wherever the collector runs, here too


class Lock:
    """Holds the file ``path`` until `release`, or until the process ends, however it ends.

    Folders that are missing above it are made. ``what`` is being written, ``remedy`` says what to do. InputError
    where another process holds the file, and where another lock of this process does: POSIX would grant both, and
    closing either would let go of the file for good. A lock that is forgotten is released.
    """

    def __init__(self, path: Path, remedy: str, what: str = "index") -> None:
        with _CHANGING:
            while True:
                path.parent.resolve().mkdir(parents=True, exist_ok=True)
                there = _key(path)
                if (
                    there is not None and _HELD.get(there) == os.getpid()
                ):  # before it is opened: closing it would let go of it
                    raise InputError(
                        f"{path.parent}: this process is writing this {what} already. Finish or leave the one that "
                        "writes it first"
                    )
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                _refuse_other_processes(descriptor, path, remedy, what)
                key = _key(path)
                if key is not None and os.fstat(descriptor).st_nlink:
                    break
                os.close(descriptor)  # its holder removed it meanwhile, so others will not look there
            _HELD[key] = os.getpid()
        self._descriptor = descriptor
        self.release = weakref.finalize(self, _let_go, key, descriptor, os.getpid())

    @property
    def is_held(self) -> bool:
        """True until the lock is released."""
        return self.release.alive

    @property
    def is_there(self) -> bool:
        """True while the lock is held and its file has not been removed."""
        return self.is_held and os.fstat(self._descriptor).st_nlink > 0


def _refuse_other_processes(descriptor: int, path: Path, remedy: str, what: str) -> None:
    """Lock an open file against other processes. InputError where one of them has it."""
    if fcntl is None:
        return
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        os.close(descriptor)
        raise InputError(f"{path.parent}: another process is writing this {what}. {remedy}") from error
    except OSError:  # a file system without locks
        logger.debug("%s: no file locks here", path)


def _key(path: Path) -> Key | None:
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_dev, state.st_ino


def _let_go(key: Key, descriptor: int, process: int) -> None:
    if os.getpid() != process:  # a fork: the file is held by the process that it was forked from
        return
    with _CHANGING:
        _HELD.pop(key, None)
        os.close(descriptor)
