"""From rankings and qrels to metrics: runs on disk, conventions, efficiency, reports, figures."""

from splade.evaluation.conventions import Conventions, SelfMatches
from splade.evaluation.coverage import Coverage, coverage
from splade.evaluation.measured import Measured, measured
from splade.evaluation.metrics import check_metrics, evaluate, evaluate_per_query
from splade.evaluation.runs import read_run, write_run

__all__ = [
    "Conventions",
    "Coverage",
    "Measured",
    "SelfMatches",
    "check_metrics",
    "coverage",
    "evaluate",
    "evaluate_per_query",
    "measured",
    "read_run",
    "write_run",
]
