"""Every target of files keeps its contract, and its scores are ours within the loss that it states."""

import numpy as np
import pytest

from splade import conformance
from splade.exporting.anserini import Anserini
from splade.exporting.numpy_arrays import NumpyArrays
from splade.exporting.postings.bmp import Bmp
from splade.exporting.postings.ciff import Ciff
from splade.exporting.postings.pisa import Pisa
from splade.exporting.seismic import Seismic
from splade.exporting.tally import Tally
from tests.exporting.vectors import batch_of, observed, written

N_TERMS = 30
WORDS = [f"t{term}" for term in range(N_TERMS)]
TARGETS = {
    "anserini": Anserini(),
    "numpy": NumpyArrays(),
    "seismic": Seismic(),
    "seismic in shards": Seismic(2, gzip=True),
    "ciff": Ciff(),
    "ciff of 12 bits": Ciff(bits=12, gzip=True),
    "pisa": Pisa(),
    "bmp": Bmp(),
    "bmp, clustered": Bmp(cluster=True),
}
EXACT = {  # for whole weights
    "anserini": Anserini(1, 1),
    "numpy": NumpyArrays(),
    "seismic": Seismic(),
    "ciff": Ciff(1, 1),
    "pisa": Pisa(1, 1),
    "bmp": Bmp(1),
}


def matrices(seed, whole=False):
    """Documents [200, 30] and queries [20, 30] with weights from 0.5 to 3, or whole ones; the last of each is empty."""
    rng = np.random.default_rng(seed)
    found = []
    for n in (200, 20):
        weights = rng.integers(1, 33, (n, N_TERMS)) if whole else rng.uniform(0.5, 3, (n, N_TERMS))
        dense = (weights * (rng.random((n, N_TERMS)) < 0.2)).astype(np.float32)
        dense[-1] = 0
        if whole:
            dense[:-1, 0] = 32  # each query's largest weight, as BMP would scale it to
        found.append(dense)
    return found


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", TARGETS)
def test_the_contract_is_kept(tmp_path, name):
    conformance.check_export_target(TARGETS[name], tmp_path)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", TARGETS)
def test_scores_of_what_is_kept_are_ours_within_the_stated_loss(tmp_path, name):
    target = TARGETS[name]
    documents, queries = matrices(1)
    docs, asked = batch_of(documents), batch_of(queries, "q")
    found, read = written(target, tmp_path, docs, asked, WORDS)
    losses = []
    for side, batch in (("document", docs), ("query", asked)):
        tally = Tally(target, side)
        tally.add(batch)
        losses.append(tally.told()["loss"]["largest"])
    kept = np.stack([found[doc_id] for doc_id in docs.ids]) @ np.stack([read[query_id] for query_id in asked.ids]).T
    ours = documents @ queries.T
    assert losses[0] < 0.03  # no term was left out
    assert (np.abs(kept - ours) <= ((1 + losses[0]) * (1 + losses[1]) - 1) * ours + 1e-4).all()


@pytest.mark.parametrize("name", EXACT)
def test_scores_are_exactly_ours_where_impacts_are_whole(tmp_path, name):
    documents, queries = matrices(2, whole=True)
    docs, asked = batch_of(documents), batch_of(queries, "q")
    found, read = written(EXACT[name], tmp_path, docs, asked, WORDS)
    kept = np.stack([found[doc_id] for doc_id in docs.ids]) @ np.stack([read[query_id] for query_id in asked.ids]).T
    np.testing.assert_array_equal(kept, documents @ queries.T)
    assert observed(docs).largest == 32
