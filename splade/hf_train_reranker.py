"""Train a reranker from a config: build the parts, hand them to the trainer, run."""

import logging
import os
from functools import partial
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from splade.config import command, save_config
from splade.files import check_writable
from splade.training.distributed.processes import process_group, world
from splade.training.rerankers.reranking_parts import RerankingSummary
from splade.workflow.trained_from import description

logger = logging.getLogger(__name__)

DECIDES_WEIGHTS = ("reranker", "loss", "examples")


def hf_train_reranker(cfg: DictConfig) -> RerankingSummary:
    """Train the configured reranker into ``config.checkpoint_dir``; a finished training is left as it is.

    Under torchrun, every process takes its share of each global batch.
    """
    check_writable(cfg.checkpoint.dir)
    examples = instantiate(cfg.examples)
    with process_group(os.environ):
        summary = _trained(cfg, examples)
    logger.info("%s", summary.in_words())
    return summary


def _trained(cfg: DictConfig, examples: Any) -> RerankingSummary:
    """The training, with all that it holds of the group of processes, which ends after it."""
    trainer = instantiate(cfg.reranker_trainer)(
        reranker=partial(instantiate, cfg.reranker),
        loss=instantiate(cfg.loss),
        examples=examples,
        describe=description(cfg, DECIDES_WEIGHTS),
    )
    if world()[0] == 0:
        save_config(cfg, f"{cfg.checkpoint.dir}/config.yaml")
    summary: RerankingSummary = trainer.run()
    return summary


main = command(hf_train_reranker)

if __name__ == "__main__":
    main()
