"""Training examples: a query, its positive document first, then negatives, perhaps with teacher scores.

Every source checks its files when it is made, before any model is loaded, and keeps texts on the disk.
"""

import logging
import math
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from splade.data.collections.collection import Collection
from splade.data.collections.opening import open_collection, open_queries
from splade.data.examples.hard_negatives import HardNegatives
from splade.data.qrels import read_qrels
from splade.data.text_files.lines import Chunk, LineFile
from splade.data.text_files.sources import needed_file
from splade.files import InputError
from splade.records import Answers, Example, Text

__all__ = ["ExampleSource", "HardNegatives", "Pairs", "Texts", "Triplets", "TripletsWithTeacher"]

logger = logging.getLogger(__name__)


class ExampleSource(Protocol):
    """A fixed number of examples, the same for the same index and the same state of ``rng``.

    A class whose attribute ``has_teacher`` or ``has_negatives`` is False is refused, before anything is built, for a
    loss that needs teacher scores or negatives.
    """

    has_teacher: bool
    has_negatives: bool
    n_documents: int  # of every example: one positive and the negatives

    def __len__(self) -> int: ...

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """Example ``index``; where there is a choice of documents, ``rng`` makes it."""


class Triplets:
    """Lines ``query<TAB>positive<TAB>negative`` of a file, or of ``raw.tsv`` in a folder (``.gz`` too).

    Texts stay in the file; memory is 8 bytes a line. A ``.gz`` is unpacked to an unnamed temporary file.
    Raises InputError with file and line for lines with another number of fields.
    """

    has_teacher = False
    has_negatives = True
    n_documents = 2
    fields: tuple[str, ...] = ("query", "positive", "negative")

    def __init__(self, directory: str | Path) -> None:
        self.path = needed_file(directory, ("raw.tsv", "raw.tsv.gz"), f"lines of {'<TAB>'.join(self.fields)}")
        self._file = LineFile(self.path)
        self._offsets = self._checked_offsets()

    def __len__(self) -> int:
        return self._offsets.size - 1

    def example(self, index: int, rng: np.random.Generator) -> Example:  # noqa: ARG002 - nothing to choose
        """The texts of line ``index + 1``; their ids are made from the line number."""
        query, positive, negative, *scores = self._line(index)
        line = index + 1
        documents = (Text(f"{line}+", positive), Text(f"{line}-", negative))
        return Example(Text(str(line), query), documents, tuple(map(float, scores)) or None)

    def _line(self, index: int) -> list[str]:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: no example {index}; there are {len(self)}")
        raw = self._file.read(int(self._offsets[index]), int(self._offsets[index + 1]))
        return raw.decode("utf-8").split("\t")

    def _checked_offsets(self) -> NDArray[np.int64]:
        """Check all lines and return the offsets where they begin, [lines + 1]; the last is the end of the file."""
        offsets, end, n_empty, first_empty = [np.zeros(0, np.int64)], 0, 0, 0
        for chunk in self._file.chunks():
            starts, ends = self._spans(chunk)
            empty = (starts == ends).any(axis=1)
            if empty.any() and not n_empty:
                first_empty = chunk.first_line + int(empty.argmax())
            n_empty += int(empty.sum())
            self._check_scores(chunk, starts[:, 3:], ends[:, 3:])
            offsets.append(chunk.starts + chunk.offset)
            end = chunk.offset + len(chunk.buffer)
        positions = np.append(np.concatenate(offsets), end)
        if positions.size == 1:
            raise InputError(f"{self.path}: the file holds no examples")
        if n_empty:
            logger.warning(
                "%s:%d: an empty text, the first of %d such lines among %d; they are kept",
                self.path, first_empty, n_empty, positions.size - 1,
            )  # fmt: skip
        return positions

    def _spans(self, chunk: Chunk) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Starts and ends of the fields of every line, [lines, fields] each."""
        tabs = np.flatnonzero(np.frombuffer(chunk.buffer, np.uint8) == ord("\t"))
        first, last = np.searchsorted(tabs, chunk.starts), np.searchsorted(tabs, chunk.ends)
        wrong = np.flatnonzero(last - first != len(self.fields) - 1)
        if wrong.size:
            i = int(wrong[0])
            seen = f"{last[i] - first[i] + 1} fields" if chunk.line(i).strip() else "a blank line"
            raise InputError.at(
                self.path,
                chunk.first_line + i,
                f"{seen} where {len(self.fields)} are expected: {'<TAB>'.join(self.fields)}",
            )
        inner = tabs.reshape(-1, len(self.fields) - 1)  # [lines, fields - 1]
        return np.column_stack([chunk.starts, inner + 1]), np.column_stack([inner, chunk.ends])

    def _check_scores(self, chunk: Chunk, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        for i, (line_starts, line_ends) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            for start, end in zip(line_starts, line_ends, strict=True):
                if not _is_score(chunk.buffer[start:end]):
                    field = chunk.buffer[start:end].decode("utf-8")
                    raise InputError.at(
                        self.path, chunk.first_line + i, f"a teacher score must be a finite number, got {field!r}"
                    )


class TripletsWithTeacher(Triplets):
    """Lines ``query<TAB>positive<TAB>negative<TAB>score<TAB>score``: triplets with the teacher's two scores."""

    has_teacher = True
    fields = ("query", "positive", "negative", "positive's score", "negative's score")


