"""The calibration that a user made of an index with queries of their own, beside what the build stored.

``calibration/`` stands beside ``inverted_index/``: a table with the recall measured for each part of the index, and the
queries' source, number and date in its header. It names each part by the checksum of that part's header. A part that
it does not name (appended or merged since, or built anew) keeps the calibration of its own build.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from splade.files import read_json, standing, whole_folder
from splade.indexing.format.storage import HEADER, CorruptIndexError, read_table, write_table
from splade.indexing.layout.promise import GROUPS, SHAPE, Calibration

logger = logging.getLogger(__name__)

CALIBRATION = "calibration"
REMEDY = "Remove this folder, and calibrate again with python -m splade.calibrate; the index itself is not concerned"


def header_of(path: Path) -> Path:
    """The file that is replaced with each calibration of the index at ``path``."""
    return standing(path / CALIBRATION) / HEADER


def checksum_of(folder: Path) -> int:
    """The checksum that names the part of an index in ``folder``."""
    return int(read_json(folder / HEADER)["checksum"])


def read_calibrations(path: Path, folders: Sequence[Path]) -> list[Calibration | None]:
    """The user's calibration of each part of the index at ``path``, given their folders; None for parts without one.

    CorruptIndexError where it is damaged.
    """
    folder = standing(path / CALIBRATION)
    if not folder.is_dir():
        return [None] * len(folders)
    try:
        header, arrays = read_table(folder, "calibration", verify=True)
        parts = [int(part) for part in header["parts"]]
        source, n_queries, date = str(header["source"]), int(header["n_queries"]), str(header["date"])
        promised, measured = (np.array(arrays[name]).reshape(-1, *SHAPE) for name in ("promised", "measured"))
        queries = np.array(arrays["queries"]).reshape(-1, 2, GROUPS)
    except (CorruptIndexError, KeyError, TypeError, ValueError) as error:
        raise CorruptIndexError(f"{folder}: damaged calibration ({error}). {REMEDY}") from error
    known = {
        part: Calibration(promised[n], measured[n], queries[n, 0], queries[n, 1], source, n_queries, date)
        for n, part in enumerate(parts)
    }
    found = [known.get(checksum_of(place)) for place in folders]
    if None in found:
        logger.info(
            "%s: made with %d queries of %s, before %d of the %d parts of the index were written; calibrate again to "
            "have these measured too", folder, n_queries, source, found.count(None), len(found),
        )  # fmt: skip
    return found


def write_calibrations(path: Path, folders: Sequence[Path], made: Sequence[Calibration]) -> None:
    """Make ``made`` the calibration of the parts in ``folders``, in one step; the index must be held for writing."""
    about = {name: getattr(made[0], name) for name in ("source", "n_queries", "date")}
    arrays = {
        "promised": np.concatenate([one.promised.reshape(-1) for one in made]),
        "measured": np.concatenate([one.measured.reshape(-1) for one in made]),
        "queries": np.concatenate([part for one in made for part in (one.n_own, one.n_used)]).astype(np.int32),
    }
    with whole_folder(path / CALIBRATION) as folder:
        write_table(folder, "calibration", {"parts": [checksum_of(place) for place in folders], **about}, arrays)
