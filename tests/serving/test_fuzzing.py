"""Requests made of the OpenAPI schema, right and wrong ones: each is answered in words, with no fault of the server."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from splade.serving.app import inner
from tests.serving.parts import DOCUMENTS, served, serving_of, write

TRACES = ("Traceback", 'File "', "site-packages", "object at 0x")


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    """The operations of a server, by method and path."""
    folder = tmp_path_factory.mktemp("fuzzed")
    write(folder, DOCUMENTS)
    serving = serving_of(folder)
    schema = schemathesis.openapi.from_asgi("/openapi.json", served(serving))
    yield {f"{one.ok().method.upper()} {one.ok().path}": one.ok() for one in schema.get_all_operations()}
    serving.close()


def hold(operation, mode, n_requests):
    """Send requests of one kind, and hold each answer to what no request may break."""

    @settings(max_examples=n_requests, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(case=operation.as_strategy(mode))
    def is_answered(case):
        answer = case.call()
        assert answer.status_code < 500, answer.text
        assert not any(word in answer.text for word in TRACES)
        if answer.status_code >= 400:
            told = answer.json()["error"]
            assert told["message"] if isinstance(told, dict) else told

    is_answered()


def posts():
    """The addresses that take a body."""
    serving = serving_of()
    paths = inner(serving).openapi()["paths"]
    serving.close()
    return sorted(f"POST {path}" for path, methods in paths.items() if "post" in methods)


POSTS = posts()


def test_the_addresses_of_the_schema_are_fuzzed(operations):
    assert {name for name in operations if name.startswith("POST")} == set(POSTS)
    assert {"POST /embed_sparse", "POST /search", "POST /explain", "POST /rerank", "POST /v1/embeddings"} <= set(POSTS)


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("name", ["POST /embed_sparse", "POST /search"])
def test_a_few_requests_of_any_kind_are_answered(operations, name, mode):
    hold(operations[name], mode, 5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("name", POSTS)
def test_many_requests_of_any_kind_are_answered(operations, name, mode):
    hold(operations[name], mode, 60)
