"""The promise of approximate search: kept on queries that were held out, and told where it cannot be given."""

import logging

import numpy as np
import pytest

from splade.indexing import InvertedIndex
from splade.indexing.format.choices import Shape
from splade.indexing.layout.promise import SHAPE
from splade.kernels.block_max import CHOOSE
from splade.search import Searcher
from tests.kernels.cases import batch
from tests.search.strategies.test_approximate import N, V, topical


@pytest.fixture(scope="module")
def index():
    return InvertedIndex.from_csr(topical(1, N, 30), cluster=True, shape=Shape(9, 6))


@pytest.fixture(scope="module")
def asked():
    """Queries of 2 to 60 terms, some flat and some not, of the documents' topics."""
    rng = np.random.default_rng(5)
    centres = np.random.default_rng(0).random((40, V)) ** 8
    matrix = centres[rng.integers(0, 40, 1200)] * rng.gamma(1, 1, (1200, V))
    lengths = np.clip(rng.lognormal(2.8, 0.5, 1200), 2, 60).astype(int)
    for row, length in zip(matrix, lengths, strict=True):
        row[row < np.sort(row)[-length]] = 0
    return (matrix ** rng.uniform(0.3, 1.5, (1200, 1))).astype(np.float32) * (matrix > 0)


def recall_of(searcher, exact, queries, k, **options):
    found = searcher.search_csr(batch(queries), k, **options)[1]
    return float((found >= exact.search_csr(batch(queries), k, **options)[1][:, -1:]).mean())


def test_recall_holds_on_held_out_queries_of_every_k_and_length(index, asked):
    exact, lengths = Searcher(index, "exhaustive"), (asked > 0).sum(axis=1)
    held_out, order = np.arange(1200) >= 600, (4, 8, 16, 32)
    searchers = [(r, Searcher(index, "approximate", recall=r, queries=batch(asked[:600]))) for r in (0.9, 0.97)]
    for r, searcher in searchers:
        for k in (1, 10, 20):
            assert recall_of(searcher, exact, asked[held_out], k) >= r - 0.01
            for low in order:
                rows = asked[held_out & (lengths >= low) & (lengths < 2 * low)]
                assert len(rows) > 25
                noise = 2 * np.sqrt(r * (1 - r) / len(rows) / k)  # of so few queries
                assert recall_of(searcher, exact, rows, k) >= r - 0.01 - noise
    assert any(share < 0.9 for share, _ in searchers[0][1].strategy_object.calibration(10).values()), "not all exact"


@pytest.mark.parametrize("k", [1, 10])
def test_recall_holds_where_queries_are_made_up_by_default(index, asked, k):
    searcher = Searcher(index, "approximate", recall=0.95)
    assert recall_of(searcher, Searcher(index, "exhaustive"), asked[:400], k) >= 0.94


def test_a_smaller_sample_looks_at_more_blocks_and_a_small_one_at_all(index, asked):
    few, some, many = (
        Searcher(index, "approximate", recall=0.97, queries=batch(asked[:n])).strategy_object.shares(10)[5]
        for n in (20, 300, 1200)
    )
    assert few == 1
    assert few > some >= many


def test_a_search_that_cannot_promise_says_so_once_and_is_exact(index, asked, caplog):
    searcher = Searcher(index, "approximate", recall=0.99, queries=batch(asked[:30]))
    queries = batch(asked[600:640])
    for _ in range(3):
        found = searcher.search_csr(queries, 10, n_threads=2)
    exact = Searcher(index, "exhaustive").search_csr(queries, 10)
    assert (found[0] == exact[0]).all()
    assert (found[1] == exact[1]).all()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert told[0] == (
        "approximate: no share of bounds is known to keep a recall of 0.99 for queries of 1 and more terms at k = 10 "
        "(30 queries of the argument queries). They are searched exactly (as by auto). Calibrate with (more) queries "
        "like those that come: python -m splade.calibrate, or the argument queries="
    )


def test_the_warning_names_the_lengths_that_cannot_be_promised(index, asked, caplog):
    lengths = (asked > 0).sum(axis=1)
    searcher = Searcher(index, "approximate", recall=0.9, queries=batch(asked[lengths >= 16][:400]))
    searcher.search_csr(batch(asked[lengths >= 16][400:410]), 10)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    searcher.search_csr(batch(asked[lengths < 16][:5]), 10)
    assert "for queries of 1 to 15 terms at k = 10 (400 queries of the argument queries)" in caplog.text


def test_no_warning_is_given_where_the_promise_is_kept_or_full_recall_is_asked(index, asked, caplog):
    rows = asked[(asked > 0).sum(axis=1) >= 16]
    for recall in (0.9, 1.0):
        Searcher(index, "approximate", recall=recall, queries=batch(rows[:500])).search_csr(batch(rows[500:540]), 10)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_filter_counts_as_asking_for_as_many_more_and_beyond_those_tried_is_exact(index, asked, caplog):
    searcher = Searcher(index, "approximate", recall=0.9, queries=batch(asked[:600]))
    exact = Searcher(index, "exhaustive")
    few = np.arange(0, N, 250)  # 24 of 6000: the 10 best of these are among the 2500 best of all
    assert recall_of(searcher, exact, asked[600:700], 10, allowed=few) == 1
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "2500 best documents, of which more are needed than the 1000 tried (k = 10, and few documents" in warned[0]
    half = np.arange(N) % 2 == 0
    assert recall_of(searcher, exact, asked[600:], 10, allowed=half) >= 0.89
    assert recall_of(searcher, exact, asked[600:], 20, threshold=1.5) >= 0.89


def test_the_share_for_ranks_between_is_the_largest_of_those_that_enclose_them(index, asked, monkeypatch):
    searcher = Searcher(index, "approximate", recall=0.95, queries=batch(asked))
    strategy = searcher.strategy_object
    one, ten, hundred = (strategy._choice(k, k).shares for k in (1, 10, 100))
    assert (one != ten).any()
    assert (strategy.shares(5) == np.maximum(one, ten)).all()
    assert (strategy._choice(1, 50).shares == np.maximum(np.maximum(one, ten), hundred)).all()
    monkeypatch.setattr(strategy, "plan", lambda k: CHOOSE)  # as in a large collection
    assert (strategy.shares(1000) == strategy._choice(1000, 1000).shares).all()
    assert (strategy.shares(1001) == 1).all()


def test_the_account_says_which_queries_how_many_and_with_which_recall(index, asked):
    searcher = Searcher(index, "approximate", recall=0.9, queries=batch(asked[:600]))
    told = searcher.strategy_object.told(10)
    assert told["calibrated_on"] == "600 queries of the argument queries"
    row = told["groups"]["16 to 31 terms"]
    assert row["queries"] == ((asked[:600] > 0).sum(axis=1) // 16 == 1).sum()
    assert row["share"] < 1
    assert row["measured"] >= 0.9
    assert searcher.strategy_object.told(1000) == {"k": 1000, "recall": 0.9, "exact": True}


def test_a_calibration_of_an_earlier_version_is_measured_anew(index, caplog):
    caplog.set_level(logging.INFO)
    old = InvertedIndex({**index.arrays, "calibration": np.ones(np.prod(SHAPE), np.float32)}, empty_docs=0)
    assert old.calibration is None
    shares = Searcher(old, "approximate", recall=0.99).strategy_object.shares(10)
    assert (shares > 0.3).all(), "the old figures would allow anything"
    assert "calibrated by an earlier version, which promised too much" in caplog.text
    assert "calibrated on queries made up from documents" in caplog.text
