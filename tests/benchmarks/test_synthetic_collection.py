"""The generator of synthetic collections: its queries are as flat as asked, or as they were."""

import numpy as np
import pytest

from benchmarks.search.collection import FLATNESS, generate
from benchmarks.search.vectors import synthetic


def drawn(**options):
    return generate(1000, lambda _, length, dtype: np.empty(length, dtype), n_queries=60, **options)


def flatness(queries):
    rows = [queries.data[start:stop] for start, stop in zip(queries.indptr, queries.indptr[1:], strict=False)]
    return float(np.median([np.median(row) / row.max() for row in rows]))


@pytest.fixture(scope="module")
def by_default():
    return drawn()


def test_queries_of_every_length_are_as_flat_as_real_ones_unless_told_otherwise(by_default):
    assert {name: flatness(queries) for name, queries in by_default.queries.items()} == pytest.approx(
        dict.fromkeys(("pp", "v3", "eff"), FLATNESS), rel=0.01
    )
    assert {name: flatness(queries) for name, queries in drawn(flatness=0.3).queries.items()} == pytest.approx(
        dict.fromkeys(("pp", "v3", "eff"), 0.3), rel=0.01
    )


def test_the_collections_of_before_can_be_made_again(by_default):
    before = drawn(flatness=None)
    sums = {name: (float(queries.data.sum()), int(queries.indices.sum())) for name, queries in before.queries.items()}
    assert {name: total for name, (total, _) in sums.items()} == pytest.approx(
        {"pp": 1373.1125, "v3": 1109.5062, "eff": 519.7010}, abs=0.001
    )
    assert {name: terms for name, (_, terms) in sums.items()} == {"pp": 42131223, "v3": 24397722, "eff": 4979115}
    assert (before.documents != by_default.documents).nnz == 0  # flatness is of queries alone
    for name, queries in before.queries.items():
        np.testing.assert_array_equal(queries.indices, by_default.queries[name].indices)


def test_the_name_of_a_collection_has_its_flatness(tmp_path):
    assert synthetic(tmp_path, 1000).folder.name == f"synthetic-1000-7-flat{FLATNESS:g}"
    assert synthetic(tmp_path, 1000, flatness=None).folder.name == "synthetic-1000-7"


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1])
def test_a_flatness_is_a_share(wrong):
    with pytest.raises(ValueError, match="flatness must be between 0 and 1"):
        drawn(flatness=wrong)
