"""Queries of whole impacts: JSON lines ``{"id", "vector": {word: impact}}``."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from splade.exporting.lines import json_line, parse_line
from splade.exporting.postings.impacts import Impacts
from splade.exporting.target import Written
from splade.exporting.vectors import Entry, batches, vectors
from splade.files import InputError, text_lines, whole_file
from splade.records import SparseBatch

QUERIES = "queries.jsonl"


def write_queries(folder: Path, queries: Iterable[SparseBatch], words: Sequence[str], impacts: Impacts) -> Written:
    """Write ``queries.jsonl``, queries without terms too."""
    n_texts = n_empty = 0
    with whole_file(folder / QUERIES) as stream:
        for batch in queries:
            for one in vectors(impacts.batch("query", batch)):
                n_texts, n_empty = n_texts + 1, n_empty + (not len(one.columns))
                pairs = zip(one.columns.tolist(), one.weights.tolist(), strict=True)
                vector = {words[term]: int(impact) for term, impact in pairs}
                stream.write(json_line({"id": one.id, "vector": vector}) + "\n")
    return Written(n_texts, n_empty)


def read_queries(folder: Path, words: Sequence[str], impacts: Impacts) -> Iterator[SparseBatch]:
    """The queries of ``queries.jsonl``, with the weights that their impacts stand for."""
    numbers, path = {word: number for number, word in enumerate(words)}, folder / QUERIES

    def read() -> Iterator[Entry]:
        for line, text in text_lines(path):
            record = parse_line(path, line, text, ("id", "vector"))
            checked_impacts(path, line, record["vector"], numbers)
            whole = np.array(list(record["vector"].values()), np.int64)
            columns = [numbers[word] for word in record["vector"]]
            yield record["id"], columns, impacts.weights("query", whole).tolist()

    return batches(read(), len(words))


def checked_impacts(path: Path, line: int, vector: dict[str, object], numbers: dict[str, int]) -> None:
    """InputError unless all keys are words of the export, and all values whole numbers above 0."""
    for word, impact in vector.items():
        if word not in numbers:
            raise InputError.at(path, line, f"{word!r} is no word of terms.txt")
        if type(impact) is not int or impact < 1:
            raise InputError.at(path, line, f"the impact of {word!r} is {impact!r}, not a whole number above 0")
