"""A model as MTEB takes it. MTEB itself takes seconds to import, so that only slow tests do."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

from splade.adapters.mteb import SearchModel
from splade.adapters.mteb_tasks import local_task
from splade.encoding import Encoder
from splade.files import InputError, read_json
from splade.indexing import InvertedIndex
from splade.models import load_retriever
from splade.records import Text
from splade.search import Searcher
from splade.suites import parts_of, sets_of

MTEB = pytest.mark.skipif(importlib.util.find_spec("mteb") is None, reason="mteb is not installed (the extra mteb)")
ABOUT = {"task_metadata": SimpleNamespace(name="Task", type="Retrieval"), "hf_split": "test", "hf_subset": "default"}
DOCS = [
    {"id": "a", "title": "", "text": "the heat of the sun"},
    {"id": "b", "title": None, "text": "a bridge over the river"},
    {"id": "c", "title": "iron", "text": "and gold "},
    {"id": "e", "text": ""},
]
QUERIES = [{"id": "q1", "text": "heat of the river"}, {"id": "q2", "text": "gold", "instruction": "or iron"}]


@pytest.fixture
def model(model_folder):
    return SearchModel(model_folder, encoding={"batch_size": 8})


def test_queries_and_documents_go_through_their_sides_and_titles_before_texts(model, model_folder):
    model.index(DOCS, **ABOUT, encode_kwargs={"batch_size": 2}, num_proc=None)
    found = model.search(QUERIES, **ABOUT, top_k=3, encode_kwargs={}, num_proc=None)
    retriever = load_retriever(model_folder / "model")
    texts = [Text("a", DOCS[0]["text"]), Text("b", DOCS[1]["text"]), Text("c", "iron and gold"), Text("e", "")]
    documents = Encoder(retriever, "document").encode_all(texts)
    queries = Encoder(retriever, "query").encode_all([Text("q1", "heat of the river"), Text("q2", "gold or iron")])
    index = InvertedIndex.from_csr(documents)
    expected = {
        each.query_id: dict(zip(each.doc_ids, each.scores.tolist(), strict=True))
        for each in Searcher(index).search(queries, k=3)
    }
    assert found == {query: pytest.approx(row, rel=1e-5) for query, row in expected.items()}
    assert [list(row) for row in found.values()] == [list(row) for row in expected.values()]


def test_documents_that_were_ranked_before_are_all_scored_and_no_others(model):
    model.index(DOCS, **ABOUT)
    everything = model.search(QUERIES, **ABOUT, top_k=10)
    found = model.search(QUERIES, **ABOUT, top_k=10, top_ranked={"q1": ["b", "e", "b"], "q2": []})
    assert found == {"q1": {"b": everything["q1"]["b"], "e": everything["q1"].get("e", 0.0)}, "q2": {}}
    with pytest.raises(InputError, match="query 'q1': the document 'z' to rank is not in the collection"):
        model.search(QUERIES, **ABOUT, top_k=10, top_ranked={"q1": ["z"]})


def test_an_index_is_kept_for_the_same_texts_alone(model_folder, tmp_path, monkeypatch):
    model = SearchModel(model_folder, index_dir=tmp_path)
    model.index(DOCS, **ABOUT)
    first = model.search(QUERIES, **ABOUT, top_k=3)
    encoded = []
    encode = Encoder.encode
    monkeypatch.setattr(Encoder, "encode", lambda self, texts, **options: (encoded.append(1), encode(self, texts))[1])
    again = SearchModel(model_folder, index_dir=tmp_path)
    again.index(DOCS, **ABOUT)
    assert not encoded
    assert again.search(QUERIES, **ABOUT, top_k=3) == first
    encoded.clear()
    again.index([*DOCS[1:], {"id": "a", "text": "another"}], **ABOUT)
    assert encoded
    assert again.opened.n_docs == 4


def test_vectors_are_those_of_the_side_that_is_asked_for_and_give_the_same_scores(model):
    model.index(DOCS, **ABOUT)
    found = model.search(QUERIES, **ABOUT, top_k=4)["q1"]
    documents = model.encode([{"text": ["the heat of the sun", "a bridge over the river"]}], **ABOUT)
    queries = model.encode([{"text": ["heat of the river"]}], **ABOUT, prompt_type=SimpleNamespace(value="query"))
    scores = model.similarity(queries, documents)
    np.testing.assert_allclose(scores.numpy(), [[found["a"], found["b"]]], rtol=1e-5)
    other = {**ABOUT, "task_metadata": SimpleNamespace(name="Task", type="STS")}
    arrays = model.encode([{"text": ["the heat of the sun"]}, {"text": ["a bridge over the river"]}], **other)
    np.testing.assert_allclose(arrays, documents.to_dense().numpy(), atol=1e-6)
    pairs = model.similarity_pairwise(arrays, documents)
    np.testing.assert_allclose(pairs.numpy(), (arrays**2).sum(axis=1), rtol=1e-5)


def test_what_cannot_be_searched_is_refused_in_words(model, model_folder):
    with pytest.raises(ValueError, match="index a collection before"):
        model.search(QUERIES, **ABOUT, top_k=1)
    model.index(DOCS, **ABOUT)
    with pytest.raises(InputError, match="query 'q' is a conversation"):
        model.search([{"id": "q", "text": ["one", "two"]}], **ABOUT, top_k=1)
    with pytest.raises(InputError, match="only texts can be encoded; this task has image"):
        model.encode([{"image": []}], **ABOUT)
    with pytest.raises(ValueError, match="strategy must be one of"):
        SearchModel(model_folder, engine={"strategy": "fast"})


def test_engines_arguments_and_lengths_are_taken(model_folder):
    model = SearchModel(model_folder, engine={"strategy": "exhaustive"}, max_length=7, prompt_q="")
    model.index(DOCS, **ABOUT)
    assert model.opened.searcher.strategy == "exhaustive"
    assert (model.model.max_length("document"), model.model.prompt("query")) == (7, "")


SAME = {  # our names, and MTEB's
    "ndcg_cut_10": "ndcg_at_10", "map_cut_100": "map_at_100", "recall_100": "recall_at_100", "mrr_10": "mrr_at_10",
}  # fmt: skip


@MTEB
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of mteb and what it loads
@pytest.mark.parametrize(("drops", "policy"), [(True, "mteb"), (False, "off")])
def test_mteb_gives_the_figures_of_our_beir_evaluation(model_folder, arguana, splade, tmp_path, drops, policy):
    import mteb
    from mteb.models import SearchEncoderWrapper
    from mteb.models.models_protocols import EncoderProtocol, SearchProtocol

    splade(
        "beir_eval", f"init_dict.model_type_or_dir={model_folder / 'model'}", "config.pretrained_no_yamlconfig=true",
        f"config.index_dir={tmp_path / 'index'}", f"config.out_dir={tmp_path / 'out'}", "+beir.dataset=arguana",
        f"+beir.dataset_path={arguana}", f"+beir.self_matches={policy}",
        f"+beir.metrics=[{','.join(SAME)}]", cwd=tmp_path,
        SPLADE_CONFIG_NAME="config_splade++_cocondenser_ensembledistil",
    )  # fmt: skip
    ours = read_json(tmp_path / "out/beir/arguana/perf.json")
    model, parts = SearchModel(model_folder), parts_of(sets_of("arguana")[0], str(arguana))
    assert isinstance(model, SearchProtocol)
    assert isinstance(model, EncoderProtocol)
    for searching in (model, SearchEncoderWrapper(model)):  # our search, and MTEB's own of our vectors
        task = local_task("Arguana", *parts[:3], drop_self_matches=drops)
        found = mteb.evaluate(searching, task, cache=None, show_progress_bar=False)
        theirs = found.task_results[0].scores["test"][0]
        for name, other in SAME.items():
            assert theirs[other] == pytest.approx(ours[name], abs=5.1e-6), other  # MTEB rounds to five digits
    assert 0.01 < ours["ndcg_cut_10"] < 0.99


@MTEB
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_revision_is_of_both_sides_and_their_settings(model_folder):
    other = ({"prompt_q": "other"}, {"max_length_q": 30}, {"encoding": {"int8": True}})
    metas = [SearchModel(model_folder, **settings).mteb_model_meta for settings in ({}, {}, *other)]
    assert metas[0].revision == metas[1].revision
    assert len({meta.revision for meta in metas}) == 4
    assert metas[0].name == f"local/{model_folder.name}"
    assert metas[0].model_type == ["sparse"]
    assert metas[0].max_tokens == 60
