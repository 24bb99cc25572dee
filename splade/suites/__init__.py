"""Suites of evaluation sets: their names and conventions, the places of their files, and their averages."""

from splade.suites.averages import Averages, averages_of, grid
from splade.suites.catalogue import AVERAGES, SUITES, EvaluationSet, sets_of, units_of
from splade.suites.places import Parts, folder_of, index_name, missing_sets, parts_of

__all__ = [
    "AVERAGES",
    "SUITES",
    "Averages",
    "EvaluationSet",
    "Parts",
    "averages_of",
    "folder_of",
    "grid",
    "index_name",
    "missing_sets",
    "parts_of",
    "sets_of",
    "units_of",
]
