"""Train a reranker from a config: build the parts, hand them to the trainer, run."""

from functools import partial

from hydra.utils import instantiate
from omegaconf import DictConfig

from splade.config import command, save_config
from splade.files import check_writable
from splade.train import description
from splade.training.reranking import RerankingSummary

DECIDES_WEIGHTS = ("reranker", "loss", "examples")


def hf_train_reranker(cfg: DictConfig) -> RerankingSummary:
    """Train the configured reranker into ``config.checkpoint_dir``; a finished training is left as it is."""
    check_writable(cfg.checkpoint.dir)
    trainer = instantiate(cfg.reranker_trainer)(
        reranker=partial(instantiate, cfg.reranker),
        loss=instantiate(cfg.loss),
        examples=instantiate(cfg.examples),
        describe=description(cfg, DECIDES_WEIGHTS),
    )
    save_config(cfg, f"{cfg.checkpoint.dir}/config.yaml")
    summary: RerankingSummary = trainer.run()
    print(summary.in_words())
    return summary


main = command(hf_train_reranker)

if __name__ == "__main__":
    main()
