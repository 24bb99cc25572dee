"""The results that the wheel of lsr-benchmark ships, as a table: ``python -m benchmarks.lsr_benchmark.shipped``.

They were measured by its authors, on their machine, with vectors and collections that are downloaded.
"""

import argparse
import gzip
import json
from importlib.metadata import distribution
from pathlib import Path

from lsr_benchmark.datasets import lsr_overview

RESULTS = "step-04-evaluation/results-in-progress.jsonl.gz"
SETS = ("trec-28-deep-learning-passages-20250926-training", "trec-29-deep-learning-passages-20250926-training")


def rows(dataset: str, embedding: str) -> list[dict[str, object]]:
    """The shipped results of one set and encoder, best nDCG first."""
    path = Path(str(distribution("lsr-benchmark").locate_file(RESULTS)))
    with gzip.open(path, "rt") as lines:
        found = [json.loads(line) for line in lines]
    mine = [row for row in found if (row["tira-dataset-id"], row["embedding/model"]) == (dataset, embedding)]
    return sorted(mine, key=lambda row: -float(row["nDCG@10"]))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--embedding", default="naver/splade-v3")
    options = parser.parse_args()
    for dataset in options.sets:
        size = lsr_overview()[dataset]["dataset_stats"]
        print(f"\n{dataset}: {size['docs_count']:,} documents, {size['queries_count']} queries, {options.embedding}\n")
        print("| | nDCG@10 | RR | index, ms | retrieval, ms per query |\n|---|---:|---:|---:|---:|")
        for row in rows(dataset, options.embedding):
            index = float(str(row["index.runtime_wallclock"]).split()[0])
            per_query = float(str(row["retrieval_per_query.runtime_wallclock"]))
            print(f"| {row['Retrieval']} | {row['nDCG@10']:.4f} | {row['RR']:.4f} | {index:,.0f} | {per_query:.2f} |")


if __name__ == "__main__":
    main()
