"""Forms of other systems, traces of the web, and what those ask who run a server."""

import pytest

from tests.serving.parts import Side, ask, serving_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_elasticsearchs_inference_gives_the_weight_of_each_token(serving):
    answer = ask(serving, "/_inference/sparse_embedding/my-elser", {"input": ["heart attack", "heart " * 20]}).json()
    assert answer == {
        "sparse_embedding": [
            {"is_truncated": False, "embedding": {"heart": 1.0, "attack": 1.0}},
            {"is_truncated": True, "embedding": {"heart": 1.0}},
        ]
    }


def test_qdrant_and_pinecone_get_indices_and_values(serving):
    terms = Side("document").terms
    (answer,) = ask(serving, "/embed_sparse/indices_values", {"inputs": "heart"}).json()
    assert answer == {"indices": [terms.index("heart")], "values": [1.0]}


def test_openais_address_refuses_dense_vectors_in_openais_words(serving):
    answer = ask(serving, "/v1/embeddings", {"input": "heart", "model": "toy"})
    assert answer.status_code == 422
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "encoding_format" in answer.json()["error"]["message"]


def test_openais_address_gives_sparse_vectors_where_they_are_asked_for(serving):
    answer = ask(serving, "/v1/embeddings", {"input": ["heart", "whale"], "encoding_format": "sparse"}).json()
    assert [entry["index"] for entry in answer["data"]] == [0, 1]
    assert answer["data"][0]["embedding"]["values"] == [1.0]
    assert answer["usage"]["total_tokens"] == 6  # [CLS] word [SEP], twice
    assert answer["model"] == "toy"


@pytest.mark.parametrize(
    ("sent", "kept"), [(TRACE, TRACE), ("00-zz-00-01", None), (TRACE.replace("4bf9", "4BF9"), None)]
)
def test_a_trace_of_the_web_is_kept_and_nothing_else(serving, sent, kept):
    for request in ({"inputs": "heart"}, {"inputs": []}):
        answer = ask(serving, "/embed_sparse", request, headers={"traceparent": sent})
        assert answer.headers.get("traceparent") == kept


def test_measures_count_requests_refusals_and_tokens():
    serving = serving_of()
    ask(serving, "/embed_sparse", {"inputs": "heart attack"})
    ask(serving, "/embed_sparse", {"inputs": ["heart"]})
    ask(serving, "/embed_sparse", {"inputs": []})
    lines = ask(serving, "/metrics", method="GET").text.splitlines()
    for line in (
        'te_request_count{method="single"} 1', 'te_request_count{method="batch"} 2',
        'te_request_success{method="batch"} 1',
        'te_request_failure{err="empty"} 1', "te_request_input_length_sum 7", "te_batch_next_size_count 2",
        "te_request_duration_count 3",
    ):  # fmt: skip
        assert line in lines
    for name in ("tokenization_duration", "queue_duration", "inference_duration"):
        assert f"te_request_{name}_count 2" in lines
    assert "# TYPE te_request_input_length histogram" in lines
    assert len(lines) == len(set(lines))
    serving.close()


def test_another_sites_name_for_this_machine_is_refused_where_only_this_machine_can_ask():
    serving = serving_of(local=True)
    for host, status in (("127.0.0.1:8080", 200), ("localhost", 200), ("[::1]:80", 200), ("evil.example:8080", 421)):
        assert ask(serving, "/health", method="GET", headers={"Host": host}).status_code == status
    serving.close()


def test_the_page_runs_and_fetches_nothing_of_others(serving):
    answer = ask(serving, "/", method="GET")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert ask(serving, "/page/..%2Fapp.py", method="GET").status_code == 404


def test_the_description_of_the_addresses_fetches_nothing(serving):
    page = ask(serving, "/docs", method="GET").text
    assert "/embed_sparse" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://localhost", "")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nope", 404), ("GET", "/embed_sparse", 405), ("POST", "/info", 405)]
)
def test_an_address_that_is_not_there_is_refused_in_the_same_form(serving, method, path, status):
    answer = ask(serving, path, {} if method == "POST" else None, method=method)
    assert answer.status_code == status
    assert answer.json()["error_type"] == "validation"


def test_a_server_that_cannot_encode_any_more_is_not_well():
    serving = serving_of()
    assert ask(serving, "/health", method="GET").json() == {"status": "ok"}
    serving.close()
    for path in ("/health", "/ping"):
        answer = ask(serving, path, method="GET")
        assert (answer.status_code, answer.json()["error_type"]) == (503, "unhealthy")


def test_a_refusal_at_openais_address_has_openais_form_wherever_it_comes_from():
    serving = serving_of(key="secret", payload_limit=10)
    for headers, status in (({}, 401), ({"Authorization": "Bearer secret"}, 413)):
        answer = ask(serving, "/v1/embeddings", {"input": "a heart"}, headers=headers)
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    serving.close()