class Pairs:
    """Every query with each document judged above 0 for it, and no negatives but those of the batch.

    Judgements whose query or document is unknown are counted into one warning; InputError where none
    is left. Every example says which documents answer its query. Memory: 8 bytes a pair, 8 a query, and what the two
    collections need.
    """

    has_teacher = False
    has_negatives = False
    n_documents = 1

    def __init__(self, queries: str | Path | Collection, documents: str | Path | Collection, qrels: str | Path) -> None:
        self.queries, self.documents = open_queries(queries), open_collection(documents)
        judged = [
            (query, id) for query, grades in read_qrels(qrels).items() for id, grade in grades.items() if grade > 0
        ]
        numbers = np.column_stack(
            [self.queries.find([query for query, _ in judged]), self.documents.find([id for _, id in judged])]
        )  # [pairs, 2]
        known = (numbers >= 0).all(axis=1)
        if not known.any():
            raise InputError(
                f"{qrels}: none of its {len(judged)} positive judgements has a query in {self.queries.source} "
                f"and a document in {self.documents.source}"
            )
        if not known.all():
            logger.warning(
                "%s: %d of %d positive judgements name an unknown query or document, as %s; they are left out",
                qrels, (~known).sum(), known.size, judged[int(np.argmin(known))],
            )  # fmt: skip
        self._pairs = numbers[known].astype(np.int32)  # those of a query stand together, as in the qrels
        changes = np.flatnonzero(np.diff(self._pairs[:, 0])) + 1
        self._queries = np.concatenate([[0], changes, [len(self._pairs)]])  # where each query's pairs begin

    def __len__(self) -> int:
        return len(self._pairs)

    def example(self, index: int, rng: np.random.Generator) -> Example:  # noqa: ARG002 - nothing to choose
        """Pair ``index``, in the order of the qrels."""
        query, document = self._pairs[index].tolist()
        begin, end = self._queries[np.searchsorted(self._queries, index, "right") - 1 :][:2]
        answers = Answers(self.documents.source, (document,), tuple(self._pairs[begin:end, 1].tolist()))
        return Example(self.queries.at(query), (self.documents.at(document),), answers=answers)


class Texts:
    """Every text of a collection, as a query and as the query's only document.

    For mid-training, which looks at documents alone. InBatchPairwiseNLL tells each text from the others of its batch
    by two dropout masks (unsupervised SimCSE, arXiv 2104.08821). Memory: what the collection needs.
    """

    has_teacher = False
    has_negatives = False
    n_documents = 1

    def __init__(self, documents: str | Path | Collection) -> None:
        self.documents = open_collection(documents)
        len(self.documents)  # reads and checks them

    def __len__(self) -> int:
        return len(self.documents)

    def example(self, index: int, rng: np.random.Generator) -> Example:  # noqa: ARG002 - nothing to choose
        """Text ``index`` of the collection."""
        text = self.documents.at(index)
        return Example(text, (text,))


def _is_score(field: bytes) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False
