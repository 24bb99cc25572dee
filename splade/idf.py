"""The IDF of every token in a collection, as weights of the queries of ``splade_idf``."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from splade.config import command
from splade.data.collections.collection import Collection, collection_state
from splade.data.collections.opening import open_collection
from splade.data.tokens.frequencies import document_frequencies
from splade.files import InputError, check_writable, read_json, write_json
from splade.models.backbones.loading import load_tokenizer
from splade.models.saving.checkpoint import described_tokenizer
from splade.progress import progress

logger = logging.getLogger(__name__)


def idf(cfg: DictConfig) -> Path:
    """Write ``init_dict.idf``: {token: IDF} of ``data.COLLECTION_PATH`` in the model's tokens, JSON.

    Beside it ``….about.json`` says of which collection it is, and how many tokens its documents have on average; a
    file of the same one is left as it is.
    """
    path = Path(cfg.idf.path)
    check_writable(path.parent)
    collection = open_collection(cfg.idf.collection)
    about = _about(cfg, collection)
    described = path.with_suffix(".about.json")
    if path.is_file():
        if described.is_file() and about.items() <= read_json(described).items():
            logger.info("%s holds the IDF of this collection already", path)
            return path
        raise InputError(f"init_dict.idf={path}: there is another file; remove it, or name one that is not there")
    tokenizer = load_tokenizer(described_tokenizer(cfg.idf.tokenizer))
    texts = progress(collection, desc="idf", unit="doc", total=len(collection))
    frequencies = document_frequencies(tokenizer, texts, cfg.idf.max_length)
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    write_json(described, about | {"mean_length": frequencies.mean_length})
    write_json(path, dict(zip(tokens, frequencies.idf().tolist(), strict=True)))
    met = int((frequencies.counts > 0).sum())
    logger.info("%s: %d tokens, %d of them in %d documents", path, len(tokens), met, frequencies.n_docs)
    return path


def _about(cfg: DictConfig, collection: Collection) -> dict[str, Any]:
    """Describe what the IDF file depends on: collection, tokenizer, length limit and formula."""
    return {
        **collection_state(collection),
        "n_docs": len(collection),
        "tokenizer": str(cfg.idf.tokenizer),
        "max_length": cfg.idf.max_length,
        "formula": "ln(1 + (N - n + 0.5) / (n + 0.5))",
    }


main = command(idf)

if __name__ == "__main__":
    main()
