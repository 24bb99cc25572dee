"""Choosing how an index keeps its postings, so that it has the best recall within a number of bytes.

From the layout that is asked for, steps are gone down until one fits: weights in 16 bits, these with bounds for 1,024
documents, weights in 8 bits, these with such bounds. Last, postings are left out: of each document the lightest, either
beyond a share of its weight (``prune_mass``) or beyond a number of terms (``prune_top_terms``). Each step costs as much
recall as the one before or more, and of the last two ways the one is taken that found more on a sample of the
documents. Sizes are foreseen from that sample, and a layout that turns out too large is made again, smaller.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError
from splade.indexing.format.choices import Layout
from splade.indexing.format.pruning import Pruned, Pruning
from splade.indexing.format.weights import LARGEST_HALF, Codec, codec_for
from splade.indexing.layout.blocked import MIB, PREFIX, Account, blocks_from, lay_out
from splade.indexing.layout.loss import KS, best_of, made_up, recall_of, recalls
from splade.indexing.layout.sources import Documents, InMemory, Source, take
from splade.kernels.compiled import read_only, read_only_rows
from splade.kernels.shares import (
    keep_above,
    keep_above_of_columns,
    lightest_kept,
    rank_entries,
)
from splade.kernels.sparse import keep_entries
from splade.records import SparseRows

logger = logging.getLogger(__name__)

WIDE = 1024  # documents of a block, where bounds are to be few
SAMPLE = 1 << 16  # documents by which sizes are foreseen
HELD = 64  # bytes of a posting of the sample, while it is laid out
ATTEMPTS = 5  # layouts that may turn out too large
MARGIN = 0.98  # of the bytes, that a layout foreseen from a part of the documents may take
BY_TERM = ("offsets", "head_rows", "dense_rows", "tail_offsets", "steps", "shape", "scale")  # arrays as long anyway


class Choice(NamedTuple):
    """One way to keep the documents: ``layout`` has what is done, ``source`` lacks what ``left_out`` counts."""

    source: Source
    codec: Codec
    layout: Layout
    left_out: Pruned = Pruned()


class Fit(NamedTuple):
    """An account of an index that was to be of a size: what was asked for, and what the choice lost."""

    max_bytes: int
    asked: dict[str, Any]  # the identity of the layout
    n_queries: int  # that recall was measured with; 0 where nothing was given up
    recall: dict[str, float]  # by k, of exact search beside exact search of all postings as they came

    @property
    def said(self) -> str:
        """The recall in words."""
        if not self.n_queries:
            return "nothing was given up"
        told = ", ".join(f"{recall:.4f} at k = {k}" for k, recall in self.recall.items()) or "not known"
        return f"recall {told} ({self.n_queries} queries made up from documents)"


class Thinned:
    """A source without the postings of a document that are lighter than its bar; ``offsets`` still count them."""

    def __init__(self, source: Source, bars: NDArray[np.float32]) -> None:
        self._source, self._bars = source, read_only(bars)
        self.n_docs, self.offsets = source.n_docs, source.offsets

    def of_terms(self, first: int, last: int) -> SparseRows:
        """The postings of the terms ``first`` to ``last``."""
        rows = self._source.of_terms(first, last)
        keep = np.empty(len(rows.columns), np.bool_)
        keep_above_of_columns(read_only_rows(rows), self._bars, keep)
        return read_only_rows(keep_entries(rows, keep))

    def documents(self) -> Iterator[Documents]:
        """Every document once."""
        for docs, rows in self._source.documents():
            keep = np.empty(len(rows.columns), np.bool_)
            keep_above(read_only_rows(rows), read_only(self._bars[docs]), keep)
            yield Documents(docs, read_only_rows(keep_entries(rows, keep)))


def lay_out_within(
    source: Source,
    layout: Layout,
    codec: Codec,
    *,
    largest: float,
    beside: int,
    memory_mb: int,
    lay: Callable[[Choice], tuple[Account, int]],
) -> tuple[Choice, Account]:
    """The choice that was laid out last, the first whose bytes are within ``layout.max_bytes``, and its account.

    ``lay`` lays a choice out in the place of the one before, and tells the bytes of all arrays. ``largest`` is the
    largest weight of ``source``, ``beside`` the bytes of what is stored beside postings. InputError where not even one
    posting of each document would fit.
    """
    if layout.limit is None:
        choice = Choice(source, codec, layout)
        return choice, lay(choice)[0]
    fitting = Fitting(source, layout, largest, layout.limit - beside, memory_mb)
    for choice in fitting.choices():
        account, n_bytes = lay(choice)
        logger.info("%s: %d bytes, of %d that it may take", said(choice.layout), n_bytes, layout.limit)
        if n_bytes <= layout.limit:
            return choice, account
        fitting.taken = n_bytes - beside
    raise InputError(
        f"config.index_max_bytes={layout.limit}: the index takes {fitting.taken + beside} bytes at the least that was "
        f"tried, one posting of each document or few more; {beside} of these are document ids and names of terms"
    )


def fit_of(source: Source, choice: Choice, asked: Layout, arrays: Mapping[str, NDArray[Any]]) -> Fit | None:
    """The account of ``choice``, laid out in ``arrays``; None where no size was asked for. Reads ``source`` twice."""
    if asked.limit is None:
        return None
    if choice.layout == asked._replace(max_bytes=None):
        return Fit(asked.limit, asked.identity, 0, {})
    recall, n_queries = recall_of(source, blocks_from(arrays), asked.seed)
    return Fit(asked.limit, asked.identity, n_queries, {str(k): round(found, 4) for k, found in recall.items()})


class Fitting:
    """The steps towards ``most`` bytes; ``taken`` are those that the last choice took."""

    def __init__(self, source: Source, layout: Layout, largest: float, most: int, memory_mb: int) -> None:
        self._source, self._asked, self._largest, self._most = source, layout, largest, most
        self._memory_mb, self.taken = memory_mb, 0
        self._n_terms = len(source.offsets) - 1
        mean = max(int(source.offsets[-1]) / max(source.n_docs, 1), 1)
        n_sample = int(min(source.n_docs, SAMPLE, max(memory_mb * MIB // HELD / mean, 1)))
        drawn = np.random.default_rng(layout.seed).choice(source.n_docs, n_sample, replace=False)
        self._sample = take(source, np.sort(drawn))
        self._margin = 1.0 if n_sample == source.n_docs else MARGIN

    def choices(self) -> Iterator[Choice]:
        """The steps that ought to fit, one after the other, while the one before turned out too large."""
        for layout in steps(self._asked, self._largest):
            codec = codec_for(layout.weights, self._largest)
            foreseen = self._foreseen(self._sample, layout, codec)
            if foreseen <= self._margin * self._most:
                yield Choice(self._source, codec, layout)
        yield from self._cut(layout, codec, foreseen)

    def _cut(self, layout: Layout, codec: Codec, foreseen: float) -> Iterator[Choice]:
        """Fewer and fewer postings of each document; with all of them, ``foreseen`` bytes are."""
        rows = self._sample
        ranks, before = ranked(rows)
        least = int(np.count_nonzero(ranks == 0))  # one of each document
        smallest = self._foreseen(thinned(rows, ranks == 0), layout, codec)
        wanted, target, rule = len(rows.columns), self._margin * self._most, ""
        while wanted > least:
            for _ in range(ATTEMPTS):  # bytes of a posting rise a little as postings become fewer
                each = (foreseen - smallest) / max(wanted - least, 1)
                wanted = max(int(min(least + (target - smallest) / max(each, 1e-9), 0.998 * wanted)), least)
                cuts = cuts_to(wanted, ranks, before)
                rule = rule or self._better(cuts, codec, ranks, before)
                kept = thinned(rows, kept_by(cuts[rule], ranks, before))
                foreseen = self._foreseen(kept, layout, codec)
                if foreseen <= target:
                    break
            bars, left_out = self._bars(cuts[rule])
            yield Choice(Thinned(self._source, bars), codec, with_cut(layout, cuts[rule]), left_out)
            target = min(target, foreseen * self._most / self.taken)

    def _better(
        self, cuts: Mapping[str, Pruning], codec: Codec, ranks: NDArray[np.int32], before: NDArray[np.float32]
    ) -> str:
        """The rule with the better recall on the sample, at an equal number of postings."""
        queries, rows = made_up(self._sample, self._asked.seed), self._sample
        found = {}
        truth = best_of([Documents(np.arange(len(rows.offsets) - 1), rows)], queries, max(KS), self._n_terms)
        for name, cut in cuts.items():
            kept = thinned(rows, kept_by(cut, ranks, before))
            kept = read_only_rows(kept._replace(weights=codec.keep(kept.weights)))
            best = best_of([Documents(np.arange(len(rows.offsets) - 1), kept)], queries, max(KS), self._n_terms)
            found[name] = np.mean(list(recalls(truth, best).values()) or [0.0])
        logger.info("recall on a sample of %d documents: %s", len(rows.offsets) - 1, found)
        return max(found, key=lambda name: found[name])

    def _foreseen(self, rows: SparseRows, layout: Layout, codec: Codec) -> float:
        """The bytes of all documents laid out as these are."""
        sizes: Counter[str] = Counter()

        def count(name: str, array: NDArray[Any]) -> None:
            sizes[name.removeprefix(PREFIX)] += array.nbytes

        lay_out(InMemory(rows, self._n_terms), codec, layout, count, memory_mb=self._memory_mb)
        n_docs, n_sample = self._source.n_docs, max(len(rows.offsets) - 1, 1)
        range_bits, block_bits = layout.sizes
        fixed = sum(sizes.pop(name, 0) for name in BY_TERM)
        sizes.pop("runs", None)
        fixed += 8 * self._n_terms * ((n_docs >> range_bits) + 2)
        if n_docs >> block_bits > 1 << 16 and n_sample >> block_bits <= 1 << 16:
            sizes["tail_blocks"] *= 2
        return fixed + sum(sizes.values()) * n_docs / n_sample

    def _bars(self, cut: Pruning) -> tuple[NDArray[np.float32], Pruned]:
        """The lightest weight that stays of each document, and the number of postings that go."""
        bars = np.empty(self._source.n_docs, np.float32)
        n_before = n_kept = 0
        for docs, rows in self._source.documents():
            ranks, before = ranked(rows)
            own = np.empty(len(docs), np.float32)
            lightest_kept(read_only_rows(rows), kept_by(cut, ranks, before), own)
            keep = np.empty(len(rows.columns), np.bool_)
            n_kept += int(keep_above(read_only_rows(rows), read_only(own), keep))
            n_before += len(rows.columns)
            bars[docs] = own
        gone = n_before - n_kept
        return bars, Pruned(by_document=gone) if cut.top_terms else Pruned(by_mass=gone)


def steps(layout: Layout, largest: float) -> Iterator[Layout]:
    """The layout that is asked for, and those with all postings, each with fewer bytes than the one before."""
    plain = layout._replace(max_bytes=None)
    kinds = ("float32", "float16", "uint8")
    wide = plain.sizes._replace(block_bits=WIDE.bit_length() - 1)
    yield plain
    for weights in kinds[kinds.index(layout.weights) :]:
        if weights == "float16" and largest > LARGEST_HALF:
            continue
        if weights != layout.weights:
            yield plain._replace(weights=weights)
        if weights != "float32" and plain.sizes < wide:
            yield plain._replace(weights=weights, shape=wide)


def with_cut(layout: Layout, cut: Pruning) -> Layout:
    """``layout`` with a rule that leaves postings out, beside those that it has."""
    numbers = [number for number in (layout.prune_top_terms, cut.top_terms) if number is not None]
    mass = round(layout.prune_mass * cut.mass, 6)
    return layout._replace(prune_top_terms=min(numbers, default=None), prune_mass=mass)


def cuts_to(n_postings: int, ranks: NDArray[np.int32], before: NDArray[np.float32]) -> dict[str, Pruning]:
    """For each rule the value that keeps at most ``n_postings``, but one of each document."""
    n_postings = min(n_postings, len(ranks))
    counts = np.cumsum(np.bincount(ranks))
    number = max(int(np.searchsorted(counts, n_postings, side="right")), 1)
    shares = np.sort(before)
    share = float(shares[n_postings]) if n_postings < len(shares) else 1.0
    return {"mass": Pruning(mass=max(share, 1e-6)), "top_terms": Pruning(top_terms=number)}


def ranked(rows: SparseRows) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The rank of each entry in its row, 0 the heaviest, and the share of the row's weight before it."""
    ranks, before = np.empty(len(rows.columns), np.int32), np.empty(len(rows.columns), np.float32)
    rank_entries(read_only_rows(rows), ranks, before)
    return ranks, before


def kept_by(cut: Pruning, ranks: NDArray[np.int32], before: NDArray[np.float32]) -> NDArray[np.bool_]:
    """True for the entries that ``cut`` keeps, given rank and the share of weight before each."""
    return np.asarray(ranks < cut.top_terms if cut.top_terms else (before < cut.mass) | (ranks == 0))


def thinned(rows: SparseRows, keep: NDArray[np.bool_]) -> SparseRows:
    """The rows with some of their entries."""
    return read_only_rows(keep_entries(rows, np.ascontiguousarray(keep)))


def said(layout: Layout) -> str:
    """The choices that bytes depend on, in words."""
    number = "" if layout.prune_top_terms is None else f", prune_top_terms={layout.prune_top_terms}"
    mass = "" if layout.prune_mass == 1 else f", prune_mass={layout.prune_mass:g}"
    return f"{layout.weights}, blocks of {1 << layout.sizes.block_bits}{number}{mass}"
