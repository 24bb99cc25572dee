"""Posting lists for the report: from an index, or from the counts beside one."""

from pathlib import Path

import numpy as np

from splade.files import InputError, read_json
from splade.indexing import Index
from splade.indexing.index.statistics import posting_counts
from splade.reports.experiment import Postings


def postings_of(index: Index, source: Path) -> Postings:
    """The lengths of all posting lists of ``index``, terms by name where the index knows them."""
    counts, names = posting_counts(index), index.vocabulary
    order = [int(term) for term in np.argsort(-counts, kind="stable") if counts[term]]
    lengths = {str(term) if names is None else names[term]: int(counts[term]) for term in order}
    return Postings(source, lengths, index.n_docs, index.vocab_size)


def stored_postings(file: Path) -> Postings:
    """The lengths in ``index_dist.json``, {term number: documents}; InputError where it holds something else."""
    stored = read_json(file)
    if not isinstance(stored, dict) or not all(isinstance(length, int) for length in stored.values()):
        raise InputError(f"{file}: expected {{term id: number of documents}}")
    lengths = {term: length for term, length in sorted(stored.items(), key=lambda pair: -pair[1]) if length > 0}
    return Postings(file, lengths, None, None)
