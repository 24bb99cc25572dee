"""Sentences of the BEIR folders of a place, and the questions that are asked of them, by one fixed rule.

A text's title and body are cut after a ``.``, ``!`` or ``?``, and closing quotes or brackets, where white space and
then a capital, a digit, a dash, or an opening quote or bracket follow. Pieces of 8 to 45 words are its sentences.
Words are set apart by white space.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from splade.data.qrels import read_qrels
from splade.files import InputError

END = re.compile(r"""(?<=[.!?])["')\]]*\s+(?=["'(\[]*[A-Z0-9-])""")
FEWEST, MOST = 8, 45  # words of a sentence
QUESTION_SPLITS = ("train", "dev")
TRAINED_ON = 0.4  # share of the questions of the train splits that the models may learn from


class Sentences(NamedTuple):
    """Distinct sentences, and the texts as runs of them."""

    distinct: list[str]
    runs: list[list[int]]  # of one text each, numbers of distinct sentences in their order


class Question(NamedTuple):
    """A question, and the texts that answer it."""

    text: str
    answers: tuple[str, ...]  # SET/ID


class Questions(NamedTuple):
    """Distinct questions; no text is in two of the lists, however it is written."""

    train: list[Question]
    dev: list[Question]  # that tell whether a training helped; all of them are among the other two lists as well
    calibration: list[str]
    held_out: list[str]


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text``, their white space single."""
    pieces = (piece.split() for piece in END.split(text))
    return [" ".join(words) for words in pieces if FEWEST <= len(words) <= MOST]


def read_texts(data: Path) -> dict[str, list[str]]:
    """The sentences of every text of the BEIR folders in ``data``, by SET/ID; texts without any are left out."""
    folders = sorted(path.parent for path in data.glob("*/corpus.jsonl"))
    if not folders:
        raise InputError(f"{data}: no folder in it has a corpus.jsonl; give the folder of the BEIR folders as --data")
    texts: dict[str, list[str]] = {}
    for folder in folders:
        for record in _records(folder / "corpus.jsonl"):
            parts = (record.get("title") or "", record.get("text") or "")
            if sentences := [sentence for part in parts for sentence in split_sentences(part)]:
                texts[f"{folder.name}/{record['_id']}"] = sentences
    return texts


def chosen(texts: dict[str, list[str]], n_sentences: int = 0) -> Sentences:
    """Whole texts until they have ``n_sentences`` distinct sentences (0: all texts), with each sentence once.

    Texts are taken in the order of a digest of their ids, so that what fewer sentences take is the beginning of what
    more take; distinct sentences are numbered as they come. The runs stand in the order of ``texts``.
    """
    numbers: dict[str, int] = {}
    taken = set()
    for name in sorted(texts, key=_digest):
        if n_sentences and len(numbers) >= n_sentences:
            break
        taken.add(name)
        for sentence in texts[name]:
            numbers.setdefault(sentence, len(numbers))
    runs = [[numbers[sentence] for sentence in texts[name]] for name in texts if name in taken]
    return Sentences(list(numbers), runs)


def windows(runs: Iterable[list[int]], longest: int = 3) -> Iterator[tuple[int, ...]]:
    """Every stretch of 1 to ``longest`` consecutive sentences of every run, short ones first; as often as it occurs."""
    for run in runs:
        for length in range(1, longest + 1):
            yield from (tuple(run[first : first + length]) for first in range(len(run) - length + 1))


def read_questions(data: Path, most: int) -> Questions:
    """The judged questions of the train and dev splits; ``most`` to search with, half of them for calibration.

    Two questions are one where they differ in case and in what is no letter or digit only. In the order of a digest of
    that form, the first TRAINED_ON of the train splits are for training, and the others are in turn for calibration and
    held out.
    """
    train, others = _questions(data, "train"), _questions(data, "dev")
    others = {form: question for form, question in others.items() if form not in train}
    order = sorted(train, key=_digest)
    n_train = round(TRAINED_ON * len(order))
    asked = sorted({*order[n_train:], *others}, key=_digest)[: most or None]
    everything = {**train, **others}
    return Questions(
        [train[form] for form in order[:n_train]],
        [others[form] for form in sorted(others, key=_digest)],
        [everything[form].text for form in asked[0::2]],
        [everything[form].text for form in asked[1::2]],
    )


def normal_form(question: str) -> str:
    """Lower-case letters and digits of ``question``, with single spaces between them."""
    return " ".join(re.findall(r"\w+", question.lower()))


def _questions(data: Path, split: str) -> dict[str, Question]:
    found: dict[str, Question] = {}
    for qrels in sorted(data.glob(f"*/qrels/{split}.tsv")):
        folder = qrels.parent.parent
        judged = read_qrels(folder, split=split)
        for record in _records(folder / "queries.jsonl"):
            answers = tuple(f"{folder.name}/{doc}" for doc, grade in judged.get(record["_id"], {}).items() if grade > 0)
            if answers:
                text = " ".join(record["text"].split())
                found.setdefault(normal_form(text), Question(text, answers))
    return found


def _records(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _digest(name: str) -> bytes:
    return hashlib.sha1(name.encode(), usedforsecurity=False).digest()
