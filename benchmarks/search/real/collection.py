"""Collections of real vectors in files that ``benchmarks.search --vectors`` takes, with their figures beside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from benchmarks.search.real.vectors import medians_over_maxima, save
from splade.files import whole_folder, write_json

QUANTILES = (0.1, 0.5, 0.9, 0.99, 1.0)


def write_collection(
    folder: Path, documents: sp.csr_matrix, queries: Mapping[str, sp.csr_matrix], calibration: sp.csr_matrix, about: Any
) -> dict[str, Any]:
    """Write ``docs.npz``, a file of each set of queries, ``calibration.npz`` and ``statistics.json``; return the last.

    The folder is written whole; what stands there is replaced. No text of ``calibration`` is among the ``queries``.
    ``about`` is kept with the figures.
    """
    sets = {"documents": documents, "calibration": calibration, **queries}
    told = {"about": about, **{name: figures(matrix) for name, matrix in sets.items()}}
    with whole_folder(folder) as made:
        save(made / "docs.npz", documents)
        for name, matrix in {"calibration": calibration, **queries}.items():
            save(made / f"{name}.npz", matrix)
        write_json(made / "statistics.json", told)
    return told


def figures(matrix: sp.csr_matrix) -> dict[str, Any]:
    """Rows, terms of a row, quantiles of weights, and the flatness: the median over rows of median over maximum."""
    lengths = np.diff(matrix.indptr)
    flatness = medians_over_maxima(matrix)
    return {
        "rows": int(matrix.shape[0]),
        "empty": int((lengths == 0).sum()),
        "terms": float(lengths.mean()) if len(lengths) else 0.0,
        "terms_quantiles": _quantiles(lengths),
        "weights_quantiles": _quantiles(matrix.data),
        "flatness": float(np.median(flatness)) if len(flatness) else 0.0,
        "terms_in_use": len(np.unique(matrix.indices)),
    }


def _quantiles(values: Any) -> list[float]:
    return [round(float(value), 4) for value in np.quantile(values, QUANTILES)] if len(values) else []
