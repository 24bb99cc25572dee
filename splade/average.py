"""Make one model of several: the average of their weights."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command, save_config
from splade.files import check_writable
from splade.models import save_retriever
from splade.models.saving.averaging import average_models

logger = logging.getLogger(__name__)


def average(cfg: DictConfig) -> Path:
    """Write the average of ``config.average.checkpoints`` to ``config.checkpoint_dir/model``; where that is.

    There it is found by all commands, as if it had been trained.
    """
    check_writable(cfg.checkpoint.dir)
    target = Path(cfg.checkpoint.dir) / "model"
    model = average_models(cfg.average.checkpoints, cfg.average.weights)
    save_retriever(model, target)
    save_config(cfg, f"{cfg.checkpoint.dir}/config.yaml")
    logger.info("average of %d models in %s", len(cfg.average.checkpoints), target)
    return target


main = command(average)

if __name__ == "__main__":
    main()
