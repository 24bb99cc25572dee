"""Score mined negatives, and the answers, with a teacher."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from splade.config import command
from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.data.score_files.negatives import SCORE_FILES
from splade.data.text_files.sources import needed_file
from splade.files import check_writable
from splade.mining import Texts, positives_of
from splade.mining import score as scored
from splade.mining.negatives import FILE as NEGATIVES
from splade.mining.scoring import FILE
from splade.workflow.checks import check_training_data
from splade.workflow.model_loading import teacher_from

logger = logging.getLogger(__name__)


def score(cfg: DictConfig) -> dict[str, Any]:
    """Write ``config.out_dir/scores.jsonl.gz``: the teacher's score of every candidate and of every answer.

    The candidates are those of ``config.teacher.candidates``, ``config.out_dir/negatives.jsonl.gz`` where absent.
    ``data.TRAIN.DATASET_PATH`` takes the result. An interrupted run is continued. Returns the statistics.
    """
    settings = cfg.score
    check_training_data(cfg, "queries", "documents")
    check_writable(settings.out_dir)
    positives = {} if settings.qrels is None else positives_of(read_qrels(settings.qrels))
    texts = Texts(open_queries(settings.queries), open_collection(settings.documents), positives)
    given = settings.candidates or Path(settings.out_dir) / NEGATIVES
    candidates = needed_file(given, (NEGATIVES, *SCORE_FILES), "candidates to score (python -m splade.mine makes them)")
    path = Path(settings.out_dir) / FILE
    statistics = scored(candidates, texts, teacher_from(cfg), path)
    logger.info(
        "%s: %d scores of %d queries; an answer is scored best for %.1f%% of them",
        path,
        statistics["pairs"],
        statistics["queries"],
        100 * statistics["answers_scored_best"] / max(statistics["queries"], 1),
    )
    return statistics


main = command(score)

if __name__ == "__main__":
    main()
