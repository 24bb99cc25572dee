"""Vectors keyed by number beside an index keyed by tokens, and the other way round: never taken for each other."""

import json

import numpy as np
import pytest
import scipy.sparse

from splade.data.vectors.shards import Shard
from splade.data.vectors.vectors import open_vectors
from splade.encoding.shards import ShardWriter
from splade.files import InputError
from splade.indexing import IndexAppender, IndexBuilder, InvertedIndex, Vocabulary, merge
from splade.workflow.given_vectors import given_appended, given_queries
from tests.data.writing import jsonl, put
from tests.kernels.cases import batch

DOCS = [{"id": "d1", "vector": {"sea": 2.0, "sun": 1.0}}, {"id": "d2", "vector": {"snow": 1.5, "2019": 0.5}}]
NUMBERED = [{"id": "d1", "vector": {"0": 2.0, "1": 1.0}}, {"id": "d2", "vector": {"2": 1.5}}]
ASKED = [{"id": "q1", "vector": {"0": 1.0, "2": 1.0}}]


def build(folder, name, records):
    """The index of ``records`` as the command makes it."""
    jsonl(folder / f"{name}.jsonl", records)
    vectors = open_vectors(folder / f"{name}.jsonl")
    vocabulary = Vocabulary() if vectors.keys == "tokens" else None
    builder = IndexBuilder(folder / name, vocabulary=vocabulary, metadata=vectors.state())
    for part in vectors.batches(vocabulary):
        builder.add(part)
    return builder.finish()


@pytest.fixture
def by_token(tmp_path):
    return build(tmp_path, "by_token", DOCS)


@pytest.fixture
def by_id(tmp_path):
    return build(tmp_path, "by_id", NUMBERED)


@pytest.fixture
def asked(tmp_path):
    jsonl(tmp_path / "asked.jsonl", ASKED)
    scipy.sparse.save_npz(tmp_path / "asked.npz", scipy.sparse.csr_matrix(np.array([[1.0, 0, 1]], np.float32)))
    return tmp_path


@pytest.mark.parametrize(("file", "keys"), [("asked.npz", "auto"), ("asked.npz", "ids"), ("asked.jsonl", "ids")])
@pytest.mark.parametrize("take", [given_queries, given_appended])
def test_numbered_vectors_are_refused_where_the_index_was_keyed_by_tokens(asked, by_token, take, file, keys):
    with pytest.raises(InputError, match=rf"{file}: keyed by term id, but the index .*by_token was keyed by tokens"):
        take(str(asked / file), by_token, keys)


def test_the_refusal_holds_after_documents_were_appended_and_merged(asked, by_token):
    appender = IndexAppender(by_token.path)
    appender.add(batch([[0, 0, 1.0]], first=9))
    for index in (appender.finish(), merge(by_token.path)):
        with pytest.raises(InputError, match="was keyed by tokens"):
            given_queries(str(asked / "asked.npz"), index)


@pytest.mark.parametrize("take", [given_queries, given_appended])
def test_tokens_are_refused_where_the_index_was_keyed_by_number(tmp_path, by_id, take):
    jsonl(tmp_path / "words.jsonl", DOCS)
    with pytest.raises(InputError, match="does not know what its terms are called"):
        take(str(tmp_path / "words.jsonl"), by_id, "tokens")


@pytest.mark.parametrize("take", [given_queries, given_appended])
def test_lines_of_numbers_that_the_index_does_not_know_as_tokens_are_refused(asked, by_token, take):
    with pytest.raises(InputError, match=r"its keys are whole numbers \(as '0'\).*knows none of them"):
        take(str(asked / "asked.jsonl"), by_token)


@pytest.mark.parametrize("take", [given_queries, given_appended])
def test_a_number_that_is_a_token_of_the_index_is_one(tmp_path, by_token, take):
    jsonl(tmp_path / "years.jsonl", [{"id": "x1", "vector": {"2019": 3.0}}])
    taken = take(str(tmp_path / "years.jsonl"), by_token)
    if take is given_queries:
        assert taken.vectors.rows.columns.tolist() == [by_token.vocabulary.numbers_of["2019"]]


def test_numbered_vectors_may_search_an_index_of_a_model_whose_terms_have_names(asked):
    named = InvertedIndex.from_csr(batch([[1, 1, 1]]), fingerprint="a model", vocabulary=["a", "b", "c"])
    assert given_queries(str(asked / "asked.npz"), named).vectors.rows.columns.tolist() == [0, 2]


@pytest.fixture
def shards(tmp_path):
    """One query as a model encodes it whose terms are a, sun and sea."""
    writer = ShardWriter(
        tmp_path / "shards", Shard(1, 1), {"fingerprint": "mine", "vocab_size": 3}, ["a", "sun", "sea"]
    )
    writer.add(batch([[1.0, 2.0, 3.0]], prefix="q"))
    writer.finish()
    return str(tmp_path / "shards")


