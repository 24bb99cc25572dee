"""The table of a set."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """An engine with its settings, and what was measured."""

    engine: str
    ndcg_10: float
    of_exact: dict[int, float]  # by k: share of the exact best k
    recall: dict[int, float]  # by k: of the relevant documents
    megabytes: float
    build_seconds: float
    milliseconds: dict[int, float]  # by k, of a query
    quantization: str


def table(rows: Sequence[Row]) -> str:
    """Rows in Markdown."""
    ks = (100, 1000)
    head = ["engine", "nDCG@10", *(f"recall@{k}" for k in ks), *(f"of the exact {k:,}" for k in ks), "MB", "build s"]
    head += [f"ms, k = {k:,}" for k in (rows[0].milliseconds if rows else ())]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for row in rows:
        cells = [row.engine, f"{row.ndcg_10:.4f}", *(f"{row.recall[k]:.4f}" for k in ks)]
        cells += [*(f"{row.of_exact[k]:.4f}" for k in ks), f"{row.megabytes:.1f}", f"{row.build_seconds:.1f}"]
        lines.append([*cells, *(f"{value:.2f}" for value in row.milliseconds.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
