"""Writing a whole index into a folder: postings, ids, terms, and the header that makes it one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from splade.indexing.format.choices import Layout
from splade.indexing.format.doc_ids import DocIds
from splade.indexing.format.storage import TableWriter, forget_pages, map_array, write_header
from splade.indexing.format.vocabulary import Vocabulary
from splade.indexing.format.weights import Codec
from splade.indexing.layout.blocked import Account, blocks_from, lay_out
from splade.indexing.layout.calibration import calibrate
from splade.indexing.layout.fitting import Choice, Fit, fit_of, lay_out_within
from splade.indexing.layout.promise import to_arrays
from splade.indexing.layout.sources import Source
from splade.records import SparseRows


def write_index(
    folder: Path,
    source: Source,
    ids: DocIds,
    *,
    codec: Codec,
    layout: Layout,
    vocabulary: Vocabulary | None,
    memory_mb: int,
    describe: Callable[[Account, Choice], Mapping[str, Any]],
    largest: float = 0.0,
) -> Fit | None:
    """Write the index of all documents of ``source`` into the empty ``folder``.

    ``layout`` are the choices; with ``max_bytes`` among them, ``largest`` is the largest weight, and the `Fit` that was
    found is stored and returned. ``describe`` returns the header's values besides counts and codec, given the account
    of the layout and the choice that was laid out: at least ``empty_docs``, ``fingerprint``, ``metadata``, and the
    ``layout`` to remember.
    """
    beside = ids.arrays | (vocabulary.arrays() if vocabulary is not None else {})
    entries: dict[str, dict[str, Any]] = {}

    def lay(choice: Choice) -> tuple[Account, int]:
        for left in folder.glob("*.bin"):  # of a choice that turned out too large
            left.unlink()
        with TableWriter(folder) as table:
            account = lay_out(choice.source, choice.codec, choice.layout, table.write, memory_mb=memory_mb)
            for name, array in beside.items():
                table.write(name, array)
            if account.drawn is not None:
                _add_calibration(table, account.drawn, choice.layout)
        entries.clear()
        entries.update(table.entries)
        return account, sum(np.dtype(entry["dtype"]).itemsize * int(entry["length"]) for entry in entries.values())

    choice, account = lay_out_within(
        source,
        layout,
        codec,
        largest=largest,
        beside=sum(array.nbytes for array in beside.values()),
        memory_mb=memory_mb,
        lay=lay,
    )
    arrays = {name: map_array(folder, name, entry) for name, entry in entries.items()}
    fit = fit_of(source, choice, layout, arrays)
    header = {
        "n_docs": source.n_docs,
        "vocab_size": len(source.offsets) - 1,
        "n_postings": account.n_postings,
        "weights": list(choice.codec),
        **describe(account, choice),
        **({"fit": fit._asdict()} if fit else {}),
    }
    write_header(folder, "index", header, entries)
    return fit


def _add_calibration(table: TableWriter, drawn: SparseRows, layout: Layout) -> None:
    """Measure what approximate search may leave out, on queries made up from documents, and store it."""
    arrays = table.mapped()
    made = calibrate(
        blocks_from(arrays),
        drawn,
        seed=layout.seed,
        n_threads=layout.threads,
        between=lambda: forget_pages(arrays.values()),
    )
    for name, array in to_arrays(made).items():
        table.write(name, array)
