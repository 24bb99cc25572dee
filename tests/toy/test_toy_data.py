"""The toy data set: derived from its source, fair to its held-out questions, usable offline."""

import gzip
import json
import pickle
import runpy
from pathlib import Path

import pytest

from splade.files import InputError

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "data" / "toy"
SPLITS = ("train", "dev", "test")


def read(path: str) -> list[list[str]]:
    """The columns of a tab-separated toy file."""
    return [line.split("\t") for line in unpacked(TOY / path).decode("utf-8").splitlines()]


@pytest.fixture(scope="module")
def script() -> dict:
    """The names of scripts/make_toy_data.py."""
    return runpy.run_path(str(ROOT / "scripts" / "make_toy_data.py"))


@pytest.fixture(scope="module")
def questions() -> dict[str, dict[str, str]]:
    """Question texts by id, by split."""
    return {split: dict(read(f"queries/{split}/raw.tsv")) for split in SPLITS}


@pytest.mark.slow
def test_every_derived_file_is_what_the_script_makes_from_the_source(script, tmp_path):
    script["main"](["--output", str(tmp_path)])
    made = {file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()}
    kept = {file.relative_to(TOY) for file in TOY.rglob("*") if file.is_file()}
    assert made == {file for file in kept if file.parts[0] not in ("source", "encoder", "runs")}
    for file in sorted(made):
        assert unpacked(tmp_path / file) == unpacked(TOY / file), file


def unpacked(path: Path) -> bytes:
    """The content of a file; how well it was packed may differ between zlib versions."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_passages_are_distinct_and_of_moderate_length():
    passages = read("collection/raw.tsv")
    assert 320 <= len(passages) <= 400
    assert len({id_ for id_, _ in passages}) == len({text for _, text in passages}) == len(passages)
    assert all(30 <= len(text.split()) <= 70 for _, text in passages)


def test_every_passage_competes_with_seven_others_on_its_subject():
    subjects = [id_.rsplit("-", 1)[0] for id_, _ in read("collection/raw.tsv")]
    assert all(subjects.count(subject) == 8 for subject in subjects)


def test_each_question_has_one_answer_in_the_collection(questions):
    passages = {id_ for id_, _ in read("collection/raw.tsv")}
    for split in SPLITS:
        qrels = json.loads((TOY / "qrels" / f"{split}.json").read_text("utf-8"))
        assert qrels.keys() == questions[split].keys()
        assert all(len(judged) == 1 and judged.keys() <= passages for judged in qrels.values())


def test_every_passage_has_two_training_questions_or_more():
    answers = [next(iter(j)) for j in json.loads((TOY / "qrels" / "train.json").read_text("utf-8")).values()]
    assert all(answers.count(id_) >= 2 for id_, _ in read("collection/raw.tsv"))


def test_no_held_out_question_repeats_another_even_with_its_words_in_another_order(questions, script):
    bags = {split: [frozenset(script["words"](text)) for text in questions[split].values()] for split in SPLITS}
    assert len(bags["dev"]) >= 60
    assert len(bags["test"]) >= 120
    everything = bags["train"] + bags["dev"] + bags["test"]
    assert all(everything.count(bag) == 1 for bag in bags["dev"] + bags["test"])


def test_the_teacher_prefers_the_answer_to_every_other_candidate():
    qrels = json.loads((TOY / "qrels" / "train.json").read_text("utf-8"))
    with gzip.open(TOY / "hard_negatives" / "scores.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    assert [row["query_id"] for row in rows] == list(qrels)
    for row in rows:
        assert max(row["scores"], key=row["scores"].get) in qrels[row["query_id"]]
        assert 20 < len(row["scores"]) <= 28
    assert all(float(row[3]) > float(row[4]) for row in read("triplets_with_teacher/raw.tsv.gz"))


def test_the_pickle_and_the_lines_hold_the_same_scores():
    with gzip.open(TOY / "hard_negatives" / "scores.jsonl.gz", "rt", encoding="utf-8") as stream:
        lines = {row["query_id"]: row["scores"] for row in map(json.loads, stream)}
    with gzip.open(TOY / "hard_negatives" / "scores.pkl.gz", "rb") as stream:
        assert pickle.load(stream) == lines


def test_triplets_hold_training_questions_their_answers_and_other_passages(questions):
    passages = {text for _, text in read("collection/raw.tsv")}
    asked = set(questions["train"].values())
    triplets = read("triplets/raw.tsv")
    assert all(q in asked and {p, n} <= passages and p != n for q, p, n in triplets)
    assert [row[:3] for row in read("triplets_with_teacher/raw.tsv.gz")] == triplets


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("- Who asks?\n", r"bad\.txt:1: a question before any passage"),
        ("A passage.\n", r"bad\.txt:1: a passage before any"),
        ("## moon: The Moon\ntest: who asks\n", r"bad\.txt:2: a question before any passage"),
    ],
)
def test_a_misplaced_source_line_is_named(script, tmp_path, source, message):
    path = tmp_path / "bad.txt"
    path.write_text(source, "utf-8")
    with pytest.raises(InputError, match=message):
        list(script["read_source"](path))


def test_the_toy_folder_stays_small():
    written = [file for file in TOY.rglob("*") if file.is_file() and file.parts[-2] != "runs"]
    assert sum(file.stat().st_size for file in written) < 6_500_000
