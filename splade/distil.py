"""One round of distillation: a model mines its negatives, a teacher scores them, training goes on from the model."""

import logging
import os
from copy import deepcopy
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from splade.config import command
from splade.config.composing.processes import one_of_several
from splade.files import InputError, check_writable
from splade.mine import mine
from splade.mining.scoring import FILE
from splade.score import score
from splade.train import train
from splade.training import TrainingSummary
from splade.workflow.model_loading import teacher_from

logger = logging.getLogger(__name__)


def distil(cfg: DictConfig) -> TrainingSummary:
    """Mine with ``init_dict.model_type_or_dir``, score with ``config.teacher``, train into ``config.checkpoint_dir``.

    Run again, it does only what is missing: each of the three continues where it was interrupted.
    """
    check(cfg)
    mine(first_model(cfg))
    score(cfg)
    summary = train(cfg)
    assert summary is not None
    logger.info("the next round starts from init_dict.model_type_or_dir=%s, in other folders", summary.model_dir)
    return summary


def check(cfg: DictConfig) -> None:
    """InputError for what would stop the scoring or the training, before the mining."""
    if one_of_several(os.environ):
        raise InputError(
            "splade.distil is for one process. On several: python -m splade.mine config.pretrained_no_yamlconfig=true, "
            "python -m splade.score, then torchrun … -m splade.train, all with this config"
        )
    written, read = Path(cfg.score.out_dir) / FILE, cfg.examples.get("scores")
    if read is None or Path(read) != written:
        raise InputError(
            f"splade.distil trains on the scores that it writes, {written}, but the training data is "
            f"{read or cfg.kinds.examples}: set data.type=hard_negatives and data.TRAIN.DATASET_PATH={written} (as "
            "train/data=msmarco_mined does)"
        )
    check_writable(cfg.checkpoint.dir)
    if not written.is_file():
        teacher_from(cfg)  # and let go: better now than after hours of mining


def first_model(cfg: DictConfig) -> DictConfig:
    """``cfg`` for the model that ``init_dict`` names, not the one that is trained."""
    first = deepcopy(cfg)
    OmegaConf.update(first, "checkpoint.pretrained", True)
    return first


main = command(distil)

if __name__ == "__main__":
    main()
