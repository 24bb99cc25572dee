"""The choice of the documents that a search may return."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from splade.files import InputError
from splade.kernels.compiled import read_only

Allowed = ArrayLike | Iterable[str] | Iterable[int] | Iterable[bool]


def bitmap_of(index: Any, allowed: Allowed | None) -> NDArray[np.uint8]:
    """1 for each document of ``index`` that may be returned; empty where all may.

    ``allowed`` is a boolean per document, document numbers, or string ids: an array or any iterable, such as a list,
    a set or the keys of a dict. InputError for unknown ids, ValueError for any other value.
    """
    if allowed is None:
        return read_only(np.empty(0, np.uint8))
    if isinstance(allowed, str | bytes):
        raise ValueError(
            f"allowed must hold ids or numbers of documents, got the single {allowed!r}: give [{allowed!r}]"
        )
    flat = isinstance(allowed, Iterable) and not hasattr(allowed, "__array__")
    listed = np.asarray(list(allowed) if flat else allowed)  # type: ignore[arg-type]
    if listed.dtype.kind == "O" and all(isinstance(name, str) for name in listed.flat):
        listed = listed.astype(np.str_)  # as pandas keeps strings
    if listed.ndim != 1:
        raise ValueError(f"allowed must be flat, got shape {listed.shape}")
    n_docs = index.n_docs
    if listed.dtype == np.bool_:
        if len(listed) != n_docs:
            raise ValueError(f"allowed holds {len(listed)} booleans for {n_docs} documents")
        return read_only(listed.view(np.uint8))
    if listed.dtype.kind in "UOT":
        names = [str(name) for name in listed.tolist()]
        listed = index.doc_ids.numbers(names)
        if (listed < 0).any():
            raise InputError(f"allowed names documents that the index does not hold: {names[listed.argmin()]!r}")
    if listed.size and (listed.dtype.kind not in "iu" or listed.min() < 0 or listed.max() >= n_docs):
        raise ValueError(f"allowed must be booleans, string ids, or document numbers in [0, {n_docs})")
    bitmap = np.zeros(n_docs, np.uint8)
    bitmap[listed.astype(np.int64)] = 1
    return read_only(bitmap)
