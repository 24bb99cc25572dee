"""A verdict on a target, and the figures of a comparison that verdicts are made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

SMALL, LARGE = 100_000, 1_000_000
EXACT, BUILT = "splade auto", "splade-float32"


class Verdict(NamedTuple):
    """One row: what is wanted, what was measured in words, and whether it is enough (None where not measured)."""

    target: str
    measured: str
    met: bool | None
    reached: float | None = None  # share of what is wanted

    def line(self) -> str:
        """The row of a table; how far it is where it is not met."""
        far = "" if self.reached is None or self.met else f": {100 * self.reached:.0f} % of it"
        said = {True: "met", False: f"not met{far}", None: "–"}[self.met]
        return f"| {self.target} | {self.measured} | {said} |"


class MissingError(Exception):
    """What a verdict would need was not measured."""


Result = dict[str, Any]


class Measured(NamedTuple):
    """The results of a folder."""

    comparisons: dict[int, Result]  # by the number of documents
    adversarial: list[Result]

    def at(self, n_docs: int) -> Result:
        """The comparison at this size."""
        if n_docs not in self.comparisons:
            raise MissingError(f"{n_docs:,} documents")
        return self.comparisons[n_docs]


Check = Callable[[Measured], Verdict]


def fastest(
    result: Result, queries: str, k: int, prefix: str, recall: float = 0.0, *, exact_only: bool = False
) -> float:
    """Milliseconds of the fastest engine with this beginning of its name that reaches the recall, on one thread.

    With ``exact_only`` those that prune do not count.
    """
    found = [
        row["ms"]
        for row in result["searches"]
        if (row["queries"], row["k"]) == (queries, k)
        and row["engine"].startswith(prefix)
        and row["recall"] >= recall
        and (row.get("exact", True) or not exact_only)
    ]
    if not found:
        raise MissingError(f"{prefix} on {queries}, k = {k}")
    return float(min(found))


def exact(result: Result, queries: str, k: int) -> float:
    """Milliseconds of our exact search, the batch in one call."""
    found = [
        row["ms"] for row in result["searches"] if (row["engine"], row["queries"], row["k"]) == (EXACT, queries, k)
    ]
    if not found:
        raise MissingError(f"{EXACT} on {queries}, k = {k}")
    return float(found[0])


def against(n_docs: int, queries: str, k: int, peers: dict[str, float], measured: Measured) -> Verdict:
    """Our exact search against exact peers, each with the ratio that is wanted."""
    return ratios(measured.at(n_docs), f"exact, {n_docs:,} documents, {queries}, k = {k}", queries, k, peers)


def ratios(result: Result, name: str, queries: str, k: int, peers: dict[str, float]) -> Verdict:
    """Our exact search against the fastest setting of each exact peer; peers that were not run do not count."""
    ours, found = exact(result, queries, k), {}
    for peer in peers:
        try:
            found[peer] = fastest(result, queries, k, peer, exact_only=True) / ours
        except MissingError:
            continue
    if not found:
        raise MissingError(f"{', '.join(peers)} on {queries}, k = {k}")
    wanted = ", ".join(f"{peer} {least:g}×" for peer, least in peers.items())
    said = ", ".join(f"{peer} {found[peer]:.2f}×" if peer in found else f"{peer} not measured" for peer in peers)
    reached = min(ratio / peers[peer] for peer, ratio in found.items())
    met = reached >= 1 and (len(found) == len(peers) or None)
    return Verdict(f"{name}: {wanted}", f"{ours:.3f} ms; {said}", met, reached)
