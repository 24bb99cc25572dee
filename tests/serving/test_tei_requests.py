"""Requests that clients of Text Embeddings Inference send, and the answers that they wait for."""

import pytest

from tests.serving.parts import Side, ask, serving_of

TABLE = [
    # name, request, status, kind of error or the number of lists
    ("a single text", {"inputs": "heart attack"}, 200, 1),
    ("a batch of texts", {"inputs": ["heart", "whale", ""]}, 200, 3),
    ("the ids of a single text", {"inputs": [2, 840, 3]}, 200, 1),
    ("the ids of several texts", {"inputs": [[2, 840, 3], [2252]]}, 200, 2),
    ("a text and the ids of another", {"inputs": ["heart", [840]]}, 200, 2),
    ("as many texts as a request may have", {"inputs": ["heart"] * 32}, 200, 32),
    ("a text that is cut by default", {"inputs": "heart " * 50}, 200, 1),
    ("a text that is cut because null is the default", {"inputs": "heart " * 50, "truncate": None}, 200, 1),
    ("a text that is cut at its left end", {"inputs": "heart " * 50, "truncation_direction": "left"}, 200, 1),
    ("the spelling of the direction in Rust", {"inputs": "heart", "truncation_direction": "Right"}, 200, 1),
    ("the side of queries", {"inputs": "heart", "prompt_name": "query"}, 200, 1),
    ("the side of documents", {"inputs": "heart", "prompt_name": "document"}, 200, 1),
    ("members of other addresses", {"inputs": "heart", "normalize": True, "dimensions": None}, 200, 1),
    ("an empty batch", {"inputs": []}, 400, "empty"),
    ("ids of nothing in a batch", {"inputs": [[840], []]}, 400, "empty"),
    ("too many texts", {"inputs": ["heart"] * 33}, 422, "validation"),
    ("a text that is too long and must not be cut", {"inputs": "heart " * 50, "truncate": False}, 422, "validation"),
    ("ids that are too many and must not be cut", {"inputs": [840] * 9, "truncate": False}, 422, "validation"),
    ("an id that is no token", {"inputs": [2, 123456789, 3]}, 422, "tokenizer"),
    ("an id below 0", {"inputs": [-1]}, 422, "tokenizer"),
    ("a number", {"inputs": 3}, 422, "validation"),
    ("nothing", {}, 422, "validation"),
    ("null", {"inputs": None}, 422, "validation"),
    ("ids that are truth values", {"inputs": [True]}, 422, "validation"),
    ("an object", {"inputs": {"text": "heart"}}, 422, "validation"),
    ("a prompt that is unknown", {"inputs": "heart", "prompt_name": "s2p"}, 422, "validation"),
    ("a truth value that is a text", {"inputs": "heart", "truncate": "yes"}, 422, "validation"),
    ("a list instead of an object", ["heart"], 422, "validation"),
]
IN_MS = ("x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time")


