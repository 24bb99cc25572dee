"""Compare systems: significance, the queries that differ, tables, and figures of effectiveness and cost."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from splade.comparing.comparison import Comparison, Settings
from splade.comparing.comparison import compare as compare_systems
from splade.comparing.moves import moves
from splade.comparing.systems import read_systems
from splade.comparing.writing import write_comparison
from splade.config import command
from splade.files import check_writable
from splade.workflow.reporting.score_terms import products_at_hand, texts_by_id

logger = logging.getLogger(__name__)


def compare(cfg: DictConfig) -> Comparison:
    """Write ``compare.json``, ``.md``, ``.tex`` and ``.png`` of ``compare.runs`` into ``compare.out_dir``.

    Runs are TREC or JSON files, which ``compare.qrels`` judges, or result folders, which keep their values.
    """
    chosen = cfg.comparison
    check_writable(chosen.out_dir)
    sets = read_systems(chosen.runs, qrels=chosen.qrels, metrics=chosen.metrics, names=chosen.names)
    found = compare_systems(sets, Settings(**chosen.tests))
    products = products_at_hand(found, chosen.index_dir, chosen.queries_vectors, chosen.queries)
    moved = moves(
        found,
        chosen.n_queries,
        query_text=texts_by_id(chosen.queries, "queries"),
        doc_text=texts_by_id(chosen.collection, "documents"),
        products=products,
    )
    paths = write_comparison(chosen.out_dir, found, moved)
    print(Path(chosen.out_dir, "compare.md").read_text(encoding="utf-8").partition("\n## Queries")[0].rstrip())
    logger.info("written: %s", ", ".join(map(str, paths)))
    return found


main = command(compare)

if __name__ == "__main__":
    main()
