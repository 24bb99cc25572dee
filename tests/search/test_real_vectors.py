"""Vectors of real models: the strategies agree with dense brute force and with each other on them."""

import json

import numpy as np
import pytest

from splade.indexing import InvertedIndex, Vocabulary
from splade.kernels.sparse import from_csr
from splade.records import SparseBatch
from splade.search import Searcher
from tests.kernels.cases import brute_force
from tests.shared import shared_data

SETS = ("scifact.splade-v3.jsonl", "scifact.splade-pp-ed.jsonl", "dl19.splade-v3.jsonl")


def vectors(name, vocabulary):
    """The vectors of a fixture, their tokens numbered by ``vocabulary``, which grows."""
    records = [json.loads(line) for line in shared_data(f"fixtures/{name}").read_text().splitlines()]
    columns = [vocabulary.add(token) for record in records for token in record["vector"]]
    weights = [weight for record in records for weight in record["vector"].values()]
    offsets = np.cumsum([0, *(len(record["vector"]) for record in records)])
    ids = tuple(str(record["id"]) for record in records)
    return SparseBatch(ids, from_csr(offsets, columns, weights), max(len(vocabulary), 1))


def dense(batch, width):
    matrix = np.zeros((len(batch.ids), width), np.float32)
    matrix[np.repeat(np.arange(len(batch.ids)), np.diff(batch.rows.offsets)), batch.rows.columns] = batch.rows.weights
    return matrix


@pytest.mark.parametrize("weights", ["float32", pytest.param("float16", marks=pytest.mark.slow), "uint8"])
def test_passages_and_queries_of_a_real_model(weights):
    vocabulary = Vocabulary()
    documents = vectors("msmarco-toy20/documents.jsonl", vocabulary)
    queries = vectors("msmarco-toy20/queries.jsonl", vocabulary)
    documents, queries = (batch._replace(vocab_size=len(vocabulary)) for batch in (documents, queries))
    index = InvertedIndex.from_csr(documents, weights=weights)
    kept = dense(documents._replace(rows=index.vectors(range(index.n_docs))), len(vocabulary))
    for k in (1, 5, 20):
        expected = brute_force(kept, dense(queries, len(vocabulary)), k)
        for strategy in ("auto", "exhaustive", "block_max", "reference"):
            found = Searcher(index, strategy).search_csr(queries, k)
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.slow
def test_queries_of_real_models_searched_as_documents():
    """Thousands of them: each query many times over, its weights scaled, so that there are blocks to leave out."""
    vocabulary = Vocabulary()
    sets = [vectors(name, vocabulary) for name in SETS]
    rng = np.random.default_rng(0)
    matrix = np.concatenate([dense(batch, len(vocabulary)) for batch in sets])
    many = np.concatenate([matrix * rng.gamma(2, 0.5, (len(matrix), 1)).astype(np.float32) for _ in range(8)])
    rows = from_csr(
        np.concatenate([[0], np.cumsum((many > 0).sum(1))]), np.nonzero(many)[1], many[many > 0], len(vocabulary)
    )
    documents = SparseBatch(tuple(map(str, range(len(many)))), rows, len(vocabulary))
    index = InvertedIndex.from_csr(documents, cluster=True)
    for batch in sets:
        queries = batch._replace(vocab_size=len(vocabulary))
        for k in (10, 100):
            expected = Searcher(index, "reference").search_csr(queries, k)
            for strategy in ("auto", "exhaustive", "block_max"):
                found = Searcher(index, strategy).search_csr(queries, k, n_threads=2)
                np.testing.assert_array_equal(found[0], expected[0])
                np.testing.assert_array_equal(found[1].view(np.uint32), expected[1].view(np.uint32))
