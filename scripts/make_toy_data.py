"""Derives the toy data set from its hand-written source: ``python scripts/make_toy_data.py``.

``data/toy/source/*.txt`` holds every word a person wrote: subjects, passages, and under each
passage its questions. Everything else in ``data/toy`` except the encoder follows from it here,
without randomness, so that a second run writes the same bytes.

**The toy teacher is a formula, not a model.** Published SPLADE models learn from the scores of a
cross-encoder; this data set has none, so that it needs no download. Its teacher knows the answer::

    score(q, d) = 6 * [d answers q] + 1 * [d is on the same subject] + 4 * b / (b + 8)

where ``b`` is BM25 of the question against the passage. Scores of passages that do not answer are
in [0, 5), those of the passage that does in [7, 11). They have the shape of real teacher scores
(close negatives score higher) and serve to exercise distillation; they teach nothing about quality.
"""

import argparse
import json
import math
import pickle
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

TOY = Path(__file__).resolve().parents[1] / "data" / "toy"
sys.path.insert(0, str(TOY.parents[1]))

from splade.files import InputError, text_lines, whole_file, write_json  # noqa: E402 - path set above

SPLITS = ("train", "dev", "test")
MARKERS = {"- ": "train", "dev: ": "dev", "test: ": "test"}
TRIPLETS_PER_QUESTION = 2
LEXICAL_NEGATIVES = 20
"""Candidates per training question that BM25 finds, beside the passages on the same subject."""


class Passage(NamedTuple):
    """One passage, its subject, and its questions by split."""

    id: str
    subject: str
    text: str
    questions: dict[str, list[str]]


class Question(NamedTuple):
    """One question and the passage that answers it."""

    id: str
    text: str
    passage: Passage


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the source and write every derived file below the output folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=TOY / "source")
    parser.add_argument("--output", type=Path, default=TOY)
    options = parser.parse_args(arguments)
    passages = [passage for file in sorted(options.source.glob("*.txt")) for passage in read_source(file)]
    if not passages:
        raise InputError(f"{options.source}: no passages found in *.txt")
    questions = {split: list(questions_of(passages, split)) for split in SPLITS}
    write_collection(options.output, passages, questions)
    write_training(options.output, passages, questions["train"])
    counts = ", ".join(f"{len(questions[split])} {split}" for split in SPLITS)
    print(f"{options.output}: {len(passages)} passages, questions: {counts}")


def read_source(path: Path) -> Iterator[Passage]:
    """The passages of one source file: ``## id: name`` opens a subject, a plain line a passage.

    Below its passage stand the questions, marked ``- `` (training), ``dev: `` and ``test: ``.
    """
    subject, number, passage = "", 0, None
    for line_number, line in text_lines(path):
        marker = next((m for m in MARKERS if line.startswith(m)), None)
        if line.startswith("## "):
            if passage:
                yield passage
            subject, number, passage = line[3:].split(":")[0], 0, None
        elif marker:
            if passage is None:
                raise InputError.at(path, line_number, "a question before any passage")
            passage.questions[MARKERS[marker]].append(line.removeprefix(marker))
        elif line:
            if not subject:
                raise InputError.at(path, line_number, "a passage before any '## id: subject' line")
            if passage:
                yield passage
            number += 1
            passage = Passage(f"{subject}-{number}", subject, line, {split: [] for split in SPLITS})
    if passage:
        yield passage


def questions_of(passages: Iterable[Passage], split: str) -> Iterator[Question]:
    """The questions of a split, with ids such as ``moon-2-train1``."""
    for passage in passages:
        for number, text in enumerate(passage.questions[split], 1):
            yield Question(f"{passage.id}-{split}{number}", text, passage)


def write_collection(output: Path, passages: Sequence[Passage], questions: dict[str, list[Question]]) -> None:
    """Write the collection, and queries and qrels of each split."""
    write_tsv(output / "collection" / "raw.tsv", ((p.id, p.text) for p in passages))
    for split, asked in questions.items():
        write_tsv(output / "queries" / split / "raw.tsv", ((q.id, q.text) for q in asked))
        write_json(output / "qrels" / f"{split}.json", {q.id: {q.passage.id: 1} for q in asked})


