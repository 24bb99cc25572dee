"""Assigning documents to the centre they are most like, by inner product."""

import numpy as np
from numpy.typing import NDArray

from splade.kernels.compiled import kernel, read_only_rows
from splade.kernels.sparse import transpose
from splade.records import SparseRows


def chosen_postings(postings: SparseRows, n_docs: int, chosen: NDArray[np.integer]) -> SparseRows:
    """The postings of the ``chosen`` documents, which are numbered anew in the order given."""
    numbers = np.full(n_docs, -1, np.int32)
    numbers[chosen] = np.arange(len(chosen), dtype=np.int32)
    counts = np.zeros(len(chosen), np.int64)
    count_chosen(postings, numbers, counts)
    total = int(counts.sum())
    offsets = np.zeros(len(postings.offsets), np.int64)
    columns, weights = np.empty(total, np.int32), np.empty(total, np.float32)
    take_chosen(postings, numbers, offsets, columns, weights)
    return read_only_rows(SparseRows(offsets, columns, weights))


def rows_of(postings: SparseRows, n_docs: int, chosen: NDArray[np.integer]) -> SparseRows:
    """The ``chosen`` documents, increasing, as rows of terms; reads all postings once."""
    return transpose(chosen_postings(postings, n_docs, chosen), len(chosen))


@kernel
def rows_between(postings, cursors, first, last, offsets):  # type: ignore[no-untyped-def]
    """Terms and weights of documents ``first`` to ``last``, by document, and their ``offsets``, which are filled.

    ``cursors`` keep each term's next posting, of a document at least ``first``, and are moved on.
    """
    offsets[:] = 0
    n_terms = cursors.size
    for term in range(n_terms):
        p = cursors[term]
        while p < postings.offsets[term + 1] and postings.columns[p] < last:
            offsets[postings.columns[p] - first + 1] += 1
            p += 1
    for r in range(last - first):
        offsets[r + 1] += offsets[r]
    places = offsets[:-1].copy()
    terms, weights = np.empty(offsets[last - first], np.int32), np.empty(offsets[last - first], np.float32)
    for term in range(n_terms):
        p = cursors[term]
        while p < postings.offsets[term + 1] and postings.columns[p] < last:
            r = postings.columns[p] - first
            terms[places[r]] = term
            weights[places[r]] = postings.weights[p]
            places[r] += 1
            p += 1
        cursors[term] = p
    return terms, weights


@kernel
def count_chosen(postings, numbers, counts):  # type: ignore[no-untyped-def]
    """Add up how many postings each chosen document has; ``numbers`` is -1 for the others."""
    for p in range(postings.columns.size):
        number = numbers[postings.columns[p]]
        if number >= 0:
            counts[number] += 1


@kernel
def take_chosen(postings, numbers, offsets, centres, weights):  # type: ignore[no-untyped-def]
    """The postings of chosen documents, by term; ``offsets`` [terms + 1] are filled. Returns how many."""
    n = 0
    for term in range(postings.offsets.size - 1):
        offsets[term] = n
        for p in range(postings.offsets[term], postings.offsets[term + 1]):
            number = numbers[postings.columns[p]]
            if number >= 0:
                centres[n] = number
                weights[n] = postings.weights[p]
                n += 1
    offsets[postings.offsets.size - 1] = n
    return n


@kernel
def assign(rows, first, last, centres, n_centres, top, labels):  # type: ignore[no-untyped-def]
    """Write the most similar centre of rows ``first`` to ``last``, judged by their ``top`` heaviest terms.

    ``centres`` are postings: terms by centres. Equal similarity: the first centre. A row without a
    term of any centre goes to centre 0.
    """
    scores = np.zeros(n_centres, np.float32)
    terms, weights = rows.columns, rows.weights
    for r in range(first, last):
        begin, end = rows.offsets[r], rows.offsets[r + 1]
        bar = np.float32(0)
        if end - begin > top:
            bar = np.partition(weights[begin:end], end - begin - top)[end - begin - top]
        scores[:] = 0
        for p in range(begin, end):
            if weights[p] >= bar:
                weight = weights[p]
                for c in range(centres.offsets[terms[p]], centres.offsets[terms[p] + 1]):
                    scores[np.uint64(centres.columns[np.uint64(c)])] += weight * centres.weights[np.uint64(c)]
        labels[r] = np.argmax(scores)
