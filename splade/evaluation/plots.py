"""Figures as PNG files; matplotlib is loaded when one is drawn."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splade.files import whole_file


def posting_figure(counts: NDArray[np.int64], path: str | Path) -> None:
    """Draw posting-list lengths, longest first, on a log scale, to the PNG file ``path``.

    ``counts`` is int [V], documents per term; terms without postings are counted in the title and
    not drawn, as a log scale has no zero.
    """
    # Figure without pyplot: no display, no global state, Agg renders the file.
    from matplotlib.figure import Figure

    lengths = np.sort(counts[counts > 0])[::-1]
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    if lengths.size:
        axes.plot(np.arange(1, lengths.size + 1), lengths, linewidth=1.2)
        axes.fill_between(np.arange(1, lengths.size + 1), lengths, 0.8, alpha=0.2)
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.8)
    axes.set_xlabel("terms, by decreasing number of documents")
    axes.set_ylabel("documents with the term")
    axes.set_title(f"{int(lengths.sum()):,} postings of {lengths.size:,} terms; {counts.size - lengths.size:,} unused")
    axes.grid(visible=True, alpha=0.3)
    with whole_file(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=150)
