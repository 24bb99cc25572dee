"""Scoring some blocks of a range: of each term's run, the slots of its skip table that hold one of them.

Visits (`splade.kernels.visit`) suit a few blocks anywhere, `splade.kernels.stream` every document; this suits what
lies between. Blocks to score that are neighbours, in slots of some width, make one *stretch* of the range; the
postings of a term in it are a *span*. Wider slots make fewer spans, with more postings of blocks that nobody asked
for: each term's run is read at the width that costs least, or as a whole. All spans of a range are listed first, so
that their postings can be asked for a fixed number ahead, whatever comes next. The processor does not foresee jumps.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.kernels.blocks import SHORT, SLOT, Blocks, slot_bits
from splade.kernels.compiled import inner_kernel, kernel
from splade.kernels.intrinsics import EIGHT, as_weight, prefetch
from splade.kernels.plan import DENSE, PART, SPAN, SPANNED
from splade.kernels.stream import LINE, STRETCH, add_postings

WHOLE = -1  # in place of a width: all of a run
MOST_SPANS = 1 << 13  # of runs read in parts that are listed at a time; what exceeds them is read as a whole
AHEAD = 768  # postings between those that are asked for and those that are added


class Spans(NamedTuple):
    """Stretches of a range by width, slots of 2^width blocks, and the spans of the query's terms in them."""

    starts: NDArray[np.int64]  # [widths, blocks of a range] the first slot of each stretch
    stops: NDArray[np.int64]  # and the one after its last
    stretches: NDArray[np.int64]  # [widths] how many there are
    slots: NDArray[np.int64]  # [widths] how many slots they hold
    best: NDArray[np.int64]  # [bits of a skip table + 1] the width by which a run with such a table is read, or WHOLE
    widths: NDArray[np.int64]  # [longest query] of each term's run
    tables: NDArray[np.uint64]  # [longest query] where its skip table begins
    shifts: NDArray[np.uint64]  # [longest query] 2^this slots of the table are one of that width
    begins: NDArray[np.uint64]  # [longest query] its first posting in the range
    ends: NDArray[np.uint64]
    firsts: NDArray[np.uint64]  # [MOST_SPANS + longest query] of each span; as its last where it stands for a dense row
    lasts: NDArray[np.uint64]
    terms: NDArray[np.int64]  # the term of the query


def new_spans(blocks: Blocks, longest: int) -> Spans:
    """Room for the blocks of a range and queries of up to ``longest`` terms."""
    bits = int(blocks.range_bits) - int(blocks.block_bits)
    room = MOST_SPANS + longest
    return Spans(
        starts=np.zeros((bits + 1, 1 << bits), np.int64),
        stops=np.zeros((bits + 1, 1 << bits), np.int64),
        stretches=np.zeros(bits + 1, np.int64),
        slots=np.zeros(bits + 1, np.int64),
        best=np.zeros(bits + 1, np.int64),
        widths=np.zeros(longest, np.int64),
        tables=np.zeros(longest, np.uint64),
        shifts=np.zeros(longest, np.uint64),
        begins=np.zeros(longest, np.uint64),
        ends=np.zeros(longest, np.uint64),
        firsts=np.zeros(room, np.uint64),
        lasts=np.zeros(room, np.uint64),
        terms=np.zeros(room, np.int64),
    )


@kernel
def list_stretches(live, first, spans):  # type: ignore[no-untyped-def]
    """Write the stretches of the blocks ``live``, increasing numbers from ``first`` on, at each width."""
    n = slots = np.int64(0)
    for number in live:
        block = number - first
        if n > 0 and spans.stops[0, n - 1] == block:
            spans.stops[0, n - 1] = block + 1
        else:
            spans.starts[0, n], spans.stops[0, n] = block, block + 1
            n += 1
    spans.stretches[0], spans.slots[0] = n, live.size
    for width in range(1, spans.stretches.size):
        n = slots = np.int64(0)
        for z in range(spans.stretches[width - 1]):
            start, stop = spans.starts[width - 1, z] >> 1, (spans.stops[width - 1, z] + 1) >> 1
            if n > 0 and spans.stops[width, n - 1] >= start:
                slots += stop - spans.stops[width, n - 1]
                spans.stops[width, n - 1] = stop
            else:
                spans.starts[width, n], spans.stops[width, n] = start, stop
                slots += stop - start
                n += 1
        spans.stretches[width], spans.slots[width] = n, slots


@kernel
def choose_widths(spans):  # type: ignore[no-untyped-def]
    """Write the width at which runs cost least, by the bits of their skip tables."""
    bits = spans.stretches.size - 1
    for table in range(bits + 1):
        length = 0.75 * SLOT * (1 << table)  # about
        least, best = SPAN + SPANNED * length, WHOLE
        for width in range(bits - table, bits):
            cost = SPAN * spans.stretches[width] + SPANNED * length * spans.slots[width] / (1 << (bits - width))
            if cost < least:
                least, best = cost, width
        spans.best[table] = best


