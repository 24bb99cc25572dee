"""Assigning documents to the centre they are most like, by inner product."""

import numpy as np

from splade.kernels.compiled import kernel
from splade.kernels.topk import nth_largest


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
            bar = nth_largest(weights[begin:end], top)
        scores[:] = 0
        for p in range(begin, end):
            if weights[p] >= bar:
                weight = weights[p]
                for c in range(centres.offsets[terms[p]], centres.offsets[terms[p] + 1]):
                    scores[np.uint64(centres.columns[np.uint64(c)])] += weight * centres.weights[np.uint64(c)]
        labels[r] = np.argmax(scores)
