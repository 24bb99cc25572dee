"""Files for BMP: 8-bit impacts, an order in which neighbours are alike, queries in 32 steps."""

import json

import numpy as np
import pytest

from splade.exporting.postings.bmp import Bmp
from splade.exporting.postings.ciff_reading import CiffReader
from splade.files import InputError
from tests.exporting.vectors import batch_of, written

WORDS = ["sea", "cat", "ü", "unused"]
DOCUMENTS = batch_of([[2.5, 0, 0, 0], [0, 0, 0, 0], [0.1, 1.25, 0.004, 0]])


def ids_in(path):
    with CiffReader(path) as reader:
        reader.header()
        reader.terms()
        return [doc_id for doc_id, _ in reader.records()]


def test_the_largest_weight_gets_255_and_a_query_gets_32_steps(tmp_path):
    queries = batch_of([[0.8, 0, 0.4, 0.01], [0, 0, 0, 0], [0, 0, 0, 3]], "q")
    found, asked = written(Bmp(), tmp_path, DOCUMENTS, queries, WORDS)
    np.testing.assert_allclose(found["d2"] * 102, [10, 128, 0, 0], atol=1e-4)  # 255 / 2.5 = 102; 0.408 becomes 0
    np.testing.assert_allclose(asked["q0"], [0.8, 0, 0.4, 0], atol=1e-6)  # 0.01 is under half of 0.8 / 32
    lines = [json.loads(line) for line in (tmp_path / "queries.jsonl").read_text().splitlines()]
    assert [line["vector"] for line in lines] == [{"sea": 32, "ü": 16}, {}, {"unused": 32}]


def test_queries_that_find_nothing_stop_no_run_since_they_are_not_in_its_file(tmp_path):
    queries = batch_of([[0, 1, 0, 0.5], [0, 0, 0, 0], [0, 0, 0, 3]], "q")
    written(Bmp(), tmp_path, DOCUMENTS, queries, WORDS)
    assert (tmp_path / "queries.txt").read_text() == f"q0:{' '.join(['cat'] * 32 + ['unused'] * 16)}\n"


def test_documents_keep_their_order_or_similar_ones_become_neighbours(tmp_path):
    rng = np.random.default_rng(0)
    group = rng.permutation(np.arange(400) % 2)
    dense = np.zeros((400, 8))
    for row, own in enumerate(group):
        dense[row, 4 * own : 4 * own + 4] = rng.random(4) + 0.5
    documents, queries, words = batch_of(dense), batch_of(dense[:1], "q"), [f"t{term}" for term in range(8)]
    plain, _ = written(Bmp(cluster=False), tmp_path / "plain", documents, queries, words)
    alike, _ = written(Bmp(cluster=True), tmp_path / "alike", documents, queries, words)
    assert ids_in(tmp_path / "plain/docs.ciff") == list(documents.ids)
    order = [int(doc_id[1:]) for doc_id in ids_in(tmp_path / "alike/docs.ciff")]
    assert sorted(order) == list(range(400))
    assert (np.diff(group) != 0).sum() > 180
    assert (np.diff(group[order]) != 0).sum() < 50
    assert all(np.array_equal(plain[doc_id], alike[doc_id]) for doc_id in documents.ids)


@pytest.mark.parametrize("query_id", ["a:b", " a", "a\nb"])
def test_a_query_id_that_bmp_would_cut_is_refused(tmp_path, query_id):
    with pytest.raises(InputError, match="has a colon, a line end or space around it"):
        written(Bmp(), tmp_path, DOCUMENTS, batch_of([[1, 0, 0, 0]], ids=[query_id]), WORDS)


@pytest.mark.parametrize("arguments", [{"cluster": "yes"}, {"block_size": 0}, {"block_size": 1.5}])
def test_an_argument_of_another_type_is_refused(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(InputError, match=rf"export\.{name}={value!r}: expected"):
        Bmp(**arguments)


def test_the_manifest_has_the_block_size():
    assert "'docs.bmp', 256, False)" in Bmp(block_size=256).about()["load"][0]


def test_an_impact_that_bmp_would_change_is_refused(tmp_path):
    written(Bmp(), tmp_path, DOCUMENTS, batch_of([[1, 0, 0, 0]]), WORDS)
    (tmp_path / "queries.jsonl").write_text('{"id":"q","vector":{"sea":33},"unit":1.0}\n')
    with pytest.raises(InputError, match=r"queries.jsonl:1: an impact over 32"):
        list(Bmp().read_queries(tmp_path, WORDS))
