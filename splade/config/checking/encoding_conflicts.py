"""Sizes and precisions that are each fine and do not go together, as rules for `splade.config.checking.conflicts`."""

from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf


def precision(cfg: DictConfig) -> Iterator[str]:
    """One kind of half precision in training, and one in encoding."""
    trained = "hf.training" if OmegaConf.select(cfg, "config.hf_training") else "config"
    for group in (trained, "init_dict"):
        if OmegaConf.select(cfg, f"{group}.fp16") and OmegaConf.select(cfg, f"{group}.bf16"):
            yield f"{group}.fp16=true and {group}.bf16=true: choose one; for the second set {group}.fp16=false"


def mined_ranks(cfg: DictConfig) -> Iterator[str]:
    """The ranks that negatives are taken from are among those that are looked at, and some are taken."""
    if OmegaConf.select(cfg, "config.mining") is None:
        return
    top, n_top, depth, n_deep = (cfg.mine.ranks[name] for name in ("top", "n_top", "depth", "n_deep"))
    if depth < top:
        yield f"config.mining.depth={depth} ranks are looked at, and config.mining.top={top} is more: lower it"
    if n_top > top:
        yield f"config.mining.n_top={n_top} negatives cannot come from config.mining.top={top} ranks: raise the second"
    if not n_top + n_deep:
        yield "config.mining.n_top=0 and config.mining.n_deep=0: nothing would be mined; raise one of them"


def head_vectors(cfg: DictConfig) -> Iterator[str]:
    """Vectors of a head stand beside the texts, and other vectors in their place."""
    head, whole = (OmegaConf.select(cfg, f"data.{name}_PATH") for name in ("HEAD_VECTORS", "VECTORS"))
    if head is not None and whole is not None:
        yield f"data.HEAD_VECTORS_PATH={head} goes with texts, not with data.VECTORS_PATH={whole}: remove one of them"


def kept_weights(cfg: DictConfig) -> Iterator[str]:
    """Dense vectors are kept as they are, or as half-precision numbers."""
    chosen = OmegaConf.select(cfg, "config.index_weights")
    if chosen == "uint8" and str(OmegaConf.select(cfg, "kinds.model", default="")) == "dense":
        yield "config.index_weights=uint8: dense vectors are kept in float32 or float16; choose one of them"
