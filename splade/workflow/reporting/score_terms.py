"""Texts by id, and the products of query and document weights, for the systems of a comparison whose vectors lie here.

This module starts without torch.
"""

from collections.abc import Mapping, Sequence

from splade.comparing import term_products
from splade.comparing.comparison import Comparison
from splade.comparing.moves import Lookup, Products
from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.engines import Bm25
from splade.engines.bm25 import is_bm25
from splade.engines.inverted import OpenedInverted
from splade.engines.protocol import texts_of
from splade.files import InputError
from splade.indexing import Index, InvertedIndex
from splade.records import SparseBatch
from splade.workflow.given_vectors import given_queries

INDEX, VECTORS = "compare.index_dir", "compare.queries_vectors"


def texts_by_id(source: str | None, what: str) -> Lookup:
    """Return the lookup of the texts of ``source``, queries or documents; it knows none without a source."""
    if source is None:
        return text_of(None)
    return text_of(open_queries(source) if what == "queries" else open_collection(source))


def text_of(collection: Collection | None) -> Lookup:
    """Return the lookup of the texts of an opened collection; it knows none without one."""

    def text(id: str) -> str | None:
        return None if collection is None or collection.find([id])[0] < 0 else collection[id]

    return text


def products_at_hand(
    comparison: Comparison,
    index_dirs: Sequence[str | None] | None,
    queries_vectors: Sequence[str | None] | None,
    queries: str | None = None,
) -> Products:
    """Return the products by term of the systems whose index and query vectors are given, one entry for each system.

    BM25's index needs no vectors: it weighs the texts of ``queries``. InputError for lists of other lengths, an index
    without query vectors or the reverse, a dense index, and for several query sets.
    """
    if index_dirs is None and queries_vectors is None:
        return lambda *_: None
    dirs = _entries(INDEX, index_dirs, comparison)
    vectors = _entries(VECTORS, queries_vectors, comparison)
    if len(comparison.sets) > 1:
        raise InputError(
            f"{INDEX}: an index and query vectors are of one query set, and these systems have "
            f"{', '.join(comparison.sets)}; compare the folders of one of them, as OUT/DEV"
        )
    opened = {
        name: _opened(name, folder, source, queries)
        for name, folder, source in zip(comparison.names, dirs, vectors, strict=True)
        if folder is not None or source is not None
    }

    def products(system: str, query_id: str, doc_id: str) -> Mapping[str, float] | None:
        if system not in opened:
            return None
        index, asked = opened[system]
        return term_products(asked, query_id, index, doc_id)

    return products


def _entries(address: str, given: Sequence[str | None] | None, comparison: Comparison) -> list[str | None]:
    if given is None:
        return [None] * len(comparison.names)
    if len(given) != len(comparison.names):
        raise InputError(
            f"{address} has {len(given)} entries, and there are {len(comparison.names)} systems: "
            f"{', '.join(comparison.names)}. Give one for each, null for a system without"
        )
    return list(given)


def _opened(name: str, folder: str | None, source: str | None, queries: str | None) -> tuple[Index, SparseBatch]:
    """The index of a system, and its query vectors in the terms of that index."""
    if folder is None:
        raise InputError(f"{VECTORS}={source} ({name}): name the index that they search, in {INDEX}")
    index = InvertedIndex.open(folder, verify=False)
    if source is not None:
        return index, given_queries(source, OpenedInverted(index)).vectors
    if is_bm25(index.fingerprint) and queries is not None:
        return index, Bm25(folder).open().vectors(texts_of(open_queries(queries)))
    needed = "compare.queries, the texts that BM25 weighs" if is_bm25(index.fingerprint) else VECTORS
    raise InputError(f"{INDEX}={folder} ({name}): the queries' vectors are not known; set {needed}")
