"""Writing a whole index into a folder: postings, ids, terms, and the header that makes it one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from splade.indexing.format.choices import Layout
from splade.indexing.format.doc_ids import DocIds
from splade.indexing.format.storage import TableWriter, forget_pages, write_header
from splade.indexing.format.vocabulary import Vocabulary
from splade.indexing.format.weights import Codec
from splade.indexing.layout.blocked import Account, blocks_from, lay_out
from splade.indexing.layout.calibration import calibrate
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
    describe: Callable[[Account], Mapping[str, Any]],
) -> None:
    """Write the index of all documents of ``source`` into the empty ``folder``.

    ``layout`` are the choices. ``describe`` returns the header's values besides counts and codec, given the account
    of the layout: at least ``empty_docs``, ``fingerprint``, ``metadata``, and the ``layout`` to remember.
    """
    with TableWriter(folder) as table:
        account = lay_out(source, codec, layout, table.write, memory_mb=memory_mb)
        for name, array in (ids.arrays | (vocabulary.arrays() if vocabulary is not None else {})).items():
            table.write(name, array)
        if account.drawn is not None:
            _add_calibration(table, account.drawn, layout)
    header = {
        "n_docs": source.n_docs,
        "vocab_size": len(source.offsets) - 1,
        "n_postings": account.n_postings,
        "weights": list(codec),
        **describe(account),
    }
    write_header(folder, "index", header, table.entries)


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
