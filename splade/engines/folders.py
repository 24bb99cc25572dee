"""The engines that have documents in a folder."""

from pathlib import Path

from splade.dense.index import DenseIndex
from splade.engines.dense import OpenedDense
from splade.engines.inverted import OpenedInverted
from splade.engines.own import OWN
from splade.engines.protocol import Opened
from splade.indexing import InvertedIndex


def engines_in(folder: str | Path) -> list[str]:
    """The names of the engines that have documents in ``folder``; BM25's are not vectors of a model."""
    found = [name for name, engine in OWN.items() if engine(Path(folder)).exists()]
    return [name for name in found if name != "inverted"] if "bm25" in found else found


def open_folder(folder: str | Path) -> Opened:
    """The documents in ``folder``, of whichever engine, inverted first, to be looked up; InputError without any.

    Their arrays are not read to verify them.
    """
    found = engines_in(folder)
    if found == ["dense"]:
        return OpenedDense(DenseIndex.open(folder, verify=False))
    if len(found) == 1 and found[0] not in ("inverted", "bm25"):
        return OWN[found[0]](Path(folder)).open()
    return OpenedInverted(InvertedIndex.open(folder, verify=False))
