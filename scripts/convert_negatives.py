"""Turn scored hard negatives (pickle, JSON or TREC run, .gz too) into the safe, streamed JSON lines.

python scripts/convert_negatives.py scores.pkl.gz scores.jsonl.gz
"""

import argparse
import sys

from splade.data.score_files.negatives import convert_scores
from splade.files import InputError


def main(arguments: list[str] | None = None) -> int:
    """Convert SOURCE to TARGET and say how much there was; 2 where SOURCE cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="scores to read: .pkl, .json, .jsonl or a TREC run, each may be .gz")
    parser.add_argument("target", help="file to write: .jsonl or .jsonl.gz")
    chosen = parser.parse_args(arguments)
    try:
        n_queries, n_documents = convert_scores(chosen.source, chosen.target)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{chosen.target}: {n_documents} scored documents of {n_queries} queries")
    return 0


if __name__ == "__main__":
    sys.exit(main())