@pytest.mark.parametrize("path", ["/embed_sparse", "/"])
@pytest.mark.parametrize(("request_", "status", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_recorded_request_has_its_status_and_shape(serving, path, request_, status, expected):
    answer = ask(serving, path, request_)
    assert answer.status_code == status
    if status != 200:
        assert set(answer.json()) == {"error", "error_type"}
        assert answer.json()["error_type"] == expected
        return
    lists = answer.json()
    assert len(lists) == expected
    for entries in lists:
        assert all(set(entry) == {"index", "value"} and entry["value"] > 0 for entry in entries)
        assert [entry["index"] for entry in entries] == sorted({entry["index"] for entry in entries})


def test_an_answer_tells_its_times_in_milliseconds_and_what_it_read(serving):
    answer = ask(serving, "/embed_sparse", {"inputs": ["heart", "whales swim"]})
    assert all(answer.headers[name].isdigit() for name in IN_MS)
    assert answer.headers["x-compute-characters"] == str(len("heart") + len("whales swim"))
    n_tokens = sum(len(Side("document").reading().pieces(text)) for text in ("heart", "whales swim"))
    assert answer.headers["x-compute-tokens"] == str(n_tokens)
    assert answer.headers["x-compute-type"] == "cpu"


def test_text_and_ids_of_the_same_text_have_the_same_vector(serving):
    ids = [piece.id for piece in Side("document").reading().pieces("heart attack")]
    by_text, by_ids = ask(serving, "/embed_sparse", {"inputs": ["heart attack", ids]}).json()
    assert by_text == by_ids == [{"index": term, "value": 1.0} for term in sorted(ids[1:-1])]


def test_a_text_is_cut_at_the_end_that_is_named(serving):
    words = ["heart", "attack", "whale", "swims", "prey", "lung", "bone", "skin"]
    both = [
        ask(serving, "/embed_sparse", {"inputs": " ".join(words), "truncation_direction": end}).json()[0]
        for end in ("right", "left")
    ]
    first, last = ({entry["index"] for entry in entries} for entries in both)
    reading = Side("document").reading()
    ids = [piece.id for piece in reading.pieces(" ".join(words), special=False)]
    assert first == set(ids[:6])  # eight tokens are read, two of them special ones
    assert last == set(ids[-6:])


@pytest.mark.parametrize(
    ("header", "status"),
    [({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "secret"}, 401),
     ({"Authorization": "Bearer secret"}, 200), ({"Authorization": "bearer secret"}, 200)],
)  # fmt: skip
def test_where_a_key_is_set_it_has_to_be_brought(header, status):
    serving = serving_of(key="secret")
    answer = ask(serving, "/embed_sparse", {"inputs": "heart"}, headers=header)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "secret" not in answer.text
    serving.close()


@pytest.mark.parametrize("path", ["/health", "/ping", "/metrics", "/docs", "/"])
def test_health_measures_and_the_page_are_there_without_a_key(path):
    serving = serving_of(key="secret")
    assert ask(serving, path, method="GET").status_code == 200
    assert ask(serving, "/info", method="GET").status_code == 401
    serving.close()


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not():
    serving = serving_of(payload_limit=100)

    async def parts():
        for _ in range(20):
            yield b'"12345678'

    for content in (b"x" * 101, parts()):
        answer = ask(serving, "/embed_sparse", content=content)
        assert (answer.status_code, answer.json()["error_type"]) == (413, "validation")
    assert ask(serving, "/embed_sparse", {"inputs": "heart"}).status_code == 200
    serving.close()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"inputs": NaN}', b'{"inputs": "\\ud800"}', b"[" * 5000])
def test_what_is_no_request_is_refused_in_words(serving, content):
    answer = ask(serving, "/embed_sparse", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error_type"] in ("validation", "tokenizer")
    assert "Traceback" not in answer.text


def test_tokens_are_told_with_their_characters_and_spelt_again(serving):
    (tokens,) = ask(serving, "/tokenize", {"inputs": "heart attacks"}).json()
    assert [tokens[0], tokens[-1]] == [
        {"id": 2, "text": "[CLS]", "special": True, "start": None, "stop": None},
        {"id": 3, "text": "[SEP]", "special": True, "start": None, "stop": None},
    ]
    assert all("heart attacks"[token["start"] : token["stop"]] == token["text"] for token in tokens[1:-1])
    ids = [token["id"] for token in tokens[:-2]]
    assert ask(serving, "/decode", {"ids": ids}).json() == ["heart attack"]
    assert ask(serving, "/decode", {"ids": [ids], "skip_special_tokens": False}).json() == ["[CLS] heart attack"]
    assert len(ask(serving, "/tokenize", {"inputs": ["a"], "add_special_tokens": False}).json()[0]) == 1
    assert ask(serving, "/decode", {"ids": []}).status_code == 400
    assert ask(serving, "/decode", {"ids": [987654]}).json()["error_type"] == "tokenizer"


def test_texts_are_ranked_by_inner_products(serving):
    asked = {"query": "heart attack", "texts": ["a whale", "heart attack", "heart", "attack"], "return_text": True}
    raw = ask(serving, "/rerank", asked | {"raw_scores": True}).json()
    assert [(hit["index"], hit["score"], hit["text"]) for hit in raw] == [
        (1, 2.0, "heart attack"), (2, 1.0, "heart"), (3, 1.0, "attack"), (0, 0.0, "a whale"),
    ]  # fmt: skip
    below_one = ask(serving, "/rerank", asked).json()
    assert [hit["score"] for hit in below_one] == pytest.approx([2 / 3, 1 / 2, 1 / 2, 0])
    assert ask(serving, "/rerank", {"query": "heart", "texts": []}).json()["error_type"] == "empty"


def test_info_tells_the_model_and_the_limits(serving):
    told = ask(serving, "/info", method="GET").json()
    assert told["model_id"] == "models/toy"
    assert told["model_type"] == {"embedding": {"pooling": "splade"}}
    names = ("max_client_batch_size", "max_concurrent_requests", "max_batch_tokens", "payload_limit")
    assert [told[name] for name in names] == [32, 512, 16384, 2_000_000]
    assert told["max_input_length"] == 8
    assert told["model_sha"] == "f" * 32


def test_info_tells_the_length_of_documents_the_side_of_a_client_that_names_none():
    serving = serving_of()
    serving.first.sides.encoder("query").max_length = 3
    assert ask(serving, "/info", method="GET").json()["max_input_length"] == 8
    serving.close()
