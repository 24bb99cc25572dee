"""The engines that have documents in a folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from splade.dense.index import DenseIndex
from splade.engines.dense import OpenedDense
from splade.engines.inverted import OpenedInverted
from splade.engines.own import OWN
from splade.engines.places.kept import Kept
from splade.engines.places.ledger import read_contents, read_state
from splade.engines.protocol import unknown_in
from splade.indexing import InvertedIndex


class Known(Protocol):
    """The part of an `Opened` that says which documents there are."""

    path: Path | None

    def unknown(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of ``doc_ids`` that no search can find."""


class KnownIds:
    """The documents of an engine that keeps their ids in ``folder``, and the vectors elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.path: Path | None = folder
        self._ids = read_contents(folder, read_state(folder).build).ids

    def unknown(self, doc_ids: Iterable[str]) -> list[str]:
        """Those of ``doc_ids`` that are not there."""
        return unknown_in(self._ids.numbers, doc_ids)


def engines_in(folder: str | Path) -> list[str]:
    """The names of the engines that have documents in ``folder``; BM25's are not vectors of a model."""
    found = [name for name, engine in OWN.items() if engine(Path(folder)).exists()]
    return [name for name in found if name != "inverted"] if "bm25" in found else found


def open_folder(folder: str | Path) -> Known:
    """The documents in ``folder``, of whichever engine, inverted first, to be looked up; InputError without any.

    Their arrays are not read to verify them, and no server is asked.
    """
    found = engines_in(folder)
    if found == ["dense"]:
        return OpenedDense(DenseIndex.open(folder, verify=False))
    if len(found) == 1 and found[0] not in ("inverted", "bm25"):
        engine = OWN[found[0]](Path(folder))
        if isinstance(engine, Kept) and engine.folder is not None:
            return KnownIds(engine.folder)
        return engine.open()
    return OpenedInverted(InvertedIndex.open(folder, verify=False))
