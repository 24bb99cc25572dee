"""Files of lsr-benchmark: what is written is read by it, and what its contestants write is read here."""

import gzip
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from splade.adapters.lsr_benchmark import (
    encode_texts,
    read_texts,
    read_vectors,
    vectors_of,
    write_dataset,
    write_run,
    write_vectors,
)
from splade.data.qrels import read_qrels
from splade.evaluation.runs import read_run
from splade.files import InputError
from splade.indexing import InvertedIndex
from splade.kernels.sparse import from_dense, to_dense
from splade.models import load_retriever
from splade.records import Ranking, SparseBatch, Text
from splade.search import Searcher
from tests.conftest import ROOT

INSTALLED = pytest.mark.skipif(
    importlib.util.find_spec("lsr_benchmark") is None,
    reason="lsr-benchmark is not installed (pip install lsr-benchmark)",
)
DOCS = np.array([[0, 1.5, 0, 2, 0], [0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.float32)
QUERIES = np.array([[0, 2, 0, 1, 0.25], [0, 0, 0, 0, 0]], np.float32)


def batch(matrix, *ids):
    return SparseBatch(ids, from_dense(matrix), matrix.shape[1])


@pytest.fixture
def folder(tmp_path):
    write_vectors(tmp_path / "vectors", "doc", batch(DOCS, "d 1", "dé", "empty"))
    write_vectors(tmp_path / "vectors", "query", batch(QUERIES, "q1", "q2"))
    return tmp_path / "vectors"


def test_vectors_are_read_as_they_were_written(folder):
    documents, queries, terms = read_vectors(folder)
    assert (documents.ids, queries.ids, terms) == (("d 1", "dé", "empty"), ("q1", "q2"), None)
    np.testing.assert_array_equal(to_dense(documents.rows, 5), DOCS)
    np.testing.assert_array_equal(to_dense(queries.rows, 5), QUERIES)
    assert documents.vocab_size == queries.vocab_size == 5


def test_terms_that_are_words_become_columns_of_both_sides(folder):
    names = np.array(["an", "bee", "cat", "dog", "elk"])
    for side in ("doc", "query"):
        path = folder / side / f"{side}-embeddings.npz"
        with np.load(path) as stored:
            arrays = dict(stored)
        np.savez(path, data=arrays["data"], indptr=arrays["indptr"], indices=names[arrays["indices"]])
    documents, queries, terms = read_vectors(folder)
    assert terms == ("an", "bee", "dog", "elk")
    np.testing.assert_array_equal(to_dense(documents.rows, 4) @ to_dense(queries.rows, 4).T, DOCS @ QUERIES.T)


def test_an_encoder_that_leaves_out_empty_vectors_at_the_end_is_understood(folder):
    path = folder / "doc/doc-embeddings.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez_compressed(path, **{**arrays, "indptr": arrays["indptr"][:-1]})
    np.testing.assert_array_equal(to_dense(read_vectors(folder).documents.rows, 5), DOCS)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda arrays: {**arrays, "data": -arrays["data"]}, "Dense vectors are no contestants"),
        (lambda arrays: {"data": arrays["data"]}, "not vectors of lsr-benchmark"),
        (lambda arrays: {**arrays, "indptr": np.arange(9)}, "8 vectors, and 3 ids in doc-ids.txt"),
        (lambda arrays: {**arrays, "indices": arrays["indices"][:-1]}, "doc-embeddings.npz"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_their_path(folder, spoil, said):
    path = folder / "doc/doc-embeddings.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **spoil(arrays))
    with pytest.raises(InputError, match=said):
        read_vectors(folder)


def test_what_is_missing_is_named(folder):
    (folder / "query/query-ids.txt").unlink()
    with pytest.raises(InputError, match=r"query-ids.txt: there is no such file"):
        read_vectors(folder)
    with pytest.raises(InputError, match=r"has a line break or white space"):
        write_vectors(folder, "doc", batch(DOCS[:1], "a\nb"))
    with pytest.raises(ValueError, match="side must be 'doc' or 'query'"):
        write_vectors(folder, "document", batch(DOCS[:1], "a"))


def test_a_data_set_of_ones_own_is_read_back(tmp_path):
    documents, queries = [Text("d1", "ein Fuß\nzwei"), Text("d2", "")], [Text("q", "Füße")]
    write_dataset(tmp_path, documents, queries, {"q": {"d1": 2, "d2": 0}})
    assert list(read_texts(tmp_path, "doc")) == documents
    assert list(read_texts(tmp_path, "query")) == queries
    assert read_qrels(tmp_path / "qrels.txt") == {"q": {"d1": 2, "d2": 0}}
    (tmp_path / "queries.jsonl").write_text('{"qid": "q", "query": "a"}\n{"qid": "r"}\n')
    with pytest.raises(InputError, match=r"queries.jsonl:2: expected \{'qid'"):
        list(read_texts(tmp_path, "query"))
    with pytest.raises(InputError, match="'d 1' holds white space"):
        write_dataset(tmp_path, [Text("d 1", "")], [], {})


def test_a_run_is_read_back_in_order(tmp_path):
    path = write_run(
        tmp_path, [Ranking("q", ["b", "a"], np.array([0.1, 0.1], np.float32)), Ranking("r", [], np.zeros(0))]
    )
    assert list(read_run(path)["q"].items()) == [("b", float(np.float32(0.1))), ("a", float(np.float32(0.1)))]


@INSTALLED
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_lsr_benchmark_reads_what_is_written_and_its_triples_are_taken(folder):
    from lsr_benchmark.irds import embeddings

    triples = [embeddings("none", str(folder), side) for side in ("doc", "query")]
    assert [each[0] for each in triples[0]] == ["d 1", "dé", "empty"]
    documents, queries, terms = vectors_of(*triples)
    np.testing.assert_allclose(
        to_dense(documents.rows, len(terms)) @ to_dense(queries.rows, len(terms)).T, DOCS @ QUERIES.T
    )


@INSTALLED
@pytest.mark.slow
def test_our_contestants_run_on_a_data_set_and_are_evaluated_by_lsr_benchmark(model_folder, tmp_path):
    rows = [line.split("\t") for line in (ROOT / "data/toy/collection/raw.tsv").read_text().splitlines()[:40]]
    documents = [Text(doc_id, text) for doc_id, text in rows]
    queries = [Text(f"q{place}", text[:60]) for place, (_, text) in enumerate(documents[:7])]
    qrels = {f"q{place}": {documents[place].id: 1} for place in range(7)}
    write_dataset(tmp_path / "set", documents, queries, qrels)

    def called(*arguments):
        command = [sys.executable, *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=None)

    scripts, given = ROOT / "benchmarks/lsr_benchmark", ("--dataset", tmp_path / "set")
    called(scripts / "encode.py", *given, "--model", model_folder / "model", "--output", tmp_path / "vectors")
    called(scripts / "retrieve.py", *given, "--embedding", tmp_path / "vectors", "--output", tmp_path / "run", "--k", 5)
    evaluate = "from lsr_benchmark import main; main()"
    table = tmp_path / "table.jsonl.gz"
    called("-c", evaluate, "evaluate", tmp_path / "run", "-m", "RR", "-m", "runtime_wallclock", "-o", table)
    with gzip.open(table, "rt") as lines:
        row = json.loads(lines.readline())
    model = load_retriever(model_folder / "model")
    index = InvertedIndex.from_csr(encode_texts(model, documents, "doc"))
    expected = Searcher(index).search(encode_texts(model, queries, "query"), k=5)
    ranks = [list(each.doc_ids).index(doc.id) + 1 if doc.id in each.doc_ids else None
             for doc, each in zip(documents, expected, strict=False)]  # fmt: skip
    assert row["RR"] == pytest.approx(sum(1 / rank for rank in ranks if rank) / 7)
    assert row["retrieval.runtime_wallclock"].endswith("ms")
