"""Pickles of plain values, read without running anything they name.

A pickle may call any function that it names. This reader knows a handful of harmless names, puts functions of
its own in the place of NumPy's, and refuses all other names before they are looked up.
"""

import pickle
import zlib
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from splade.files import InputError, open_binary

NUMBER_CODES = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"f2", "f4", "f8", "b1"}


def read_pickle(path: str | Path) -> Any:
    """The value of a pickle, ``.gz`` or not, that holds only plain containers, strings and numbers.

    Accepted: dict (OrderedDict, defaultdict), list, tuple, str, int, float, bool, None and NumPy numbers,
    which become Python's. Anything else is an InputError that names it; nothing is imported or executed.
    """
    try:
        with open_binary(path) as stream:
            value = _PlainUnpickler(stream, Path(path)).load()
            stream.read(1)  # what follows is ignored, but a gzip file checks itself only at its end
            return value
    except InputError:
        raise
    except (
        pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError,
        ImportError, zlib.error, OSError, RecursionError,
    ) as error:  # fmt: skip
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise InputError(f"{path}: not a readable pickle: {error or type(error).__name__}") from error


class _NumberType:
    """Stands for ``numpy.dtype``: number types by their code, with the byte order that comes as state."""

    def __init__(self, code: str, align: Any = False, copy: Any = True) -> None:  # noqa: ARG002 - as pickled
        if code not in NUMBER_CODES:
            raise ValueError(f"a NumPy value of type {code!r}; only numbers are accepted")
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        self.order = ">" if state[1] == ">" else "<"


class _Number:
    """Stands for NumPy's scalar constructor; gives a Python number. A pickle cannot set attributes on it."""

    __slots__ = ()

    def __call__(self, kind: _NumberType, raw: bytes) -> Any:
        return np.frombuffer(raw, np.dtype(kind.order + kind.code), count=1)[0].item()


class _Latin1:
    """Stands for the codec call by which old pickle protocols spell bytes. A pickle cannot set attributes on it."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise ValueError(f"bytes in the encoding {encoding!r}")
        return text.encode("latin1")


PLAIN: dict[tuple[str, str], Any] = {
    **{("builtins", kind.__name__): kind for kind in (dict, list, tuple, str, int, float, bool)},
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _Number(),
    ("numpy._core.multiarray", "scalar"): _Number(),
    ("_codecs", "encode"): _Latin1(),
}


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: Any, path: Path) -> None:
        super().__init__(stream)
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module
        if (module, name) not in PLAIN:
            raise InputError(
                f"{self._path}: the pickle names {module}.{name}, which may run code; nothing of it was run. "
                "Accepted are dict, list, tuple, str, int, float and NumPy numbers"
            )
        return PLAIN[module, name]
