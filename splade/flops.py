"""Expected postings touched per query and document pair (arXiv 2107.05720, FLOPS)."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from splade.config import command
from splade.data.collections.opening import open_queries
from splade.evaluation.efficiency import term_counts
from splade.files import InputError, write_json
from splade.indexing import InvertedIndex
from splade.indexing.index.statistics import expected_flops, posting_counts
from splade.workflow.encoding import QueryEncoder, encoder_from
from splade.workflow.exported.models import model_from
from splade.workflow.searching import pruned_queries

logger = logging.getLogger(__name__)


def flops(cfg: DictConfig) -> float:
    """Write ``out_dir/flops.json``: the sum over all terms of p(term in query) · p(term in document).

    Probabilities are shares of the queries of ``data.flops_queries``, pruned as for a search, and of the
    indexed documents.
    """
    if not cfg.flops.queries:
        raise InputError("data.flops_queries is not set: name the queries whose terms FLOPS is taken over")
    queries = open_queries(cfg.flops.queries)
    index = InvertedIndex.open(cfg.index.dir)
    encoder = QueryEncoder(encoder_from(cfg, model_from(cfg), "query"), index, cfg.search.force)
    vectors = pruned_queries(encoder.encode(queries), cfg.search)[0].vectors
    query_counts, n_queries = term_counts([vectors], index.vocab_size)
    if not n_queries or not index.n_docs:
        raise InputError(
            f"FLOPS needs queries and documents: {n_queries} queries in data.flops_queries={cfg.flops.queries}, "
            f"{index.n_docs} documents in config.index_dir={cfg.index.dir}"
        )
    value = expected_flops(posting_counts(index), index.n_docs, query_counts, n_queries)
    write_json(Path(cfg.retrieve.out_dir) / "flops.json", {"flops": value})
    logger.info("FLOPS: %.4f expected postings per query and document pair (%d queries)", value, n_queries)
    return value


main = command(flops)

if __name__ == "__main__":
    main()
