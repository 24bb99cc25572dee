"""Documents and queries for Seismic: JSON lines of weights, which it keeps of documents as half floats."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.exporting.lines import Layout, json_line, parse_line
from splade.exporting.target import Documents, FileTarget, Observed, Written
from splade.exporting.vectors import Entry, Vector, batches, query_vectors, vectors
from splade.files import InputError, text_lines, whole_file
from splade.kernels.sparse import keep_entries
from splade.records import SparseBatch

LONGEST = 100  # characters of a token of a query; Seismic's array of them cuts longer ones off
LARGEST = 65504.0  # of float16


class Seismic(FileTarget):
    """The `FileTarget` of ``docs.jsonl`` and ``queries.jsonl``.

    A line is ``{"id", "content", "vector": {token: weight}}``. The numbers are read back as the same float32; Seismic
    makes float16 of documents' weights and keeps queries' as they are. ``shard_docs`` and ``gzip`` as in
    `splade.exporting.lines.Layout`. InputError for a weight over 65504, which is infinite there.
    """

    def __init__(self, shard_docs: int | None = None, gzip: bool = False) -> None:
        self.layout = Layout(shard_docs, gzip).checked()

    def prepare(self, observed: Observed) -> None:
        """Refuse weights that float16 has no number for."""
        if observed.largest > LARGEST:
            raise InputError(
                f"the largest weight of a document is {observed.largest:g}; Seismic keeps float16, "
                f"at most {LARGEST:g}. Choose another target"
            )

    def kept(self, side: str, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Documents' weights rounded to float16; 0 for those under half its smallest number, 6e-8."""
        return weights.astype(np.float16).astype(np.float32) if side == "document" else weights

    def write_documents(self, folder: Path, documents: Documents, words: Sequence[str]) -> Written:
        """Write ``docs.jsonl`` into ``folder``."""
        tokens, empty = _tokens(words), [0]

        def line(one: Vector) -> Iterator[str]:
            yield _line(one, tokens)

        def counted() -> Iterator[Vector]:
            for batch, texts in documents:
                there = self.kept("document", batch.rows.weights) > 0
                rows = keep_entries(batch.rows, there)
                for one, text in zip(vectors(batch._replace(rows=rows)), texts, strict=True):
                    empty[0] += not len(one.columns)
                    yield one._replace(text=text)

        return Written(self.layout.write(folder, "docs", ".jsonl", counted(), line, self.resuming), empty[0])

    def write_queries(self, folder: Path, queries: Iterable[SparseBatch], words: Sequence[str]) -> Written:
        """Write ``queries.jsonl`` into ``folder``."""
        tokens, n_texts, n_empty = _tokens(words), 0, 0
        with whole_file(folder / "queries.jsonl") as stream:
            for one in query_vectors(self, queries):
                n_texts, n_empty = n_texts + 1, n_empty + (not len(one.columns))
                stream.write(_line(one, tokens) + "\n")
        return Written(n_texts, n_empty)

    def read_documents(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The documents of ``docs.jsonl``."""
        return batches(self._read("document", self.layout.read(folder, "docs", ".jsonl"), words), len(words))

    def read_queries(self, folder: Path, words: Sequence[str]) -> Iterator[SparseBatch]:
        """The queries of ``queries.jsonl``."""
        path = folder / "queries.jsonl"
        lines = ((path, line, text) for line, text in text_lines(path))
        return batches(self._read("query", lines, words), len(words))

    def about(self) -> dict[str, Any]:
        """Describe the files for the manifest."""
        packed = ".gz" if self.layout.gzip else ""
        several = [f"{'zcat' if packed else 'cat'} docs*.jsonl{packed} > all.jsonl"]
        path = "docs.jsonl" if not packed and self.layout.shard_docs is None else "all.jsonl"
        return {
            "quantization": "documents: float16, as Seismic keeps them (the files have float32); queries: none",
            "load": [
                *(several if path == "all.jsonl" else []),
                f"python -c \"import seismic; seismic.SeismicIndex.build('{path}').save('docs')\"",
                "python -c \"import seismic; index = seismic.SeismicIndex.load('docs.index.seismic')\", then for each "
                "query: index.search(id, numpy.array(tokens, seismic.get_seismic_string()), weights, k=1000, "
                "query_cut=10, heap_factor=0.9)",
            ],
            "scores": "ours, but for float16 in documents; a search is approximate, its scores are not",
        }

    def _read(self, side: str, lines: Iterable[tuple[Path, int, str]], words: Sequence[str]) -> Iterator[Entry]:
        numbers = {token: number for number, token in enumerate(_tokens(words))}
        for path, line, text in lines:
            record = parse_line(path, line, text, ("id", "content", "vector"))
            vector = record["vector"]
            for token, weight in vector.items():
                if token not in numbers:
                    raise InputError.at(path, line, f"{token!r} is no word of terms.txt")
                if type(weight) is not float or not weight > 0:
                    raise InputError.at(path, line, f"the weight of {token!r} is {weight!r}, not a number above 0")
            weights = self.kept(side, np.array(list(vector.values()), np.float32))
            yield record["id"], [numbers[token] for token in vector], weights.tolist()


def _tokens(words: Sequence[str]) -> list[str]:
    """The words, but stand-ins for those that Seismic would cut off in queries."""
    return [word if len(word) <= LONGEST else f"[term_{term}]" for term, word in enumerate(words)]


def _line(one: Vector, tokens: Sequence[str]) -> str:
    """The JSON of a text; weights are the shortest decimals that are read as these float32."""
    names = [json_line(tokens[term]) for term in one.columns.tolist()]
    pairs = (f"{name}:{weight}" for name, weight in zip(names, one.weights.astype(str).tolist(), strict=True))
    return f'{{"id":{json_line(one.id)},"content":{json_line(one.text)},"vector":{{{",".join(pairs)}}}}}'
