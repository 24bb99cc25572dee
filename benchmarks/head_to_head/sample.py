"""What is made of training questions: a small BEIR folder, on which the weight of FLOPS is chosen, and negatives."""

import json
from pathlib import Path

from splade.data.collections import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.files import whole_file, whole_folder
from splade.search.bm25 import BM25

QUESTIONS, RUNS, NEIGHBOURS = 300, 20, 60  # of the sample: questions, and runs of so many passages
DEPTH = 25  # passages of BM25's ranking that negatives are drawn from


def make_sample(data: Path, name: str, folder: Path) -> None:
    """Runs of neighbouring passages of a set, evenly spaced, and training questions that are answered among them.

    Neighbours are about one thing (an article, a disease), as the passages that a question is hard among are in
    the whole collection. Passages drawn one by one are so easy that they choose nothing.
    """
    if (folder / "corpus.jsonl").is_file():
        return
    documents = list(open_collection(data / name))
    starts = range(0, len(documents) - NEIGHBOURS, len(documents) // RUNS)
    taken = [document for start in starts for document in documents[start : start + NEIGHBOURS]]
    known = {document.id for document in taken}
    qrels = read_qrels(data / name, split="train")
    questions = [
        query for query in open_queries(data / name, split="train") if known.issuperset(qrels.get(query.id, [""]))
    ]
    questions = questions[:: max(len(questions) // QUESTIONS, 1)]
    with whole_folder(folder) as whole:
        (whole / "qrels").mkdir()
        _write(whole / "corpus.jsonl", [(one.id, one.text) for one in taken])
        _write(whole / "queries.jsonl", [(one.id, one.text) for one in questions])
        judged = [f"{query.id}\t{id}\t{grade}\n" for query in questions for id, grade in qrels[query.id].items()]
        (whole / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))


def bm25_negatives(data: Path, name: str, path: Path) -> Path:
    """BM25's best passages for every training question, its answers left out, as a TREC run."""
    if path.is_file():
        return path
    qrels = read_qrels(data / name, split="train")
    questions = [query for query in open_queries(data / name, split="train") if query.id in qrels]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        for found in BM25(open_collection(data / name)).search(questions, k=DEPTH):
            ranked = zip(found.doc_ids, found.scores.tolist(), strict=True)
            wrong = [(id, score) for id, score in ranked if id not in qrels[found.query_id]]
            lines = (f"{found.query_id} Q0 {id} {rank} {score} bm25\n" for rank, (id, score) in enumerate(wrong, 1))
            file.writelines(lines)
    return path


def _write(path: Path, texts: list[tuple[str, str]]) -> None:
    lines = [json.dumps({"_id": id, "title": "", "text": text}) + "\n" for id, text in texts]
    path.write_text("".join(lines))
