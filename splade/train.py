"""Train a model from a config: build the parts, hand them to the trainer, run."""

import logging
import os
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from splade.config import command, save_config
from splade.files import check_writable
from splade.training import TrainingSummary, seed_everything
from splade.training.distributed.processes import process_group, world
from splade.workflow.model_loading import as_trained, starting_model
from splade.workflow.trained_from import description

logger = logging.getLogger(__name__)


def train(cfg: DictConfig) -> TrainingSummary:
    """Train the configured model into ``config.checkpoint_dir``; a finished training is left as it is.

    Under torchrun, every process takes its share of each global batch.
    """
    check_writable(cfg.checkpoint.dir)
    examples = instantiate(cfg.examples)
    full_ranking = instantiate(cfg.full_ranking)
    seed_everything(seed_of(cfg))
    with process_group(os.environ):
        summary = _trained(cfg, examples, full_ranking)
    logger.info("%s", summary.in_words())
    return summary


def _trained(cfg: DictConfig, examples: Any, full_ranking: Any) -> TrainingSummary:
    """The training, with all that it holds of the group of processes, which ends after it."""
    rank, n_processes = world()
    if n_processes > 1 and rank == 0:
        logger.info("training on %d processes", n_processes)
    model = starting_model(cfg)
    cfg = as_trained(cfg, model)
    trainer = instantiate(cfg.trainer)(
        model=model,
        loss=instantiate(cfg.loss),
        penalties=instantiate(cfg.penalties),
        examples=examples,
        full_ranking=full_ranking,
        describe=description(cfg),
    )
    if rank == 0:
        save_config(cfg, f"{cfg.checkpoint.dir}/config.yaml")
    summary: TrainingSummary = trainer.run()
    return summary


def seed_of(cfg: DictConfig) -> int:
    """The seed of the chosen trainer, for what is initialised before there is a trainer."""
    return int(cfg.trainer.seed if "seed" in cfg.trainer else cfg.trainer.trainer.seed)


main = command(train)

if __name__ == "__main__":
    main()
