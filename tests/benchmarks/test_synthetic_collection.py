"""The generator of synthetic collections: its queries are as flat as asked, or as they were."""

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks.search import vectors
from benchmarks.search.collection import FLATNESS, Drawn, _flat, generate


def drawn(**options):
    return generate(1000, lambda _, length, dtype: np.empty(length, dtype), n_queries=60, **options)


@pytest.mark.parametrize("flatness", [0.05, *FLATNESS.values()])
@pytest.mark.parametrize("terms", [3, 6, 25, 120])
def test_a_query_is_as_flat_as_asked_whatever_its_length_and_noise(terms, flatness):
    weights = _flat(np.exp(0.25 * np.random.default_rng(terms).standard_normal(terms)), flatness)
    assert np.median(weights) / weights.max() == pytest.approx(flatness, rel=0.05)
    steps = np.diff(np.log(_flat(np.ones(terms), flatness)))
    np.testing.assert_allclose(steps, steps[0])  # exponential by rank where there is no noise
    assert steps[0] < 0


@pytest.mark.slow
def test_the_collections_of_before_can_be_made_again_and_new_ones_differ_in_query_weights_alone():
    before, flat = drawn(flatness=None), drawn()
    sums = {name: (float(queries.data.sum()), int(queries.indices.sum())) for name, queries in before.queries.items()}
    assert {name: total for name, (total, _) in sums.items()} == pytest.approx(
        {"pp": 1373.1125, "v3": 1109.5062, "eff": 519.7010}, abs=0.001
    )
    assert {name: terms for name, (_, terms) in sums.items()} == {"pp": 42131223, "v3": 24397722, "eff": 4979115}
    assert (before.documents != flat.documents).nnz == 0
    for name, queries in before.queries.items():
        np.testing.assert_array_equal(queries.indices, flat.queries[name].indices)
        rows = [flat.queries[name][row].data for row in range(60)]
        assert np.median([np.median(row) / row.max() for row in rows]) == pytest.approx(FLATNESS[name], rel=0.02)


def test_the_name_of_a_collection_has_its_flatness_and_old_ones_keep_theirs(tmp_path, monkeypatch):
    asked = []

    def small(n_docs, room, *, seed, flatness):
        asked.append(flatness)
        for name, dtype in vectors.PARTS.items():
            room(name, n_docs + 1 if name == "indptr" else n_docs, dtype)
        nothing = sp.csr_matrix((n_docs, 9), dtype=np.float32)
        return Drawn(nothing, dict.fromkeys(vectors.QUERY_SETS, nothing))

    monkeypatch.setattr(vectors, "generate", small)
    assert vectors.synthetic(tmp_path, 4).folder.name == "synthetic-4-7-flat0.17-0.2-0.56"
    assert vectors.synthetic(tmp_path, 4, flatness=0.3).folder.name == "synthetic-4-7-flat0.3"
    assert vectors.synthetic(tmp_path, 4, flatness=None).folder.name == "synthetic-4-7"
    assert asked == [FLATNESS, 0.3, None]


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1])
def test_a_flatness_is_a_share(wrong):
    with pytest.raises(ValueError, match="flatness must be between 0 and 1"):
        drawn(flatness=wrong)
