"""The engines that have documents in a folder."""

from pathlib import Path

from splade.engines import OWN
from splade.engines.protocol import Opened


def engines_in(folder: str | Path) -> list[str]:
    """The names of the engines that have documents in ``folder``; BM25's are not vectors of a model."""
    found = [name for name, engine in OWN.items() if engine(Path(folder)).exists()]
    return [name for name in found if name != "inverted"] if "bm25" in found else found


def open_folder(folder: str | Path) -> Opened:
    """The documents in ``folder``, of whichever engine, inverted first; InputError where there are none."""
    found = engines_in(folder)
    return OWN[found[0] if found else "inverted"](Path(folder)).open()
