"""Searches and explanations over HTTP: hits, texts, terms with their characters, and words for what cannot be."""

import asyncio
import threading

import pytest
from scipy.sparse import csr_matrix

from splade.dense.index import DenseIndex, in_matrix
from splade.engines.dense import OpenedDense
from splade.engines.protocol import Queries
from splade.files import InputError
from splade.indexing import InvertedIndex
from splade.records import Text
from splade.serving.system import Parts, Standing, System, folder_state
from splade.workflow.querying.encoding import DenseQueryEncoder, QueryEncoder
from tests.serving.parts import DOCUMENTS, Side, ask, client, index_of, parts_in, serving_of, write


def test_hits_have_ids_scores_and_texts_best_first(serving):
    answer = ask(serving, "/search", {"query": "heart attack", "k": 10}).json()
    assert [(hit["id"], hit["score"], hit["text"]) for hit in answer["hits"]] == [
        ("d1", 2.0, DOCUMENTS["d1"]),
        ("d2", 1.0, DOCUMENTS["d2"]),
    ]
    assert (answer["engine"], answer["strategy"], answer["n_docs"]) == ("inverted", "auto", 4)
    assert answer["time_ms"].keys() == {"tokenization", "queue", "inference", "search", "total"}


def test_texts_are_left_out_where_they_are_not_wanted(serving):
    assert ask(serving, "/search", {"query": "heart", "k": 1, "text": False}).json()["hits"][0].keys() == {
        "id",
        "score",
    }


def test_a_vector_in_the_terms_of_the_index_is_a_query(serving):
    term = Side("query").terms.index("whale")
    answer = ask(serving, "/search", {"query": {"indices": [term], "values": [2.5]}}).json()
    assert {(hit["id"], hit["score"]) for hit in answer["hits"]} == {("d2", 2.5), ("d3", 2.5)}


def test_a_filter_names_the_documents_that_may_be_found(serving):
    found = ask(serving, "/search", {"query": "heart", "filter": ["d2", "d3"]}).json()["hits"]
    assert [hit["id"] for hit in found] == ["d2"]
    assert ask(serving, "/search", {"query": "heart", "filter": []}).json()["hits"] == []


@pytest.mark.parametrize("strategy", ["auto", "exhaustive", "block_max", "approximate", "two_step"])
def test_a_request_may_name_its_strategy(serving, strategy):
    answer = ask(serving, "/search", {"query": "heart attack", "strategy": strategy}).json()
    assert [hit["id"] for hit in answer["hits"]] == ["d1", "d2"]
    assert answer["strategy"] == strategy


def test_a_recall_means_approximate_search(serving):
    assert ask(serving, "/search", {"query": "heart", "recall": 0.9}).json()["strategy"] == "approximate"


