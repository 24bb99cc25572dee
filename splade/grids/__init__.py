"""Grids of operating points: what a search gives up in quality for bytes and time, axis by axis.

`points` names the axes and makes the points, `indexes` builds an index for each layout, `passes` times all points
together, `measuring` does all of it and writes results; `front` and `tables` tell the outcome, `figure` draws it.
``splade.tradeoffs`` is the command.
"""

from splade.grids.figure import tradeoff_figure
from splade.grids.indexes import Indexes, documents_of
from splade.grids.measuring import Grid, JudgedSet, Searching, VectorSource
from splade.grids.passes import Passes
from splade.grids.points import AXES, BASELINE, Axis, Point, points_of
from splade.grids.tables import SetOutcome, markdown

__all__ = [
    "AXES",
    "BASELINE",
    "Axis",
    "Grid",
    "Indexes",
    "JudgedSet",
    "Passes",
    "Point",
    "Searching",
    "SetOutcome",
    "VectorSource",
    "documents_of",
    "markdown",
    "points_of",
    "tradeoff_figure",
]
