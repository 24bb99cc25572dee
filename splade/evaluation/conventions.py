"""Self-matches: whether a result whose document id equals the query id counts.

On ArguAna and Quora queries are documents of the collection, and finding itself is no feat. What
published figures do differs, so the choice is a named policy, printed with the result.
"""

from collections.abc import Iterable, Iterator

from splade.records import Ranking

MTEB_SETS = frozenset({"arguana", "fever", "fiqa", "msmarco", "quora"})

# Policy: the data sets on which self-matches are dropped; None stands for every one.
POLICIES: dict[str, frozenset[str] | None] = {
    "beir": None,
    "arguana_quora": frozenset({"arguana", "quora"}),
    "mteb": MTEB_SETS,
    "off": frozenset(),
}

_IN_WORDS = {
    "beir": "dropped on every set, as BEIR does",
    "arguana_quora": "dropped on ArguAna and Quora only",
    "mteb": "dropped where MTEB's retrieval tasks drop them (ArguAna, FEVER, FiQA, MS MARCO, Quora)",
    "off": "kept",
}


def drops_self_matches(policy: str, dataset: str) -> bool:
    """True where ``policy`` drops self-matches on ``dataset`` (``arguana``, ``beir/arguana``, any case)."""
    return (sets := _sets(policy)) is None or dataset.lower().removeprefix("beir/").split("/")[0] in sets


def search_depth(k: int, policy: str, dataset: str) -> int:
    """Return the number of results to search for so that ``k`` are left: k, or k + 1 where one may be dropped."""
    return k + drops_self_matches(policy, dataset)


def drop_self_matches(
    rankings: Iterable[Ranking], k: int, policy: str = "beir", dataset: str = ""
) -> Iterator[Ranking]:
    """The rankings with at most ``k`` results, without self-matches where ``policy`` drops them."""
    drop = drops_self_matches(policy, dataset)
    for ranking in rankings:
        keep = [
            place for place, doc_id in enumerate(ranking.doc_ids[: k + 1]) if not (drop and doc_id == ranking.query_id)
        ][:k]
        yield Ranking(ranking.query_id, [ranking.doc_ids[place] for place in keep], ranking.scores[keep])


def describe(policy: str) -> str:
    """The policy in words, to print with a result."""
    _sets(policy)
    return f"self-matches {_IN_WORDS[policy]} ({policy})"


def _sets(policy: str) -> frozenset[str] | None:
    if policy not in POLICIES:
        raise ValueError(f"unknown self-match policy {policy!r}; accepted: {', '.join(POLICIES)}")
    return POLICIES[policy]
