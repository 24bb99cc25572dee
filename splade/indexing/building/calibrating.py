"""Calibrating a stored index with the queries that will come, so that approximate search keeps its promise on them."""

import datetime
from pathlib import Path
from typing import Any

from splade.files import InputError, standing
from splade.indexing.building.updates import REMEDY
from splade.indexing.format.storage import disk_errors
from splade.indexing.index.calibrated import write_calibrations
from splade.indexing.index.inverted_index import FOLDER, Index, InvertedIndex, base_folder
from splade.indexing.index.parts import Part
from splade.indexing.index.update_list import FOLDER as UPDATES
from splade.indexing.index.update_list import read_updates
from splade.indexing.index.writing import Writing
from splade.indexing.layout.calibration import calibrate
from splade.indexing.layout.promise import Calibration
from splade.kernels.compiled import read_only_rows
from splade.kernels.sparse import keep_entries
from splade.records import SparseRows


def calibrate_stored(
    path: str | Path, queries: SparseRows, source: str, *, date: str | None = None, seed: int = 0, n_threads: int = 1
) -> Index:
    """Measure ``queries``, rows over the terms of the index at ``path``, store what they let it promise, and open it.

    ``source`` and ``date`` (ISO; today) are told with every use of it. The calibration appears whole or not at all, in
    the place of an earlier one. Readers keep what they opened. InputError for no queries, for terms that the index
    does not have, and while somebody else writes the index.
    """
    path = Path(path)
    base_folder(path)
    with disk_errors(path, REMEDY):
        writing = Writing(path)
    with writing, disk_errors(path, REMEDY):
        index = InvertedIndex.open(path)
        n_queries = len(queries.offsets) - 1
        if n_queries == 0:
            raise InputError(f"{source}: there is no query in it to calibrate {path} with")
        if queries.columns.size and int(queries.columns.max()) >= index.vocab_size:
            raise InputError(
                f"{source}: term {int(queries.columns.max())} cannot calibrate {path} of {index.vocab_size} terms"
            )
        about = {"source": source, "n_queries": n_queries, "date": date or datetime.date.today().isoformat()}
        made = [_measured(part, queries, seed, n_threads, about) for part in index.parts]
        updates = read_updates(path, standing(path / FOLDER))
        places = [standing(path / FOLDER), *(standing(path / UPDATES / name / FOLDER) for name in updates.segments)]
        write_calibrations(path, places, made)
    return InvertedIndex.open(path, verify=False)


def _measured(part: Part, queries: SparseRows, seed: int, n_threads: int, about: dict[str, Any]) -> Calibration:
    """The calibration of one part; terms that it does not know are none of its queries' terms."""
    known = read_only_rows(keep_entries(queries, queries.columns < part.segment.vocab_size))
    return calibrate(part.segment.blocks, queries=known, seed=seed, n_threads=n_threads, **about)
