"""Checks that any engine must pass, for one of your own too::

    from splade.engines.conformance import check_engine
    check_engine(lambda folder: MyEngine(folder), tmp_path)

`check_engine` raises AssertionError with the clause of :mod:`splade.engines.protocol` that is broken.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.dense.index import DenseBatch
from splade.engines.protocol import Documents, Engine, Opened, Queries, Texts, slice_of
from splade.files import InputError
from splade.indexing import Vocabulary
from splade.kernels.sparse import from_csr
from splade.records import SparseBatch

ODD_IDS = ("d 1", "ünïcode", "quo\"te'", "a/b\\c", "comma,tab\tid", "long-" + "x" * 300, "0", "-1", "None", "日本")
VOCAB_SIZE, BATCH = 40, 4
WORDS = tuple(f"w{letter}{number}" for letter in "abcdefgh" for number in range(5))

Make = Callable[[Path], Engine]
"""Makes the engine for a folder; called again for the same folder, as another process would."""

Scores = Callable[[Sequence[str], Sequence[str]], NDArray[Any]]
"""Scores [queries, documents] of texts, for an engine that takes texts; 0 for no match."""


class Sample(NamedTuple):
    """Documents and queries of one kind, with the scores that brute force gives."""

    doc_ids: tuple[str, ...]
    documents: Any  # a batch
    queries: Any
    scores: NDArray[Any]  # float64 [queries, documents]
    vocabulary: tuple[str, ...] | None
    width: int | None
    threshold: float  # a document with this score, or less, is no result
    tolerance: float = 1e-5  # relative loss of a score

    def as_documents(self, fingerprint: str = "encoder", read: Callable[[int], None] = lambda _: None) -> Documents:
        """The documents in batches of `BATCH`; ``read`` sees the first number of each batch before it is given."""

        def batches(start: int) -> Iterator[Any]:
            for first in range(start, len(self.doc_ids), BATCH):
                read(first)
                yield slice_of(self.documents, first, first + BATCH)

        names = None if self.vocabulary is None else Vocabulary(self.vocabulary)
        return Documents(batches, self.width, names, fingerprint, {"collection": "sample"})

    def as_queries(self) -> Queries:
        """All queries."""
        return Queries(self.queries, fingerprint="encoder")


def check_engine(make: Make, folder: str | Path, *, tolerance: float = 1e-5, scores: Scores | None = None) -> None:
    """AssertionError where the engine that ``make`` makes breaks its contract; ``folder`` is empty, and written to.

    ``tolerance`` is the relative loss of a score that the engine states (rounding, quantised weights). ``scores`` are
    those of an engine that takes texts; without them its rankings are only compared with each other.
    """
    folder = Path(folder)
    for number, check in enumerate(CHECKS):
        place = folder / f"{number}-{check.__name__.removeprefix('check_')}"
        sample = sample_for(make(place).takes, scores)._replace(tolerance=tolerance)
        check(make, sample, place)


def check_rankings(make: Make, sample: Sample, place: Path) -> None:
    """Scores are those of brute force; the order is best first, ties by document number; empty vectors find nothing."""
    opened = make(place).build(sample.as_documents())
    assert opened.n_docs == len(sample.doc_ids), f"n_docs is {opened.n_docs} after {len(sample.doc_ids)} were given"
    for k in (1, 3, len(sample.doc_ids)):
        _compare(opened, sample, k)


def check_large_k(make: Make, sample: Sample, place: Path) -> None:
    """With ``k`` beyond the collection, all matching documents come, and no others."""
    _compare(make(place).build(sample.as_documents()), sample, 10 * len(sample.doc_ids))


def check_ways_of_searching(make: Make, sample: Sample, place: Path) -> None:
    """Threads, and the timing of queries, change no ranking; a threshold leaves out what does not exceed it."""
    opened = make(place).build(sample.as_documents())
    plain, seconds = _found(opened, sample, 5), []  # type: tuple[Any, list[float]]
    timed = _found(opened, sample, 5, n_threads=2, seconds=seconds)
    assert [ids for _, ids, _ in timed] == [ids for _, ids, _ in plain], "two threads find other documents than one"
    assert len(seconds) == len(plain), f"seconds received {len(seconds)} times for {len(plain)} queries"
    bar = float(np.median([score for _, _, scores in plain for score in scores]))
    above = _found(opened, sample, 5, threshold=bar)
    for (query, ids, scores), (_, kept, _) in zip(plain, above, strict=True):
        expected = [id for id, score in zip(ids, scores, strict=True) if score > bar]
        assert kept == expected, f"{query}: above the threshold {bar} are {expected}, found {kept}"


def check_opening(make: Make, sample: Sample, place: Path) -> None:
    """Another process opens what was built, with its fingerprint and origin, and finds the same."""
    engine = make(place)
    assert not engine.exists(), "exists() is true before anything was built"
    try:
        engine.open()
    except InputError:
        pass
    else:
        raise AssertionError("open() found something before anything was built; expected InputError")
    documents = sample.as_documents()
    built = _found(engine.build(documents), sample, 5)
    other = make(place)
    assert other.exists(), "exists() is false after build()"
    opened = other.open()
    assert _found(opened, sample, 5) == built, "what is opened finds other documents than what was built"
    assert opened.metadata.items() >= documents.origin.items(), f"metadata {opened.metadata} lost the documents' origin"
    if engine.takes != "texts":
        assert opened.fingerprint in ("encoder", ""), f"the fingerprint became {opened.fingerprint!r}"
    missing = opened.unknown([*sample.doc_ids, "nobody"])
    assert missing == ["nobody"], f"unknown() gave {missing}; expected ['nobody']"
    facts = opened.facts(sample.as_queries())
    assert {"engine", "strategy", "index"} <= facts.keys(), f"facts() lacks engine, strategy or index: {sorted(facts)}"


def check_building_again(make: Make, sample: Sample, place: Path) -> None:
    """The same documents are kept and not read again; those of another encoder or origin replace them."""
    make(place).build(sample.as_documents())
    if make(place).open().fingerprint == "":
        return  # the place cannot tell encoders apart
    read: list[int] = []
    assert make(place).is_built(sample.as_documents()), "is_built() is false for what was just built"
    make(place).build(sample.as_documents(read=read.append))
    assert not read, "the same documents were read again, though the engine has them"
    others = sample.as_documents(fingerprint="another", read=read.append)._replace(origin={"collection": "another"})
    assert not make(place).is_built(others), "is_built() is true for documents of another encoder and collection"
    opened = make(place).build(others)
    assert read, "documents of another encoder were not read: the old ones were kept for them"
    assert opened.metadata.get("collection") == "another", "the origin is still that of the documents before"
    _compare(opened, sample, 5)


def check_interruption(make: Make, sample: Sample, place: Path) -> None:
    """An interrupted build leaves nothing that opens; the same call completes it, and nothing is there twice."""

    def stop(first: int) -> None:
        if first >= BATCH:
            raise KeyboardInterrupt

    try:
        make(place).build(sample.as_documents(read=stop))
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("build() swallowed KeyboardInterrupt")
    try:
        opened = make(place).open()
    except InputError:
        pass
    else:
        raise AssertionError(f"an interrupted build can be opened, with {opened.n_docs} documents")
    opened = make(place).build(sample.as_documents())
    assert opened.n_docs == len(sample.doc_ids), f"{opened.n_docs} documents after an interrupted build was completed"
    _compare(opened, sample, len(sample.doc_ids))


def check_two_writers(make: Make, sample: Sample, place: Path) -> None:
    """A second writer is refused while one is at work, and does it no harm."""
    refused: list[bool] = []

    def meanwhile(first: int) -> None:
        if first == BATCH:
            others = sample.as_documents()._replace(origin={"collection": f"of writer {len(refused) + 2}"})
            try:
                make(place).build(others)
            except InputError:
                refused.append(True)
            else:
                refused.append(False)

    opened = make(place).build(sample.as_documents(read=meanwhile))
    # An engine that reads documents more than once writes when it reads them for the last time.
    assert refused[-1], "a second build of the same place was not refused while the first was at work"
    _compare(opened, sample, len(sample.doc_ids))


CHECKS: tuple[Callable[[Make, Sample, Path], None], ...] = (
    check_rankings,
    check_large_k,
    check_ways_of_searching,
    check_opening,
    check_building_again,
    check_interruption,
    check_two_writers,
)


def sample_for(kind: str, scores: Scores | None = None) -> Sample:
    """Documents with odd ids, ties, empty ones and repeated ones, and queries, of one kind; always the same."""
    ids = tuple(ODD_IDS) + tuple(f"plain-{number}" for number in range(14))
    rng = np.random.default_rng(7)
    counts = rng.poisson(0.25, (len(ids), VOCAB_SIZE)).astype(np.float32)
    counts[3] = 0.0  # an empty document
    counts[[5, 17]] = counts[[4, 9]]  # ties
    asked = rng.poisson(0.15, (9, VOCAB_SIZE)).astype(np.float32)
    asked[2] = 0.0  # an empty query
    asked[4], asked[5] = counts[4], counts[9]
    query_ids = tuple(f"query {number}" for number in range(len(asked)))
    if kind == "texts":
        return _texts(ids, query_ids, counts, asked, scores)
    weights = counts * (rng.integers(1, 9, VOCAB_SIZE) / 4).astype(np.float32)  # sums that float32 holds exactly
    expected = asked.astype(np.float64) @ weights.T
    if kind == "dense":
        weights, asked = weights - np.float32(0.5), asked - np.float32(0.25)
        expected = asked.astype(np.float64) @ weights.T
        found = DenseBatch(ids, weights), DenseBatch(query_ids, asked)
        return Sample(ids, *found, expected, None, VOCAB_SIZE, -np.inf)
    batches = _sparse(ids, weights), _sparse(query_ids, asked)
    return Sample(ids, *batches, expected, tuple(WORDS), VOCAB_SIZE, 0.0)


def _texts(
    ids: tuple[str, ...], query_ids: tuple[str, ...], counts: NDArray[Any], asked: NDArray[Any], scores: Scores | None
) -> Sample:
    documents = tuple(map(_text_of, counts))
    queries = tuple(map(_text_of, asked))
    known = np.full((len(queries), len(documents)), np.nan) if scores is None else scores(queries, documents)
    return Sample(ids, Texts(ids, documents), Texts(query_ids, queries), known, None, None, 0.0)


def _text_of(row: NDArray[Any]) -> str:
    return " ".join(word for word, count in zip(WORDS, row, strict=True) for _ in range(int(count)))


def _sparse(ids: tuple[str, ...], matrix: NDArray[np.float32]) -> SparseBatch:
    rows, columns = np.nonzero(matrix)
    offsets = np.searchsorted(rows, np.arange(len(matrix) + 1)).astype(np.int64)
    return SparseBatch(ids, from_csr(offsets, columns, matrix[rows, columns], VOCAB_SIZE), VOCAB_SIZE)


def _found(opened: Opened, sample: Sample, k: int, **how: Any) -> list[tuple[str, list[str], list[float]]]:
    rankings = list(opened.search(sample.as_queries(), k, **how))
    names = [ranking.query_id for ranking in rankings]
    assert names == list(sample.queries.ids), f"rankings of {names}; expected one for each query, in order"
    return [(ranking.query_id, list(ranking.doc_ids), [float(s) for s in ranking.scores]) for ranking in rankings]


def _compare(opened: Opened, sample: Sample, k: int) -> None:
    """AssertionError where a ranking is not the one of brute force, within the tolerance."""
    for row, (query, ids, scores) in enumerate(_found(opened, sample, k)):
        assert len(ids) == len(set(ids)), f"{query}: a document comes twice in {ids}"
        strangers = sorted(set(ids) - set(sample.doc_ids))
        assert not strangers, f"{query}: {strangers} are no ids of documents that were given"
        _check_order(query, ids, scores, sample)
        expected = sample.scores[row]
        if np.isnan(expected).any():
            continue
        by_id = dict(zip(sample.doc_ids, expected.tolist(), strict=True))
        matching = sorted((score for score in by_id.values() if score > sample.threshold), reverse=True)
        assert len(ids) == min(k, len(matching)), (
            f"{query}: {len(ids)} documents for k={k}; {len(matching)} documents match"
        )
        room = sample.tolerance * max(1.0, *map(abs, matching)) if matching else 0.0
        for place, (id, score) in enumerate(zip(ids, scores, strict=True)):
            assert abs(score - by_id[id]) <= room, f"{query}: {id!r} scores {score}; brute force gives {by_id[id]}"
            assert by_id[id] >= matching[place] - 2 * room, (
                f"{query}: {id!r} is at rank {place + 1} with {by_id[id]}; a better document is missing"
            )


def _check_order(query: str, ids: Iterable[str], scores: Sequence[float], sample: Sample) -> None:
    numbers = [sample.doc_ids.index(id) for id in ids]
    for place in range(1, len(numbers)):
        before, here = scores[place - 1], scores[place]
        assert before >= here, f"{query}: rank {place + 1} scores {here}, more than the rank before ({before})"
        assert before > here or numbers[place - 1] < numbers[place], (
            f"{query}: documents {numbers[place - 1]} and {numbers[place]} tie at {here} and come in the wrong order"
        )