def write_training(output: Path, passages: Sequence[Passage], questions: Sequence[Question]) -> None:
    """Write triplets, triplets with teacher scores, and hard negatives with teacher scores.

    Triplets take turns: each question meets the hardest passage on its own subject and the
    hardest one on another. Their order interleaves subjects, question by question.
    """
    bm25 = BM25([p.text for p in passages])
    scores: dict[str, dict[str, float]] = {}
    triplets: list[tuple[str, str, str, float, float]] = []
    for question in questions:
        lexical = bm25.scores(question.text)
        order = sorted(range(len(passages)), key=lambda d: (-lexical[d], d))
        others = [d for d in order if passages[d].id != question.passage.id]
        siblings = [d for d in others if passages[d].subject == question.passage.subject]
        strangers = [d for d in others if passages[d].subject != question.passage.subject]
        teacher = {passages[d].id: teacher_score(question, passages[d], lexical[d]) for d in order}
        candidates = {question.passage.id, *(passages[d].id for d in siblings + strangers[:LEXICAL_NEGATIVES])}
        scores[question.id] = {id_: s for id_, s in sorted(teacher.items(), key=lambda i: -i[1]) if id_ in candidates}
        for negative in (passages[siblings[0]], passages[strangers[0]])[:TRIPLETS_PER_QUESTION]:
            positive = question.passage
            triplets.append((question.text, positive.text, negative.text, teacher[positive.id], teacher[negative.id]))
    triplets = interleave(triplets, stride=len(triplets) // 37)
    write_tsv(output / "triplets" / "raw.tsv", (t[:3] for t in triplets))
    write_tsv(output / "triplets_with_teacher" / "raw.tsv.gz", triplets)
    with whole_file(output / "hard_negatives" / "scores.jsonl.gz") as stream:
        for query_id, by_passage in scores.items():
            stream.write(json.dumps({"query_id": query_id, "scores": by_passage}) + "\n")
    with whole_file(output / "hard_negatives" / "scores.pkl.gz", "wb") as stream:
        pickle.dump(scores, stream, protocol=4)


def teacher_score(question: Question, passage: Passage, bm25: float) -> float:
    """The formula in the head of this file."""
    answers = passage.id == question.passage.id
    related = passage.subject == question.passage.subject
    return round(6.0 * answers + 1.0 * related + 4.0 * bm25 / (bm25 + 8.0), 4)


def interleave(rows: list, stride: int) -> list:
    """Every ``stride``-th row from 0, then from 1, and so on: neighbours come apart."""
    return [row for start in range(stride) for row in rows[start::stride]]


def write_tsv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write tab-separated lines as one whole file."""
    with whole_file(path) as stream:
        stream.writelines("\t".join(map(str, row)) + "\n" for row in rows)


class BM25:
    """Okapi BM25 over words of letters and digits, lower-cased; k1 = 1.2, b = 0.75, no stemming."""

    def __init__(self, texts: Sequence[str], k1: float = 1.2, b: float = 0.75) -> None:
        counts = [Counter(words(text)) for text in texts]
        lengths = [count.total() for count in counts]
        frequency = Counter(word for count in counts for word in count)
        mean = sum(lengths) / len(lengths)
        self.weights = [  # per text: word -> contribution to the score
            {
                word: math.log(1 + (len(texts) - frequency[word] + 0.5) / (frequency[word] + 0.5))
                * (n * (k1 + 1) / (n + k1 * (1 - b + b * length / mean)))
                for word, n in count.items()
            }
            for count, length in zip(counts, lengths, strict=True)
        ]

    def scores(self, question: str) -> list[float]:
        """The score of every text for a question."""
        asked = words(question)
        return [sum(weight.get(word, 0.0) for word in asked) for weight in self.weights]


def words(text: str) -> list[str]:
    """Lower-cased words."""
    return re.findall(r"\w+", text.lower())


if __name__ == "__main__":
    main()
