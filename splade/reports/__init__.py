"""The report of one experiment: a page of HTML that needs no server and no network."""

from splade.reports.experiment import Experiment, read_experiment
from splade.reports.hardest import HardQuery, Shown, hardest
from splade.reports.page import Part, page

__all__ = ["Experiment", "HardQuery", "Part", "Shown", "hardest", "page", "read_experiment"]
