import itertools

import pytest

from splade.data.collections.opening import open_collection, open_queries
from splade.data.qrels import read_qrels
from splade.files import InputError
from splade.records import Text
from tests.data.writing import put, tsv

ir_datasets = pytest.importorskip("ir_datasets")
NAMES = (f"splade-test-{n}/dev" for n in itertools.count())
DOCUMENTS = [("a", "text a"), ("b", "text b"), ("c", "text c")]


def registered(folder, **parts):
    name = next(NAMES)
    ir_datasets.registry.register(name, ir_datasets.create_dataset(**{k: str(v) for k, v in parts.items()}))
    return name


@pytest.fixture
def dataset(tmp_path):
    return registered(
        tmp_path,
        docs_tsv=tsv(tmp_path / "docs.tsv", DOCUMENTS),
        queries_tsv=tsv(tmp_path / "queries.tsv", [("q1", "query one"), ("q2", "query two")]),
        qrels_trec=put(tmp_path / "qrels", "q1 0 a 1\nq2 0 b 2\n"),
    )


@pytest.mark.parametrize("prefix", ["", "irds:"])
def test_a_set_of_ir_datasets_is_named_where_a_path_could_be(dataset, prefix):
    documents = open_collection(f"{prefix}{dataset}")
    assert list(documents) == [Text(*document) for document in DOCUMENTS]
    assert list(documents.iterate(2)) == [Text("c", "text c")]
    assert len(documents) == 3
    assert documents.texts(["c", "a"]) == ["text c", "text a"]
    assert documents.find(["b", "nothing"]).tolist() == [1, -1]
    assert documents.at(1) == Text("b", "text b")
    queries = open_queries(f"{prefix}{dataset}")
    assert list(queries) == [Text("q1", "query one"), Text("q2", "query two")]
    assert queries["q2"] == "query two"
    assert read_qrels(f"{prefix}{dataset}") == {"q1": {"a": 1}, "q2": {"b": 2}}
    with pytest.raises(InputError, match="no text has the id 'nothing'"):
        documents.texts(["nothing"])


def test_what_a_set_lacks_is_named(tmp_path):
    name = registered(tmp_path, docs_tsv=tsv(tmp_path / "docs.tsv", DOCUMENTS))
    with pytest.raises(InputError, match="has no queries, only docs"):
        open_queries(name)
    with pytest.raises(InputError, match="has no qrels, only docs"):
        read_qrels(name)


def test_an_unknown_name_says_what_was_looked_for():
    with pytest.raises(InputError, match=r"no/such-set: no such file or folder .* and no id that ir_datasets knows"):
        open_collection("no/such-set")
    with pytest.raises(InputError, match="no id that ir_datasets knows"):
        read_qrels("irds:no/such-set")


def test_repeated_documents_are_refused(tmp_path):
    name = registered(tmp_path, docs_tsv=tsv(tmp_path / "docs.tsv", [*DOCUMENTS, ("a", "again")]))
    with pytest.raises(InputError, match="two documents have the id 'a'"):
        open_collection(name).find(["a"])
