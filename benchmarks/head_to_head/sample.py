"""Parts of collections in the BEIR layout, and negatives for training questions."""

import json
from pathlib import Path

from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.engines.bm25 import rankings
from splade.files import whole_file, whole_folder
from splade.records import Text

NEIGHBOURS = 60  # passages in a run of neighbours
DEPTH = 25  # passages of BM25's ranking that negatives are drawn from


def sampled(data: Path, name: str, split: str, folder: Path, passages: int, questions: int | None = None) -> Path:
    """A BEIR folder of runs of neighbouring passages of a set, evenly spaced, and of the questions answered among them.

    Neighbours are about one thing (an article, a disease), as the passages that a question is hard among are in
    the whole collection. Passages drawn one by one are so easy that they choose nothing. A set with no more than
    ``passages`` documents is taken whole; of more than ``questions`` questions, evenly spaced ones are taken.
    """
    if (folder / "corpus.jsonl").is_file():
        return folder
    qrels = read_qrels(data / name, split=split)
    answers = {id for judged in qrels.values() for id, grade in judged.items() if grade > 0}
    taken = _neighbours(list(open_collection(data / name)), answers, passages)
    known = {document.id for document in taken}
    asked = [query for query in open_queries(data / name, split=split) if known.issuperset(qrels.get(query.id, [""]))]
    if questions:
        asked = asked[:: max(len(asked) // questions, 1)]
    with whole_folder(folder) as whole:
        (whole / "qrels").mkdir()
        _write(whole / "corpus.jsonl", taken)
        _write(whole / "queries.jsonl", asked)
        judged = [f"{query.id}\t{id}\t{grade}\n" for query in asked for id, grade in qrels[query.id].items()]
        (whole / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    return folder


def _neighbours(documents: list[Text], answers: set[str], passages: int) -> list[Text]:
    """Runs that begin at answers, evenly spaced among them."""
    if len(documents) <= passages:
        return documents
    places = [place for place, document in enumerate(documents) if document.id in answers]
    starts = places[:: max(len(places) * NEIGHBOURS // passages, 1)]
    taken = sorted({place for start in starts for place in range(start, min(start + NEIGHBOURS, len(documents)))})
    return [documents[place] for place in taken[:passages]]


def bm25_negatives(data: Path, name: str, path: Path) -> Path:
    """BM25's best passages for every training question, its answers left out, as a TREC run.

    Only passages that answer some training question are searched, so that no passage of the held-out questions
    is seen in training.
    """
    if path.is_file():
        return path
    qrels = read_qrels(data / name, split="train")
    answers = {id for judged in qrels.values() for id, grade in judged.items() if grade > 0}
    documents = [document for document in open_collection(data / name) if document.id in answers]
    questions = [query for query in open_queries(data / name, split="train") if query.id in qrels]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        for found in rankings(documents, questions, DEPTH):
            ranked = zip(found.doc_ids, found.scores.tolist(), strict=True)
            wrong = [(id, score) for id, score in ranked if id not in qrels[found.query_id]]
            lines = (f"{found.query_id} Q0 {id} {rank} {score} bm25\n" for rank, (id, score) in enumerate(wrong, 1))
            file.writelines(lines)
    return path


def _write(path: Path, texts: list[Text]) -> None:
    path.write_text("".join(json.dumps({"_id": one.id, "title": "", "text": one.text}) + "\n" for one in texts))
