"""Sparse vectors of many texts in parts that stay, and documents as maxima of their sentences' vectors.

The weight of a term in a text is its maximum over the text's tokens. So the maximum of the vectors of two texts is
what max pooling gives over the tokens of both, where each text is read on its own.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from splade.encoding import Encoder
from splade.files import whole_file
from splade.models import load_retriever
from splade.records import Text

logger = logging.getLogger(__name__)

PART = 2000  # texts in a file
MAX_LENGTH = 64  # tokens of a text
WINDOWS = 50_000  # documents that are made at a time


class Side(NamedTuple):
    """One side of the model in a folder."""

    model: Path
    name: str  # "query" or "document"


def encode(folder: Path, side: Side, texts: Sequence[str], *, workers: int = 1) -> sp.csr_matrix:
    """The vectors of ``texts``, CSR [texts, V] float32; parts that stand in ``folder`` are read, the others made.

    A part belongs to the place of its texts in ``texts``: the same texts must come first in every call, and more of
    them may come behind. The last part is made again once it has more texts. More than one of the ``workers`` are
    processes with one thread each.
    """
    parts = {folder / f"{first:07d}-{len(part)}.npz": part for first, part in _parts(texts)}
    missing = {path: part for path, part in parts.items() if not path.exists()}
    if workers > 1 and len(missing) > 1:
        with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
            jobs = {pool.submit(_encode_part, path, side, part): path for path, part in missing.items()}
            for done, job in enumerate(as_completed(jobs), 1):
                logger.info("%s: %.0f s, %d of %d parts", jobs[job], job.result(), done, len(jobs))
    else:
        for path, part in missing.items():
            logger.info("%s: %.0f s", path, _encode_part(path, side, part))
    return sp.vstack([sp.load_npz(path).tocsr() for path in parts], format="csr", dtype=np.float32)


def _parts(texts: Sequence[str]) -> list[tuple[int, Sequence[str]]]:
    return [(first, texts[first : first + PART]) for first in range(0, len(texts), PART)]


def _encode_part(path: Path, side: Side, texts: Sequence[str]) -> float:
    """Write the vectors of ``texts``; the seconds that took."""
    began = time.monotonic()
    encoder = Encoder(_loaded(side.model), side.name, max_length=MAX_LENGTH)
    found = encoder.encode_all(Text(str(number), text) for number, text in enumerate(texts))
    offsets, columns, weights = found.rows
    save(path, sp.csr_matrix((weights, columns, offsets), shape=(len(texts), found.vocab_size)))
    return time.monotonic() - began


@cache
def _loaded(model: Path) -> Any:
    return load_retriever(model)


def save(path: Path, matrix: sp.csr_matrix) -> None:
    """Write ``matrix`` whole or not at all."""
    with whole_file(path, "wb") as stream:
        sp.save_npz(stream, matrix, compressed=False)


def maxima(sentences: sp.csr_matrix, windows: Sequence[Sequence[int]]) -> sp.csr_matrix:
    """Row i is the maximum of the rows ``windows[i]``, one at least, of ``sentences``; CSR, columns increase."""
    firsts = range(0, len(windows), WINDOWS)
    return sp.vstack([_maxima(sentences, windows[first : first + WINDOWS]) for first in firsts], format="csr")


def _maxima(sentences: sp.csr_matrix, windows: Sequence[Sequence[int]]) -> sp.csr_matrix:
    longest = max(map(len, windows))
    rows = np.array([[*window, *[window[-1]] * (longest - len(window))] for window in windows])  # a row twice is once
    strongest = sentences[rows[:, 0]]
    for others in rows.T[1:]:
        strongest = strongest.maximum(sentences[others])
    strongest.sort_indices()
    return strongest


def medians_over_maxima(matrix: sp.csr_matrix) -> NDArray[np.float64]:
    """The median weight of every row that has any over its largest one."""
    pairs = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    rows = [matrix.data[start:stop] for start, stop in pairs if stop > start]
    return np.array([np.median(row) / row.max() for row in rows])
