"""Collections and queries: texts with ids, streamed in order or read one by one.

What may be named: a folder with ``raw.tsv``, a BEIR folder (``corpus.jsonl``, ``queries.jsonl``), a ``.tsv``
or ``.jsonl`` file, each ``.gz`` too, an ir_datasets id (``irds:beir/scifact/test``, or the bare id), or
``my_module.reader:PATH``: what a reader of the user's own finds at the path.
"""

from pathlib import Path

from splade.data.collections.collection import Collection, Selection
from splade.data.collections.file_collection import FileCollection
from splade.data.collections.irds import IrDocuments, IrQueries
from splade.data.collections.readers import own_collection
from splade.data.qrels import read_qrels
from splade.data.text_files.formats import TITLE_TEXT
from splade.data.text_files.sources import PREFIX, find_file, ir_dataset, split_of

COLLECTION_FILES = ("raw.tsv", "raw.tsv.gz", "corpus.jsonl", "corpus.jsonl.gz")
QUERY_FILES = ("raw.tsv", "raw.tsv.gz", "queries.jsonl", "queries.jsonl.gz")


def open_collection(source: str | Path | Collection, *, titles: str = TITLE_TEXT) -> Collection:
    """The documents that ``source`` names; without them an InputError that lists the files looked for.

    ``titles="text"`` reads no titles where the source has some; a collection, and what a reader of the user's own
    finds, is as it is.
    """
    return _open(source, COLLECTION_FILES, "docs", titles)


def open_queries(source: str | Path | Collection, *, split: str | None = None) -> Collection:
    """The queries that ``source`` names.

    With ``split`` (or ``FOLDER:split`` as the source) only those judged in the BEIR folder's
    ``qrels/<split>.tsv``. Raises InputError where there is nothing of the kind.
    """
    if isinstance(source, Collection):
        return source
    folder, named = split_of(source)
    split = split or named
    queries = _open(folder, QUERY_FILES, "queries")
    if split is None:
        return queries
    return Selection(queries, read_qrels(folder, split=split))


def _open(source: str | Path | Collection, names: tuple[str, ...], what: str, titles: str = TITLE_TEXT) -> Collection:
    if isinstance(source, Collection):
        return source
    kind = {"docs": "a collection", "queries": "queries"}[what]
    path = None if str(source).startswith(PREFIX) else find_file(source, names, kind.removeprefix("a "))
    if path is not None:
        return FileCollection(path, titles)
    own = own_collection(str(source))
    if own is not None:
        return own
    files = f"a .tsv or .jsonl file (.gz too), a folder with {', '.join(names)}"
    looked_for = f"{kind}: {files}, or an ir_datasets id; or my_module.reader:PATH"
    dataset = ir_dataset(str(source), what, looked_for)
    return IrDocuments(dataset, str(source), titles) if what == "docs" else IrQueries(dataset, str(source))
