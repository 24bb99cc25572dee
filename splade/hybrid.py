"""Search the same texts with several engines, fuse what they find, and evaluate all of them."""

import logging

from hydra.utils import instantiate
from omegaconf import DictConfig

from splade.config import command
from splade.evaluate import evaluate
from splade.workflow.checks import check_retrieval
from splade.workflow.hybrid import at_part, fuse_parts, parts_of, search_part

logger = logging.getLogger(__name__)


def hybrid(cfg: DictConfig) -> dict[str, dict[str, dict[str, float]]]:
    """Index, search and evaluate with each of ``hybrid.engines``, and their fusion by ``fuse.method``.

    Results go to ``config.out_dir/ENGINE`` and ``config.out_dir/METHOD``; the metrics by these names and query set. An
    index that is there already, of the same texts and model, is kept.
    """
    check_retrieval(cfg)
    fusion, method, parts = instantiate(cfg.fusion), str(cfg.kinds.fusion), parts_of(cfg)
    fusion([{} for _ in parts])  # which refuses weights of another number before the work
    for part in parts:
        search_part(part, cfg)
    fused = fuse_parts(parts, fusion, method, cfg)
    places = {part.name: (part.index_dir, part.out_dir) for part in parts} | {method: (parts[0].index_dir, fused)}
    metrics = {}
    for name, (index_dir, out_dir) in places.items():
        print(f"[{name}]")
        metrics[name] = evaluate(at_part(cfg, index_dir, out_dir))
    logger.info("results of %s: in %s", ", ".join(places), cfg.retrieve.out_dir)
    return metrics


main = command(hybrid)

if __name__ == "__main__":
    main()
