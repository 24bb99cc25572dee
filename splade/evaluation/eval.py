"""One run's figure from the command line.

``python -m splade.evaluation.eval --qrel_file_path qrels.json --run_file_path run.json --metric mrr_10``
"""

import argparse
import sys
from collections.abc import Sequence

from splade.data.qrels import read_qrels
from splade.evaluation.coverage import coverage
from splade.evaluation.metrics import OURS, TIES, check_metrics, evaluate
from splade.evaluation.runs import read_run
from splade.files import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Print ``metric value`` lines; the exit status: 0, or 2 where the input cannot be used."""
    asked = _parser().parse_args(arguments)
    try:
        check_metrics(asked.metric)
        run, qrels = read_run(asked.run_file_path), read_qrels(asked.qrel_file_path)
        covered = coverage(run, qrels, asked.ties)
        figures = evaluate(
            run,
            qrels,
            asked.metric,
            answered_only=asked.answered_only,
            relevance_level=asked.relevance_level,
            ties=asked.ties,
        )
    except (InputError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(covered.sentence(asked.answered_only), file=sys.stderr)
    for metric, value in figures.items():
        print(f"{metric} {value:.6f}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m splade.evaluation.eval", description="Evaluate one run.")
    parser.add_argument("--qrel_file_path", required=True, help="qrels: JSON, TREC or BEIR TSV, .gz or not")
    parser.add_argument("--run_file_path", required=True, help="run: JSON or TREC, .gz or not")
    parser.add_argument("--metric", nargs="+", default=["mrr_10"], help="as mrr_10, ndcg@10, recall, map")
    parser.add_argument("--relevance_level", type=int, default=1, help="judgements from here on are relevant")
    parser.add_argument("--answered_only", action="store_true", help="average over answered queries only")
    parser.add_argument("--ties", choices=TIES, default=OURS, help="equal scores: as written, or as trec_eval has them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
