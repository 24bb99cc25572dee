"""Train with many negatives per query (``config.hf_training: true``), under the older name of the command."""

from omegaconf import DictConfig

from splade.config import ConfigError, command
from splade.train import train
from splade.training import TrainingSummary


def hf_train(cfg: DictConfig) -> TrainingSummary:
    """As ``splade.train``, for a config whose ``hf.*`` settings are in use."""
    if cfg.kinds.trainer != "multi_negative":
        raise ConfigError(
            "splade.hf_train trains from the hf.* settings, and config.hf_training is not true: set it, or use "
            "splade.train"
        )
    return train(cfg)


main = command(hf_train)

if __name__ == "__main__":
    main()
