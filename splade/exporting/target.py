"""The contract of a target: the files of another engine, written from vectors."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from splade.kernels.sparse import keep_entries
from splade.records import SparseBatch

Documents = Iterable[tuple[SparseBatch, Sequence[str]]]
"""Batches of document vectors, each with the texts that they are of; a text that is not at hand is ""."""


class Written(NamedTuple):
    """Counts of the texts that were written, and of those among them that had no term left."""

    n_texts: int
    n_empty: int


class Observed(NamedTuple):
    """Counts of the documents, known before the first of them is written."""

    n_docs: int
    n_postings: int
    vocab_size: int
    largest: float  # weight of a document


class ExportTarget(Protocol):
    """Writes vectors in the format of another engine, into a folder of ``config.out_dir``.

    Its named arguments come from the config. ``words`` has one distinct word without white space per term id. Files
    are whole or absent (`splade.files.whole_file`), and every text is written, one without terms too. A class is named
    by ``+catalog.export.NAME=my_module.MyTarget export.target=NAME``, or by ``export._target_=my_module.MyTarget``;
    `splade.conformance.check_export_target` holds it to this. A `FileTarget` can be checked after it was written.
    """

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write batches of document vectors with the texts that they are of."""

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write batches of query vectors."""


class FileTarget:
    """Base of the targets that come with splade: says what its engine keeps of a weight, and reads its files back.

    ``leaves_out_empty``: texts without terms are not in the files, since the engine refuses them.
    ``reorders``: documents are read back in another order than they were written.
    """

    resuming: bool = False  # True: whole files that are in the folder already are of the same documents, and stay
    leaves_out_empty: bool = False
    reorders: bool = False
    documents_in: Path | None = None  # the folder of the documents' files, when queries are written or read

    def prepare(self, observed: Observed) -> None:
        """Take the counts of all documents before the first is written; InputError for what cannot be held.

        Called for a check too, with the same counts.
        """

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:  # noqa: ARG002
        """The weights [n] of ``side`` ("document" or "query") as the engine computes with them, in the same unit.

        0 where a term is left out. What the files hold is read back as exactly this. Here: all of them, unchanged.
        """
        return weights

    def kept_weights(self, side: str, batch: SparseBatch) -> NDArray[np.float32]:
        """The weights of ``batch`` as `kept` says; for a target that looks at whole vectors or at terms as well."""
        return self.kept(side, batch.rows.weights)

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write batches of document vectors with the texts that they are of."""
        raise NotImplementedError

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write batches of query vectors."""
        raise NotImplementedError

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of the files in ``folder``, weights as `kept` says.

        InputError with file and line for what the engine would refuse, or would read otherwise.
        """
        raise NotImplementedError

    def read_queries(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The queries of the files in ``folder``, as `read_documents`."""
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest.

        ``quantization``: what is done to a weight, in words. ``load``: the commands or steps that load documents and
        search queries, one string each. ``scores``: what the engine's score is, compared with ours.
        """
        raise NotImplementedError


def kept_rows(target: FileTarget, side: str, batch: SparseBatch) -> SparseBatch:
    """``batch`` as the engine of ``target`` has it: weights changed, terms left out."""
    weights = np.asarray(target.kept_weights(side, batch), np.float32)
    return batch._replace(rows=keep_entries(batch.rows._replace(weights=weights), weights > 0))