def test_queries_in_shards_are_found_by_the_names_of_their_terms(shards, by_token):
    asked = given_queries(shards, by_token)
    known = by_token.vocabulary.numbers_of
    assert dict(zip(asked.vectors.rows.columns.tolist(), asked.vectors.rows.weights.tolist(), strict=True)) == {
        known["sun"]: 2.0,
        known["sea"]: 3.0,
    }
    assert (asked.lost.unknown_tokens, asked.fingerprint) == (1, "mine")


def test_queries_in_shards_of_another_encoder_are_refused_unless_they_are_forced(shards):
    index = InvertedIndex.from_csr(batch([[1, 1, 1]]), fingerprint="other", vocabulary=["sea", "sun", "a"])
    with pytest.raises(InputError, match=r"vectors of the encoder mine.*was made by other"):
        given_queries(shards, index)
    assert given_queries(shards, index, force=True).vectors.rows.weights.tolist() == [3.0, 2.0, 1.0]


def test_where_nothing_says_how_terms_are_numbered_a_warning_does(asked, caplog):
    own = InvertedIndex.from_csr(batch([[1, 1, 1]]), vocabulary=["a", "b", "c"])
    assert given_queries(str(asked / "asked.npz"), own).vectors.rows.columns.tolist() == [0, 2]
    assert "nothing says that the terms" in caplog.text


def test_an_index_keyed_by_number_grows_with_a_larger_number_and_takes_smaller_ones(tmp_path, splade):
    jsonl(tmp_path / "docs.jsonl", NUMBERED)
    jsonl(tmp_path / "more.jsonl", [{"id": "d3", "vector": {"0": 5.0}}, {"id": "d4", "vector": {"7": 3.0, "1": 1.0}}])
    jsonl(tmp_path / "fewer.jsonl", [{"id": "d5", "vector": {"0": 1.0}}])
    jsonl(tmp_path / "asked.jsonl", [{"id": "q1", "vector": {"7": 2.0, "1": 1.0}}])
    jsonl(tmp_path / "all.jsonl", [json.loads(line) for name in ("docs", "more", "fewer") for line in
                                   (tmp_path / f"{name}.jsonl").read_text().splitlines()])  # fmt: skip
    put(tmp_path / "qrels.tsv", "q1 0 d4 1\n")
    splade("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=ix", cwd=tmp_path)
    splade("update", "data.VECTORS_PATH=more.jsonl", "config.index_dir=ix", cwd=tmp_path)
    splade("update", "data.VECTORS_PATH=fewer.jsonl", "config.index_dir=ix", cwd=tmp_path)
    assert InvertedIndex.open(tmp_path / "ix").vocab_size == 8
    splade(
        "retrieve", "data.Q_VECTORS_PATH=[asked.jsonl]", "data.EVAL_QREL_PATH=[qrels.tsv]", "config.index_dir=ix",
        "config.retrieval_name=[NAME]", "config.eval_metric=[[mrr_10]]", "config.out_dir=out", cwd=tmp_path,
    )  # fmt: skip
    assert json.loads((tmp_path / "out" / "NAME" / "run.json").read_text()) == {"q1": {"d4": 7.0, "d1": 1.0}}
    merged = merge(tmp_path / "ix")
    splade("index", "data.VECTORS_PATH=all.jsonl", "config.index_dir=straight", cwd=tmp_path)
    straight = InvertedIndex.open(tmp_path / "straight")
    assert all((merged.arrays[name] == array).all() for name, array in straight.arrays.items())


def test_a_model_that_has_a_fixed_number_of_terms_keeps_it(tmp_path):
    InvertedIndex.from_csr(batch([[1, 1, 1]]), fingerprint="a model").save(tmp_path / "ix")
    with pytest.raises(InputError, match="over 4 terms do not fit an index over 3"):
        IndexAppender(tmp_path / "ix").add(batch([[0, 0, 0, 1]], first=1))


def test_what_may_not_be_appended_is_refused_before_anything_is_deleted(asked, by_token, splade, capsys):
    put(asked / "gone.txt", "d1\n")
    with pytest.raises(SystemExit) as ended:
        splade(
            "update", "data.DELETE_PATH=gone.txt", "data.VECTORS_PATH=asked.npz", "config.index_dir=by_token", cwd=asked
        )
    assert ended.value.code == 2
    assert "was keyed by tokens" in capsys.readouterr().err
    assert InvertedIndex.open(by_token.path).n_docs - InvertedIndex.open(by_token.path).n_deleted == 2
