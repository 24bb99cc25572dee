"""A stored index calibrated with queries of the user's own: whole or not at all, beside readers and other writers."""

import logging
import shutil

import numpy as np
import pytest

from splade.files import InputError
from splade.indexing import CorruptIndexError, IndexAppender, InvertedIndex, calibrate_stored, delete, merge
from splade.indexing.format.choices import Shape
from splade.indexing.index import calibrated
from splade.indexing.layout.promise import MADE_UP, SHARES
from splade.search import Searcher
from tests.kernels.cases import batch
from tests.search.strategies.test_approximate import N, V, topical

ASKED = topical(11, 320, 20).rows


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrating") / "index"
    InvertedIndex.from_csr(topical(1, N, 30), cluster=True, shape=Shape(9, 6)).save(path)
    return path


@pytest.fixture
def path(built, tmp_path):
    """The index, without a calibration."""
    InvertedIndex.open(built).save(tmp_path / "index")
    return tmp_path / "index"


def shares(index, k=10):
    return Searcher(index, "approximate", recall=0.95).strategy_object.calibration(k)


def test_searches_take_the_stored_calibration_and_say_whose_queries_it_is(path, caplog):
    caplog.set_level(logging.INFO)
    assert InvertedIndex.open(path).calibration is None
    made = calibrate_stored(path, ASKED, "asked.jsonl", date="2026-11-29", n_threads=2)
    assert made.calibration.said == "320 queries of asked.jsonl (2026-11-29)"
    again = InvertedIndex.open(path)
    assert (again.calibration.promised == made.calibration.promised).all()
    assert shares(again)[31] == shares(made)[31]
    assert shares(again)[31][0] < 1
    assert "approximate, recall 0.95, k = 10: calibrated on 320 queries of asked.jsonl (2026-11-29)" in caplog.text
    assert again.header == made.header, "the index itself is what it was"


def test_an_opened_searcher_goes_on_with_what_it_opened(path):
    calibrate_stored(path, ASKED, "first")
    opened = InvertedIndex.open(path)
    calibrate_stored(path, topical(12, 20, 20).rows, "second")
    queries = topical(2, 5, 20)
    searcher = Searcher(opened, "approximate", recall=0.95)
    searcher.search_csr(queries, 10)
    assert opened.calibration.source == "first"
    assert searcher.strategy_object.calibration(10)[31][0] < 1
    assert InvertedIndex.open(path).calibration.source == "second"
    assert shares(InvertedIndex.open(path))[31][0] == 1, "20 queries allow nothing"


def test_a_calibration_that_fails_half_way_leaves_the_earlier_one(path, monkeypatch):
    calibrate_stored(path, ASKED, "first")

    def failing(folder, kind, header, arrays):
        (folder / "promised.bin").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(calibrated, "write_table", failing)
    with pytest.raises(InputError, match="the disk is full"):
        calibrate_stored(path, ASKED, "second")
    assert InvertedIndex.open(path).calibration.source == "first"
    assert not list(path.glob(".calibration*"))


def test_it_waits_for_no_other_writer_and_is_refused(path):
    appender = IndexAppender(path)
    with pytest.raises(InputError, match="is writing this index already"):
        calibrate_stored(path, ASKED, "asked")
    appender.leave()
    assert calibrate_stored(path, ASKED, "asked").calibration.source == "asked"


def test_appended_documents_keep_the_calibration_of_their_own_build_and_a_merge_that_of_the_merge(path, caplog):
    caplog.set_level(logging.INFO)
    calibrate_stored(path, ASKED, "asked")
    appender = IndexAppender(path)
    new = topical(5, 300, 30)
    appender.add(new._replace(ids=tuple(f"n{number}" for number in range(300))))
    appender.finish()
    index = InvertedIndex.open(path)
    first, second = (part.segment.calibration for part in index.parts)
    assert first.source == "asked"
    assert second is None or second.source == MADE_UP
    assert "before 1 of the 2 parts of the index were written; calibrate again" in caplog.text
    both = calibrate_stored(path, ASKED, "again")
    assert [part.segment.calibration.source for part in both.parts] == ["again", "again"]
    delete(path, ["n0"])
    assert [part.segment.calibration.source for part in InvertedIndex.open(path).parts] == ["again", "again"]
    merge(path)
    merged = InvertedIndex.open(path)
    assert merged.calibration.source == MADE_UP
    queries, k = topical(2, 60, 20), 10
    exact = Searcher(merged, "exhaustive").search_csr(queries, k)[1]
    assert (Searcher(merged, "approximate").search_csr(queries, k)[1] >= exact[:, -1:]).mean() >= 0.98


def test_what_cannot_calibrate_is_refused_in_words(path, tmp_path):
    with pytest.raises(InputError, match="there is no query in it"):
        calibrate_stored(path, batch(np.zeros((0, V))).rows, "none.jsonl")
    with pytest.raises(InputError, match=rf"wide.jsonl: term {V + 9} cannot calibrate"):
        calibrate_stored(path, batch(np.ones((1, V + 10))).rows, "wide.jsonl")
    with pytest.raises(InputError, match="there is no index here"):
        calibrate_stored(tmp_path / "nowhere", ASKED, "asked")
    assert not (tmp_path / "nowhere").exists()
    assert InvertedIndex.open(path).calibration is None


@pytest.mark.parametrize("name", ["header.json", "promised.bin"])
def test_a_damaged_calibration_is_named_with_the_remedy(path, name):
    calibrate_stored(path, ASKED, "asked")
    place = path / "calibration" / name
    octets = bytearray(place.read_bytes())
    octets[len(octets) // 2] ^= 1
    place.write_bytes(octets)
    with pytest.raises(CorruptIndexError, match=r"damaged calibration .* Remove this folder, and calibrate again"):
        InvertedIndex.open(path)
    shutil.rmtree(path / "calibration")
    assert calibrate_stored(path, ASKED, "again").calibration.source == "again"


def test_a_part_promises_no_less_than_the_smallest_share_there_is(path):
    made = calibrate_stored(path, ASKED, "asked").calibration
    assert made.promised.shape[-1] == len(SHARES)
    assert made.n_own.sum() == 320
