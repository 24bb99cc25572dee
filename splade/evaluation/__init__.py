"""From rankings and qrels to metrics: runs on disk, conventions, efficiency, reports, figures."""

from splade.evaluation.coverage import Coverage, coverage
from splade.evaluation.metrics import check_metrics, evaluate, evaluate_per_query
from splade.evaluation.runs import read_run, write_run

__all__ = ["Coverage", "check_metrics", "coverage", "evaluate", "evaluate_per_query", "read_run", "write_run"]
