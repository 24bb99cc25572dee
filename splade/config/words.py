"""Errors that a user can repair, told in a sentence with an exit code, without a traceback."""

import errno
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from hydra.errors import InstantiationException
from omegaconf.errors import OmegaConfBaseException

from splade.config.composing.processes import one_of_several
from splade.files import InputError

Result = TypeVar("Result")
USAGE_ERROR, INTERRUPTED = 2, 130
FULL = "Free space there and run the same command again; what stood there before is whole"
CLOSED = "Make it writable, or name another folder"
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: CLOSED,
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
    errno.ENOTDIR: "A file stands where a folder is needed: name another folder",
    errno.EEXIST: "A file stands where a folder is needed: name another folder",
}


def in_words(name: str, run: Callable[[], Result]) -> Result:
    """Return the result of ``run``; the errors a user can repair are printed in a sentence and end the program.

    One of several processes (torchrun) ends at once after any error: the end of the interpreter might wait for threads
    that wait for the others, and these learn of the error by the end of this process.
    """
    try:
        return _in_words(name, run)
    except BaseException as error:
        if one_of_several(os.environ):
            _leave_at_once(error)
        raise


def _in_words(name: str, run: Callable[[], Result]) -> Result:
    try:
        with _threads_in_words():
            return run()
    except KeyboardInterrupt as error:
        _stop(name, str(error) or "interrupted", INTERRUPTED, error)
    except (InputError, OSError, InstantiationException) as error:
        told = told_of(error)
        if told is None:
            raise
        _stop(name, told, USAGE_ERROR, error)
    except OmegaConfBaseException as error:
        _stop(name, str(error).splitlines()[0], USAGE_ERROR, error)
    raise AssertionError("unreachable")


@contextmanager
def _threads_in_words() -> Iterator[None]:
    """Have a thread that fails on a file (TensorBoard's, on a full disk) say so in a line, without a traceback."""
    former = threading.excepthook

    def say(failed: Any) -> None:
        if isinstance(failed.exc_value, OSError):
            print(_sentence(failed.exc_value), file=sys.stderr)
        else:
            former(failed)

    threading.excepthook = say
    try:
        yield
    finally:
        threading.excepthook = former


def told_of(error: BaseException) -> str | None:
    """The sentence for an error that a user can repair; None for any other."""
    if not isinstance(error, InstantiationException):
        return _sentence(error)
    if not isinstance(error.__cause__, ValueError | TypeError | OSError | ImportError):
        return None
    node = re.search(r"full_key: (\S+)", str(error))
    return _sentence(error.__cause__, node[1] if node else "")


def _sentence(error: BaseException, where: str = "") -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        remedy = REMEDIES.get(error.errno or 0)
        text = f"{text}. {remedy}" if remedy else text
    return text if isinstance(error, InputError) or not where else f"{where}: {text}"


def _leave_at_once(error: BaseException) -> NoReturn:
    """End this process now, with the exit code of ``error``, which is printed unless it says only that."""
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
    elif isinstance(error.code, str):
        print(error.code, file=sys.stderr)
    code = (error.code or 0) if isinstance(error, SystemExit) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _stop(name: str, message: str, code: int, error: BaseException) -> None:
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        raise error
    print(f"splade {name}: {message}", file=sys.stderr)
    raise SystemExit(code) from None
