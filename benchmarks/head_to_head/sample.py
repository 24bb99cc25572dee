"""What is made of training questions: a small BEIR folder, on which the weight of FLOPS is chosen, and negatives."""

import json
from pathlib import Path

from splade.data.collections import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.files import whole_file, whole_folder
from splade.search.bm25 import BM25

QUESTIONS, OTHERS = 300, 300
DEPTH = 25  # passages of BM25's ranking that negatives are drawn from


def make_sample(data: Path, name: str, folder: Path) -> None:
    """Every n-th training question of a set, its answers, and as many passages that answer none of them."""
    if (folder / "corpus.jsonl").is_file():
        return
    qrels = read_qrels(data / name, split="train")
    questions = [query for query in open_queries(data / name, split="train") if query.id in qrels]
    questions = questions[:: max(len(questions) // QUESTIONS, 1)]
    answers = {id for query in questions for id in qrels[query.id]}
    documents = list(open_collection(data / name))
    others = [document for document in documents if document.id not in answers]
    others = others[:: max(len(others) // OTHERS, 1)]
    taken = answers | {document.id for document in others}
    with whole_folder(folder) as whole:
        (whole / "qrels").mkdir()
        _write(whole / "corpus.jsonl", [(one.id, one.text) for one in documents if one.id in taken])
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
