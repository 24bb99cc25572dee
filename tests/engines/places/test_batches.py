"""Files of vectors until a library makes its index: killed anywhere, the same documents are there once."""

import json

import numpy as np
import pytest

from splade.engines.conformance import check_engine, sample_for
from splade.engines.places.kept import Kept
from splade.engines.places.libraries.batches import BatchStore, counted
from splade.engines.places.libraries.impacts import Rounding
from splade.engines.protocol import slice_of
from splade.kernels.sparse import from_csr
from tests.engines.places.memory_store import MemorySearching


class Stop(BaseException):
    """As kill -9: nothing of the engine runs after it."""


class JsonStore(BatchStore):
    """Makes a JSON file of the vectors; ``stop_at`` is where the process is killed."""

    name = "json"
    at_once = 5

    def __init__(self, folder, stop_at=None):
        super().__init__(folder)
        self.stop_at = stop_at

    def library(self):
        return json

    def identity(self):
        return {}

    def make(self, parts, folder):
        rows = {}
        for part in parts:
            for row, number in enumerate(part.numbers.tolist()):
                own = slice(*part.rows.offsets[row : row + 2])
                rows[number] = [part.rows.columns[own].tolist(), part.rows.weights[own].tolist()]
        (folder / "rows.json").write_text(json.dumps(rows))
        self._killed("making")
        return {"largest": parts.largest, "whole": parts.whole}

    def put(self, place, first, batch):
        super().put(place, first, batch)
        self._killed(first)

    def finish(self, place):
        super().finish(place)
        self._killed("finished")

    def _killed(self, where):
        if self.stop_at == where:
            raise Stop

    def opened(self, folder, facts):
        rows = json.loads((folder / "rows.json").read_text())
        found = {int(number): dict(zip(*pair, strict=True)) for number, pair in rows.items()}
        return MemorySearching(found, None)


class Json(Kept):
    noted = 6

    def __init__(self, folder, stop_at=None):
        super().__init__(folder, "json")
        self.stop_at = stop_at

    def store(self, folder):
        return JsonStore(folder, self.stop_at)


@pytest.mark.slow  # those of the libraries that are installed run always
def test_a_store_of_batches_becomes_an_engine_that_keeps_its_contract(tmp_path):
    check_engine(Json, tmp_path)


@pytest.mark.parametrize("stop_at", [0, 4, 16, "making", "finished"])
def test_a_build_that_was_killed_goes_on_and_leaves_one_index_and_no_files(stop_at, tmp_path):
    documents = sample_for("sparse").as_documents()
    whole = Json(tmp_path / "whole").build(documents)
    with pytest.raises(Stop):
        Json(tmp_path / "killed", stop_at).build(documents)
    assert not Json(tmp_path / "killed").exists()
    opened = Json(tmp_path / "killed").build(documents)
    queries = sample_for("sparse").as_queries()
    found, expected = (list(map(str, one.search(queries, 24))) for one in (opened, whole))
    assert found == expected
    place = tmp_path / "killed" / "json" / opened.state.place
    assert sorted(path.name for path in place.iterdir()) == ["about.json", "index"]


def test_files_of_later_documents_go_where_a_build_starts_again_before_them(tmp_path):
    batch = sample_for("sparse").documents
    store = JsonStore(tmp_path)
    store.create("one", {})
    for first in (0, 5, 10):
        store.put("one", first, slice_of(batch, first, first + 5))
    store.put("one", 5, slice_of(batch, 5, 12))  # an encoder's batches begin elsewhere after a kill
    assert store.count("one") == 11  # of 12, one is empty
    store.put("one", 5, slice_of(batch, 5, 12))
    assert store.count("one") == 11


def test_rows_are_written_with_their_lengths_before_them():
    written = counted(np.array([0, 2, 2, 3]), np.array([7, 9, 4], np.int32), np.array([1, 2, 3], np.uint32))
    assert written.tolist() == [2, 7, 9, 1, 2, 0, 1, 4, 3]
    assert counted(np.array([0, 1]), np.array([5], np.int32), np.ones(1, np.float32)).tolist() == [1, 5, 0x3F800000]


def test_impacts_are_the_nearest_whole_numbers_and_the_account_is_of_what_they_lose():
    rows = from_csr([0, 3, 4], [0, 1, 2, 0], [0.5, 1.26, 0.04, 2.0])
    rounding = Rounding(10)
    found = rounding.impacts(rows)
    assert found.offsets.tolist() == [0, 2, 3]
    assert found.weights.tolist() == [5, 13, 20]
    facts = rounding.facts()
    assert (facts["n_rounded"], facts["n_dropped"]) == (4, 1)
    assert facts["weight_error"] == pytest.approx((0 + 0.04 / 1.26 + 1 + 0) / 4, rel=1e-5)
