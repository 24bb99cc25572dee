"""Give a trained model BM25's weights beside its own, in the same vectors."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config import command, save_config
from splade.files import check_writable
from splade.models import save_retriever
from splade.models.saving.lexical_addition import with_bm25

logger = logging.getLogger(__name__)


def add_bm25(cfg: DictConfig) -> Path:
    """Write the model of ``init_dict.model_type_or_dir`` with lexical weights to ``config.checkpoint_dir/model``.

    Nothing is trained: the weights follow from ``init_dict.idf``. Commands find the model as if it had been trained.
    """
    check_writable(cfg.checkpoint.dir)
    target = Path(cfg.checkpoint.dir) / "model"
    lexical: Any = OmegaConf.to_container(cfg.add_bm25.lexical, resolve=True)
    model = with_bm25(cfg.add_bm25.model, **lexical)
    save_retriever(model, target)
    save_config(cfg, f"{cfg.checkpoint.dir}/config.yaml")
    logger.info("%s with lexical weights of %s in %s", cfg.add_bm25.model, cfg.add_bm25.lexical.idf, target)
    return target


main = command(add_bm25)

if __name__ == "__main__":
    main()
