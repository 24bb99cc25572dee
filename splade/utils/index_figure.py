"""Draw the posting-list sizes of an index, sorted, on a log scale."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig

from splade.config import command
from splade.evaluation.plots import posting_figure
from splade.files import InputError, read_json
from splade.indexing import InvertedIndex
from splade.indexing.index.statistics import posting_counts

logger = logging.getLogger(__name__)


def index_figure(cfg: DictConfig) -> Path:
    """Write ``index_dist.png`` beside the index of ``config.index_dir``; the path of the figure."""
    path = Path(cfg.index.dir) / "index_dist.png"
    posting_figure(stored_counts(cfg.index.dir), path)
    logger.info("posting-list sizes: %s", path)
    return path


def stored_counts(index_dir: str | Path) -> NDArray[np.int64]:
    """Documents per term, int64 [V]: from ``index_dist.json`` where it is there, else from the index.

    The JSON file {term id: documents} leaves out unused terms, so V is then the last used one + 1.
    """
    file = Path(index_dir) / "index_dist.json"
    if not file.is_file():
        return posting_counts(InvertedIndex.open(index_dir))
    stored = read_json(file)
    try:
        terms = np.array([int(term) for term in stored], np.int64)
        lengths = np.array([int(length) for length in stored.values()], np.int64)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{file}: expected {{term id: number of documents}}: {error}") from error
    if terms.size and min(terms.min(), lengths.min()) < 0:
        raise InputError(f"{file}: term ids and numbers of documents must not be negative")
    counts = np.zeros(terms.max() + 1 if terms.size else 0, np.int64)
    counts[terms] = lengths
    return counts


main = command(index_figure)

if __name__ == "__main__":
    main()
