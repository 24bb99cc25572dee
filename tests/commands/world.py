"""A working directory in which published configs and commands run offline.

Hub names become folders with tiny models, and ``data/msmarco`` a dozen passages in the layout that the
configs name.
"""

import gzip
import json
import pickle
from collections.abc import Mapping
from pathlib import Path

from tests.tiny import tiny_cross_encoder, tiny_decoder, tiny_mlm, tiny_t5

PASSAGES = (
    "the heat of the sun on the sea",
    "a bridge over the river for the train",
    "the speed of sound in air",
    "bees make honey from the flower",
    "the king and the queen in the house",
    "iron and gold and copper",
    "rain and snow in winter",
    "the cell and the virus in the blood",
    "a song with the drum",
    "the orbit of the moon",
    "rice and bread and salt",
    "the bank and the market price",
)
QUESTIONS = {
    "q0": "heat of sun",
    "q1": "train bridge",
    "q2": "speed of sound",
    "q3": "honey bee",
    "q4": "king and queen",
    "q5": "gold or iron",
    "q6": "snow",
    "q7": "virus in blood",
}
MLM_NAMES = {
    "distilbert-base-uncased": "distilbert",
    "Luyu/co-condenser-marco": "bert",
    "google/bert_uncased_L-2_H-128_A-2": "bert",
    "naver/efficient-splade-V-large-doc": "distilbert",
    "naver/efficient-splade-V-large-query": "distilbert",
    "naver/splade-cocondenser-selfdistil": "bert",
    "MODEL": "bert",
}
DECODER_NAMES = ("LLM", "meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.1-8B")
QRELS = {query: {f"d{number}": 1} for number, query in enumerate(QUESTIONS)}
SMALL = (
    "config.nb_iterations=2",
    "config.warmup_steps=1",
    "config.train_batch_size=4",
    "config.train_monitoring_freq=1",
    "config.record_frequency=1",
)
SMALL_HF = (
    "hf.training.max_steps=2",
    "hf.training.per_device_train_batch_size=2",
    "hf.training.warmup_ratio=0",
    "hf.training.warmup_steps=1",
    "hf.training.save_steps=1",
    "hf.training.logging_steps=1",
    "data.VALIDATION_SIZE_FOR_LOSS=2",
)


def build(root: Path) -> Path:
    """Fill ``root`` with tiny models under published names and with ``data/msmarco``; returns it."""
    for number, (name, arch) in enumerate(MLM_NAMES.items()):
        tiny_mlm(root / name, arch=arch, hidden=16, layers=1, seed=number)
    tiny_t5(root / "t5-3b", hidden=16, layers=1)
    for name in DECODER_NAMES:
        tiny_decoder(root / name, hidden=16, layers=1)
    tiny_cross_encoder(root / "cross-encoder/ms-marco-MiniLM-L-6-v2", hidden=16, layers=1)
    data = root / "data" / "msmarco"
    passages = {f"d{number}": text for number, text in enumerate(PASSAGES)}
    for folder in ("full_collection", "val_retrieval/collection"):
        _raw(data / folder, passages)
    for folder in ("train_queries/queries", "val_retrieval/queries", "dev_queries"):
        _raw(data / folder, QUESTIONS)
    for year in (2019, 2020):
        _raw(data / f"TREC_DL_{year}" / "queries", QUESTIONS)
        _json(data / f"TREC_DL_{year}" / "qrel.json", QRELS)
    for file in ("train_queries/qrels.json", "val_retrieval/qrel/qrel.json", "dev_qrel.json"):
        _json(data / file, QRELS)
    _json(data / "idf.json", {"heat": 2.5, "sun": 3.0, "bridge": 3.5, "honey": 2.0})
    _supervision(data)
    for name in ("scifact", "nfcorpus"):
        _beir(root / "data" / "beir" / name, passages)
    return root


def _beir(beir: Path, passages: Mapping[str, str]) -> None:
    beir.mkdir(parents=True)
    (beir / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": doc, "title": "", "text": text}) + "\n" for doc, text in passages.items())
    )
    (beir / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": query, "text": text}) + "\n" for query, text in QUESTIONS.items())
    )
    (beir / "qrels").mkdir()
    judged = "".join(f"{query}\t{doc}\t1\n" for query, docs in QRELS.items() for doc in docs)
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)


def _supervision(data: Path) -> None:
    scores = {
        query: {f"d{doc}": 10.0 - (doc - number) % len(PASSAGES) for doc in range(len(PASSAGES))}
        for number, query in enumerate(QUESTIONS)
    }
    (data / "hard_negatives").mkdir(parents=True)
    for name in ("ensemble_scores", "splade_v3_scores", "self_scores"):
        with gzip.open(data / "hard_negatives" / f"{name}.pkl.gz", "wb") as stream:
            pickle.dump(scores, stream)
    triplets = [
        (text, PASSAGES[number], PASSAGES[(number + 3) % len(PASSAGES)])
        for number, text in enumerate(QUESTIONS.values())
    ]
    for folder, scored in (("triplets", ""), ("triplets_with_distil", "\t9.5\t3.25")):
        (data / folder).mkdir()
        (data / folder / "raw.tsv").write_text("".join("\t".join(row) + scored + "\n" for row in triplets))


def _raw(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "raw.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in texts.items()))


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