@inner_kernel
def plan_spans(blocks, queries, begin, end, r, spans):  # type: ignore[no-untyped-def]
    """Say how each term's run in range ``r`` is read, by the widths chosen, and ask for its skip table."""
    bits = blocks.range_bits - blocks.block_bits
    listed = np.int64(0)
    for i in range(end - begin):
        term = np.int64(queries.columns[begin + i])
        entry = np.uint64(2 * (term * (blocks.n_ranges + 1) + r))
        first, last = np.uint64(blocks.runs[entry]), np.uint64(blocks.runs[entry + np.uint64(2)])
        length = np.int64(last - first)
        spans.begins[i] = np.uint64(blocks.offsets[term]) + first
        spans.ends[i] = np.uint64(blocks.offsets[term]) + last
        spans.widths[i] = WHOLE
        if blocks.dense_rows[term] >= 0:
            spans.ends[i] = spans.begins[i]
        elif length > SHORT:
            table = slot_bits(length, bits)
            width = spans.best[table]
            if width != WHOLE and listed + spans.stretches[width] <= MOST_SPANS:
                listed += spans.stretches[width]
                spans.widths[i], spans.shifts[i] = width, np.uint64(width - (bits - table))
                spans.tables[i] = np.uint64(blocks.runs[entry + np.uint64(1)])
                for z in range(spans.stretches[width]):
                    prefetch(blocks.skips, spans.tables[i] + (np.uint64(spans.starts[width, z]) << spans.shifts[i]))


@inner_kernel
def list_spans(blocks, queries, begin, end, spans):  # type: ignore[no-untyped-def]
    """Write all spans, in increasing order of term; returns how many, and what it costs to add them.

    One may hold up to seven postings more, so that all are added eight at a time: those of blocks that nobody looks
    at, never of the next span or of another range.
    """
    n = dense = np.int64(0)
    postings, seven = np.uint64(0), np.uint64(EIGHT - 1)
    for i in range(end - begin):
        if spans.widths[i] == WHOLE:
            is_dense = blocks.dense_rows[queries.columns[begin + i]] >= 0
            dense += is_dense
            postings += spans.ends[i] - spans.begins[i]
            if is_dense or spans.ends[i] > spans.begins[i]:
                spans.firsts[n], spans.lasts[n], spans.terms[n] = spans.begins[i], spans.ends[i], i
                n += 1
            continue
        width, table, shift = spans.widths[i], spans.tables[i], spans.shifts[i]
        beyond = spans.begins[i]  # where the last span ends
        for z in range(spans.stretches[width]):
            first = spans.begins[i] + blocks.skips[table + (np.uint64(spans.starts[width, z]) << shift)]
            last = spans.begins[i] + blocks.skips[table + (np.uint64(spans.stops[width, z]) << shift)]
            if last > first:
                if beyond > first:
                    spans.lasts[n - 1] = first
                beyond = min(first + ((last - first + seven) & ~seven), spans.ends[i])
                spans.firsts[n], spans.lasts[n], spans.terms[n] = first, beyond, i
                postings += beyond - first
                n += 1
    weights = dense * (spans.slots[0] << blocks.block_bits)
    return n, PART + SPAN * n + SPANNED * np.int64(postings) + DENSE * weights


@inner_kernel
def score_spans(blocks, queries, begin, r, n, spans, scores):  # type: ignore[no-untyped-def]
    """Add the scores of the stretches' documents to ``scores`` by the ``n`` spans listed; returns the postings touched.

    In the order of `score_range`. Those of other documents are incomplete afterwards.
    """
    touched, ahead = np.int64(0), np.int64(0)
    stride = np.uint64(STRETCH)
    y = np.int64(-1)  # the span whose postings are asked for, and where
    at = beyond = np.uint64(0)
    for z in range(n):
        p, last, i = spans.firsts[z], spans.lasts[z], spans.terms[z]
        weight = queries.weights[begin + i]
        if p == last:
            touched += add_stretches_of_row(blocks, queries.columns[begin + i], r, weight, spans, scores)
        touched += np.int64(last - p)
        while p < last:
            while ahead < AHEAD and (at < beyond or y + 1 < n):
                if at < beyond:
                    prefetch(blocks.local, at)
                    prefetch(blocks.impacts, at)
                    prefetch(blocks.impacts, at + np.uint64(LINE))
                    prefetch(blocks.impacts, min(at + stride, beyond) - np.uint64(1))
                    prefetch(blocks.local, min(at + stride, beyond) - np.uint64(1))
                    ahead += np.int64(min(stride, beyond - at))
                    at += stride
                else:
                    y += 1
                    at, beyond = spans.firsts[y], spans.lasts[y]
            stop = min(p + stride, last)
            ahead -= np.int64(stop - p)
            add_postings(blocks, p, stop, weight, scores)
            p = stop
    return touched


@inner_kernel
def add_stretches_of_row(blocks, term, r, weight, spans, scores):  # type: ignore[no-untyped-def]
    """Add the weights of the dense row of ``term`` in the stretches, times ``weight``; returns how many.

    Place by place and not by `add_row` for each stretch: numba counts references to every slice that it hands over.
    """
    origin = np.uint64(blocks.dense_rows[term]) * np.uint64(blocks.n_docs) + np.uint64(r << blocks.range_bits)
    end = min(np.int64(scores.size), blocks.n_docs - (r << blocks.range_bits))
    touched = np.int64(0)
    for z in range(spans.stretches[0]):
        start = spans.starts[0, z] << blocks.block_bits
        stop = min(spans.stops[0, z] << blocks.block_bits, end)
        for i in range(np.uint64(start), np.uint64(stop)):
            scores[i] += weight * as_weight(blocks.dense[origin + i], blocks.scale)
        touched += stop - start
    return touched