def test_a_query_without_terms_finds_nothing(serving):
    assert ask(serving, "/search", {"query": "", "explain": True}).json()["hits"] == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"query": "heart", "k": 1001}, "1000"),
        ({"query": "heart", "k": 0}, "k"),
        ({"query": "heart", "top": 3}, "top"),
        ({"query": "heart", "filter": ["nowhere"]}, "nowhere"),
        ({"query": "heart", "strategy": "os.system"}, "strategy"),
        ({"query": "heart", "strategy": "exhaustive", "recall": 0.9}, "approximate"),
        ({"query": "heart", "system": "other"}, "default"),
        ({"query": {"indices": [1, 2], "values": [1.0]}}, "2 indices and 1 values"),
        ({"query": {"indices": [3000], "values": [1.0]}}, "0 to 2999"),
        ({"query": {"indices": [7, 7], "values": [1.0, 1.0]}}, "twice"),
        ({"query": {"indices": [7], "values": [-1.0]}}, "greater than 0"),
        ({"query": {"indices": [7], "values": [1e-60]}}, "above 0"),
        ({"k": 3}, "query"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_words(serving, request_, words):
    answer = ask(serving, "/search", request_)
    assert (answer.status_code, answer.json()["error_type"]) == (422, "validation")
    assert words in answer.json()["error"]


def test_the_terms_of_a_hit_add_up_to_its_score_and_name_their_characters(serving):
    answer = ask(serving, "/search", {"query": "a heart attack", "explain": True}).json()
    for hit in answer["hits"]:
        assert sum(term["product"] for term in hit["terms"]) == pytest.approx(hit["score"], abs=1e-5)
    best, whale = answer["hits"][0], answer["hits"][1]
    for term in best["terms"]:
        assert term["query_own"] is term["document_own"] is True
        ((start, stop),) = term["document_spans"]
        assert best["text"][start:stop] == term["token"]
        ((start, stop),) = term["query_spans"]
        assert "a heart attack"[start:stop] == term["token"]
    assert {term["token"] for term in whale["terms"]} == {"a", "heart"}
    assert whale["missing"] == ["attack"]
    assert {term["token"]: term["weight"] for term in answer["query"]["terms"]} == dict.fromkeys(
        ["a", "attack", "heart"], 1.0
    )


def test_a_given_vector_is_explained_without_its_text(serving):
    term = Side("query").terms.index("whale")
    answer = ask(serving, "/search", {"query": {"indices": [term], "values": [2.5]}, "explain": True}).json()
    assert answer["query"]["text"] is None
    (told,) = answer["hits"][0]["terms"]
    assert (told["token"], told["query_own"], told["product"]) == ("whale", None, 2.5)


def test_characters_in_a_title_are_told_apart_from_those_in_the_text(tmp_path):
    lines = ['{"_id": "t1", "title": "A whale", "text": "swims in the sea"}']
    index_of({"t1": "A whale swims in the sea"}).save(tmp_path)
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    serving = serving_of(tmp_path)
    (hit,) = ask(serving, "/search", {"query": "whale swims", "explain": True}).json()["hits"]
    assert (hit["title"], hit["text"]) == ("A whale", "swims in the sea")
    places = {term["token"]: (term["title_spans"], term["document_spans"]) for term in hit["terms"]}
    assert places["whale"] == ([[2, 7]], [])
    ((start, stop),) = next(text for title, text in places.values() if not title)
    assert "swims".startswith(hit["text"][start:stop])
    serving.close()


def test_any_two_texts_are_explained(serving):
    told = ask(serving, "/explain", {"query": "heart attack", "document": "attack of the whale"}).json()
    assert [(term["token"], term["product"]) for term in told["terms"]] == [("attack", 1.0)]
    assert told["score"] == 1.0
    assert {term["token"] for term in told["missing_in_document"]} == {"heart"}
    assert {term["token"] for term in told["query"]["terms"]} == {"heart", "attack"}
    alone = ask(serving, "/explain", {"document": "whale"}).json()
    assert [term["token"] for term in alone["document"]["terms"]] == ["whale"]
    assert ask(serving, "/explain", {}).status_code == 422


def test_a_server_without_an_index_says_so():
    serving = serving_of()
    answer = ask(serving, "/search", {"query": "heart"})
    assert (answer.status_code, answer.json()["error_type"]) == (424, "backend")
    assert ask(serving, "/embed_sparse", {"inputs": "heart"}).status_code == 200
    serving.close()


def test_an_index_that_is_replaced_is_taken_over_and_no_request_is_lost(tmp_path):
    entered, let_go = threading.Event(), threading.Event()
    gates = [lambda: (entered.set(), let_go.wait())]
    write(tmp_path, DOCUMENTS)
    serving = serving_of(tmp_path, gate=lambda: gates.pop()() if gates else None)
    system = serving.first
    system._state = lambda: folder_state(tmp_path)
    system._seen = system._state()

    async def while_it_is_replaced():
        async with client(serving) as connection:
            early = asyncio.create_task(connection.post("/search", json={"query": "whale"}))
            await asyncio.get_running_loop().run_in_executor(None, entered.wait)
            write(tmp_path, {"n1": "a new whale"})
            assert system.refresh()
            let_go.set()
            late = await connection.post("/search", json={"query": "whale"})
            return (await early).json(), late.json()

    early, late = asyncio.run(while_it_is_replaced())
    assert {hit["id"] for hit in early["hits"]} == {"d2", "d3"}
    assert early["generation"] == 1
    assert ([hit["id"] for hit in late["hits"]], late["generation"]) == (["n1"], 2)
    assert not system.refresh()
    serving.close()


def test_an_index_that_cannot_be_opened_leaves_the_one_before(tmp_path, caplog):
    write(tmp_path, DOCUMENTS)
    system = System("default", None, lambda: parts_in(tmp_path), lambda: folder_state(tmp_path), place=tmp_path)
    for path in (tmp_path / "inverted_index").iterdir():
        path.write_bytes(b"")
    assert not system.refresh()
    assert system.standing is not None
    assert system.standing.opened.n_docs == 4
    assert system.problem in caplog.text
    matrix = csr_matrix([[1.0] + [0.0] * 2999])
    InvertedIndex.from_csr(matrix, ["x"], fingerprint="0" * 32).save(tmp_path)
    assert not system.refresh()
    assert "made by the encoder" in system.problem
    write(tmp_path, {"n1": "whale"})
    assert system.refresh()
    assert (system.problem, system.standing.generation) == ("", 2)


def test_a_queue_that_is_full_refuses_with_the_time_to_wait():
    entered, let_go = threading.Event(), threading.Event()
    gates = [lambda: (entered.set(), let_go.wait())]
    serving = serving_of(gate=lambda: gates.pop()() if gates else None, max_concurrent_requests=1)

    async def both():
        async with client(serving) as connection:
            first = asyncio.create_task(connection.post("/embed_sparse", json={"inputs": "heart"}))
            await asyncio.get_running_loop().run_in_executor(None, entered.wait)
            refused = await connection.post("/embed_sparse", json={"inputs": "heart"})
            health = await connection.get("/health")
            let_go.set()
            return await first, refused, health

    first, refused, health = asyncio.run(both())
    assert (first.status_code, health.status_code) == (200, 200)
    assert (refused.status_code, refused.json()["error_type"]) == (429, "overloaded")
    assert int(refused.headers["Retry-After"]) >= 1
    assert ask(serving, "/embed_sparse", {"inputs": "heart"}).status_code == 200
    serving.close()


def test_a_request_is_refused_when_its_deadline_passes_before_the_model_is_done():
    entered, let_go = threading.Event(), threading.Event()
    serving = serving_of(gate=lambda: (entered.set(), let_go.wait()), deadline_seconds=0.001)
    answer = ask(serving, "/embed_sparse", {"inputs": "heart"})
    assert (answer.status_code, answer.json()["error_type"]) == (429, "overloaded")
    assert "deadline" in answer.json()["error"]
    let_go.set()
    serving.close()


def test_a_model_that_fails_is_told_without_its_trace(caplog):
    def fail():
        raise RuntimeError("CUDA error at 0xdeadbeef in /secret/model.py")

    serving = serving_of(gate=fail)
    answer = ask(serving, "/embed_sparse", {"inputs": "heart"})
    assert (answer.status_code, answer.json()["error_type"]) == (424, "backend")
    assert "secret" not in answer.text
    serving.close()


def test_searches_after_a_search_that_is_over_find_the_engine_as_it_was(serving):
    standing = serving.standing()
    batch = Side("query").encode_tokens(Side("query").reading().batch(["whale"]))
    (ranking,) = standing.opened.search(Queries(batch), 3)
    assert {hit["id"] for hit in ask(serving, "/search", {"query": "whale"}).json()["hits"]} == set(ranking.doc_ids)


class Elsewhere:
    """An engine on a server that is gone."""

    takes = "sparse"
    n_docs, vocab_size, fingerprint, metadata, path, vocabulary = 3, 3000, "f" * 32, {}, None, None

    def search(self, queries, k, **how):
        raise InputError("https://user:secret@milvus:19530: no answer")


def elsewhere(opened, asking):
    """A server of another engine than our inverted index."""
    serving = serving_of()
    serving.first._open, serving.first.standing = (lambda: None), Standing(Parts(opened, asking, None), 1)
    return serving


def test_another_engine_that_fails_is_told_without_its_address(caplog):
    opened = Elsewhere()
    serving = elsewhere(opened, QueryEncoder(Side("query"), opened))
    answer = ask(serving, "/search", {"query": "heart"})
    assert (answer.status_code, answer.json()["error_type"]) == (424, "backend")
    assert "milvus" not in answer.text
    assert "milvus" in caplog.text
    for wish in ({"filter": ["d1"]}, {"strategy": "auto"}, {"recall": 0.5}, {"explain": True}):
        answer = ask(serving, "/search", {"query": "heart"} | wish)
        assert answer.status_code == (424 if "explain" in wish else 422)
    serving.close()


def test_dense_vectors_are_searched_at_the_same_address():
    encoder = Side("document")
    matrix = in_matrix(encoder.encode_all([Text(id, text) for id, text in DOCUMENTS.items()])).matrix
    opened = OpenedDense(DenseIndex.from_matrix(matrix, list(DOCUMENTS), fingerprint="f" * 32, metadata={}))
    serving = elsewhere(opened, DenseQueryEncoder(Side("query"), opened))
    hits = ask(serving, "/search", {"query": "heart attack", "k": 2}).json()["hits"]
    assert [(hit["id"], hit["score"]) for hit in hits] == [("d1", 2.0), ("d2", 1.0)]
    assert ask(serving, "/search", {"query": "heart", "explain": True}).status_code == 422
    assert ask(serving, "/search", {"query": {"indices": [1], "values": [1.0]}}).status_code == 422
    serving.close()
