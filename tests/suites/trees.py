"""Small trees of evaluation sets, in the layouts that sets have on disk."""

from collections.abc import Mapping
from pathlib import Path

from tests.data.writing import jsonl, put

DOCUMENTS = {
    "d1": ("Sun", "the heat of the sun on the sea"),
    "d2": ("Train", "a bridge over the river for the train"),
    "d3": ("Bees", "bees make honey from the flower"),
    "d4": ("Snow", "rain and snow in winter"),
}
QUERIES = {"q1": "heat of sun", "q2": "honey bee", "q3": "winter train"}
QRELS = {"q1": {"d1": 2}, "q2": {"d3": 1}, "q3": {"d2": 1, "d4": 1}}


def beir(folder: Path, split: str = "test", *, qrels: Mapping[str, Mapping[str, int]] = QRELS, more: str = "") -> Path:
    """A set in BEIR's layout; ``more`` is appended to each document, so that sets differ."""
    jsonl(
        folder / "corpus.jsonl",
        [{"_id": id, "title": title, "text": text + more} for id, (title, text) in DOCUMENTS.items()],
    )
    jsonl(folder / "queries.jsonl", [{"_id": id, "text": text} for id, text in QUERIES.items()])
    return judged(folder, split, qrels)


def judged(folder: Path, split: str, qrels: Mapping[str, Mapping[str, int]] = QRELS) -> Path:
    """The judgements of one more split."""
    lines = "".join(f"{q}\t{doc}\t{grade}\n" for q, grades in qrels.items() for doc, grade in grades.items())
    put(folder / f"qrels/{split}.tsv", "query-id\tcorpus-id\tscore\n" + lines)
    return folder


def hub(folder: Path) -> Path:
    """A set as NanoBEIR has it on the hub: Parquet files, binary judgements without a score."""
    import pyarrow
    from pyarrow import parquet

    rows = {
        "corpus": [{"_id": id, "text": text} for id, (_, text) in DOCUMENTS.items()],
        "queries": [{"_id": id, "text": text} for id, text in QUERIES.items()],
        "qrels": [{"query-id": q, "corpus-id": doc} for q, grades in QRELS.items() for doc in grades],
    }
    for name, records in rows.items():
        (folder / name).mkdir(parents=True)
        parquet.write_table(pyarrow.Table.from_pylist(records), folder / name / "train-00000-of-00001.parquet")
    return folder
