"""The contract of a target: the files of another engine, written from vectors."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from splade.records import SparseBatch


class Written(NamedTuple):
    """Counts of the texts that were written, and of those among them that had no term left."""

    n_texts: int
    n_empty: int


class ExportTarget(Protocol):
    """Writes vectors in the format of another engine, into a folder of ``config.out_dir``.

    Its named arguments come from the config. ``words`` has one distinct word without white space per term id. Files
    are whole or absent (`splade.files.whole_file`), and every text is written, one without terms too. A class is named
    by ``+catalog.export.NAME=my_module.MyTarget config.export=NAME``, or by ``export._target_=my_module.MyTarget``;
    `splade.conformance.check_export_target` holds it to this.
    """

    def write_documents(
        self, folder: Path, documents: Iterable[tuple[SparseBatch, Sequence[str]]], words: Sequence[str]
    ) -> Written:
        """Write batches of document vectors with the texts that they are of."""

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write batches of query vectors."""
