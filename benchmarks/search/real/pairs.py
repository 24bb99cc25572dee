"""Questions and the sentences that answer them, as a BEIR folder that models are trained on.

Judgements name whole texts, and models here read a few sentences. Of an answering text the one to three consecutive
sentences count as the answer whose words that the question has, too, are worth most: the sum of log(N / texts with it),
longer windows only where they are worth more.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path

from benchmarks.search.real.texts import Question, Questions
from splade.files import whole_folder, write_json

N_DEV = 300  # questions, and their windows among those of as many others
DEV_DOCUMENTS = "dev-documents.json"  # the ids of these windows


def write_pairs(folder: Path, questions: Questions, texts: dict[str, list[str]], n_train: int) -> Path:
    """``folder`` with corpus.jsonl, queries.jsonl, qrels/train.tsv and dev.tsv, and DEV_DOCUMENTS.

    It is left as it is where it stands.
    """
    if folder.exists():
        return folder
    worth = _worth(texts)
    documents: dict[str, str] = {}
    searched: set[str] = set()
    splits = {"train": questions.train[:n_train], "dev": questions.dev[: 2 * N_DEV]}
    with whole_folder(folder) as made:
        (made / "qrels").mkdir()
        with (made / "queries.jsonl").open("w", encoding="utf-8") as stream:
            for split, asked in splits.items():
                lines = ["query-id\tcorpus-id\tscore"]
                for place, question in enumerate(asked):
                    if (window := _best(question, texts, worth)) is None:
                        continue
                    name = documents.setdefault(window, f"d{len(documents)}")
                    if split == "dev":
                        searched.add(name)
                    if split == "train" or place < N_DEV:
                        stream.write(json.dumps({"_id": f"{split}{place}", "text": question.text}) + "\n")
                        lines.append(f"{split}{place}\t{name}\t1")
                (made / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with (made / "corpus.jsonl").open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps({"_id": name, "text": window}) + "\n" for window, name in documents.items())
        write_json(made / DEV_DOCUMENTS, sorted(searched, key=lambda name: int(name[1:])))
    return folder


def _best(question: Question, texts: dict[str, list[str]], worth: dict[str, float]) -> str | None:
    """The window of the first answering text that is worth most to the question; None where it has no sentence."""
    asked = words(question.text)
    for name in question.answers:
        sentences = texts.get(name)
        if sentences:
            spans = [(i, i + n) for n in (1, 2, 3) for i in range(len(sentences) - n + 1)]
            tellings = [words(sentence) & asked for sentence in sentences]
            values = [math.fsum(worth.get(word, 0.0) for word in set().union(*tellings[i:j])) for i, j in spans]
            first, last = spans[max(range(len(spans)), key=lambda place: (values[place], -place))]
            return " ".join(sentences[first:last])
    return None


def words(text: str) -> set[str]:
    """The distinct words of a text, lower-case."""
    return set(re.findall(r"\w+", text.lower()))


def _worth(texts: dict[str, list[str]]) -> dict[str, float]:
    counts = Counter(word for sentences in texts.values() for word in words(" ".join(sentences)))
    return {word: math.log(len(texts) / count) for word, count in counts.items()}
