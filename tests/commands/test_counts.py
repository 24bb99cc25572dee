"""Counts that say what a metric rests on: what no search can find, and what a rule takes away."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from splade.dense.index import DenseBatch, write_dense
from splade.indexing import InvertedIndex, delete
from splade.workflow.query_sets import count_unknown
from tests.data.writing import jsonl, put

QRELS = {"q1": {"a": 1, "b": 0}, "q2": {"b": 1, "elsewhere": 1}}


def inverted(folder):
    InvertedIndex.from_csr(csr_matrix(np.eye(3, dtype=np.float32)), ["a", "b", "x"]).save(folder)


def test_documents_that_were_deleted_are_not_in_the_index(tmp_path, caplog):
    inverted(tmp_path)
    assert count_unknown("DEV", QRELS, tmp_path) == 1
    delete(tmp_path, ["b", "x"])
    assert count_unknown("DEV", QRELS, tmp_path) == 2
    assert "DEV: 2 judged documents are not in the index" in caplog.text
    assert "('b', 'elsewhere' …)" in caplog.text


def test_documents_of_a_dense_index_are_looked_up_as_well(tmp_path, caplog):
    write_dense(tmp_path, [DenseBatch(("a", "x"), np.eye(2, dtype=np.float32))], 2)
    assert count_unknown("DEV", QRELS, tmp_path) == 2
    assert "not looked up" not in caplog.text


@pytest.fixture
def evaluated(splade, workplace, tmp_path, caplog):
    """``evaluated(policy)`` evaluates a BEIR set of three documents, two of them also queries; its details."""
    folder = tmp_path / "beir" / "tiny"
    jsonl(
        folder / "corpus.jsonl",
        [{"_id": id, "text": text} for id, text in zip("abc", ("sun", "sea", "train"), strict=True)],
    )
    jsonl(folder / "queries.jsonl", [{"_id": "a", "text": "sun"}, {"_id": "b", "text": "sea"}])
    put(folder / "qrels/test.tsv", "query-id\tcorpus-id\tscore\na\ta\t1\na\tc\t1\nb\tb\t0\nb\tgone\t1\nb\tlost\t1\n")

    def run(*overrides):
        splade(
            "beir_eval", "init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true",
            f"config.index_dir={tmp_path / 'index'}", f"config.out_dir={tmp_path / 'out'}", "+beir.dataset=tiny",
            f"+beir.dataset_path={tmp_path / 'beir'}", *overrides, cwd=workplace,
            SPLADE_CONFIG_NAME="config_splade++_cocondenser_ensembledistil",
        )  # fmt: skip
        details = json.loads((tmp_path / "out/beir/tiny/details.json").read_text())
        return SimpleNamespace(**details, said=caplog.text)

    return run


def test_beir_eval_says_how_many_judged_documents_are_missing_and_how_many_relevant_ones_the_rule_drops(evaluated):
    found = evaluated()
    assert found.judged_documents_not_in_index == 2
    assert found.relevant_documents_dropped_as_self_matches == 1  # a for a; b is not relevant to b
    assert "tiny (test): 2 judged documents are not in the index" in found.said
    assert "tiny (test): 1 relevant documents are dropped as self-matches (query and document 'a' …)" in found.said


def test_a_rule_that_keeps_self_matches_drops_no_relevant_document(evaluated):
    found = evaluated("+beir.self_matches=mteb")  # which drops them on other sets only
    assert found.relevant_documents_dropped_as_self_matches == 0
    assert "dropped as self-matches" not in found.said
