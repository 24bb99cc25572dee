"""Negatives from the rankings of a model's own index."""

import json
import logging
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from splade.data.collections.collection import Collection, Selection
from splade.data.vectors.shards import Stored
from splade.mining.choosing import Chooser, Positives
from splade.mining.pieces import Pieces
from splade.progress import progress
from splade.records import Ranking, Text

logger = logging.getLogger(__name__)

PIECE = 1000  # queries that are searched and stored at a time
FILE = "negatives.jsonl.gz"

Search = Callable[[Sequence[Text]], Iterable[Ranking]]
"""A ranking for each text, in order."""


def mine(
    queries: Collection,
    chooser: Chooser,
    search: Callable[[], Search],
    path: str | Path,
    about: Mapping[str, Any],
    piece: int = PIECE,
) -> dict[str, Any]:
    """Write negatives of every query that has a positive to ``path``, in the order of ``queries``; the statistics.

    What an interrupted call left, of a run ``about`` the same, is continued; a finished file is left as it is, and
    ``search`` is not made. Memory: the rankings of ``piece`` queries, which are searched together.
    """
    asked = Selection(queries, chooser.positives)
    pieces = Pieces(path, {**about, "queries": state_of(queries), "positives": checksum(chooser.positives)})
    if pieces.finished:
        logger.info("%s holds these negatives already", path)
        return pieces.statistics
    texts, rankings = asked.iterate(pieces.n_queries), search()
    try:
        with progress(desc="mine", unit="query", initial=pieces.n_queries, total=len(asked)) as bar:
            while batch := list(islice(texts, piece)):
                _add(pieces, batch, [chooser.choose(ranking) for ranking in rankings(batch)])
                bar.update(len(batch))
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"mining interrupted after {pieces.n_queries} queries; the same command continues there"
        ) from error
    statistics = described(pieces.counts)
    pieces.finish(statistics)
    return statistics


def described(counts: Mapping[str, int]) -> dict[str, Any]:
    """The statistics of a mining: the counts, and the shares and means that follow from them."""
    n_queries, n_positives = counts.get("queries", 0), counts.get("positives", 0)
    return {
        **counts,
        "negatives_per_query": counts.get("negatives", 0) / max(n_queries, 1),
        "positives_found_share": counts.get("positives_found", 0) / max(n_positives, 1),
    }


def state_of(collection: Collection) -> Any:
    """Identify the texts of a collection by the size and checksum of its file, or by its name where it is no file."""
    source = Path(collection.source)
    return list(Stored.of(source)) if source.is_file() else str(collection.source)


def checksum(positives: Positives) -> int:
    """Checksum of the positives; their order does not matter."""
    plain = {query: sorted(ids) for query, ids in positives.items()}
    return zlib.crc32(json.dumps(plain, sort_keys=True).encode())


def _add(pieces: Pieces, batch: Sequence[Text], chosen: Sequence[tuple[dict[str, float], Counter[str]]]) -> None:
    entries = [(text.id, negatives) for text, (negatives, _) in zip(batch, chosen, strict=True) if negatives]
    total = Counter[str]()
    for _, counts in chosen:
        total.update(counts)  # a sum of counters would lose what is 0
    pieces.add(len(batch), entries, total)
