"""OpenSearch and Elasticsearch against a strict fake of their interfaces: no real server is at hand here."""

import base64
import json
import logging

import numpy as np
import pytest

from splade.engines.conformance import check_engine
from splade.engines.places.rest.bodies import document_lines
from splade.engines.places.rest.elasticsearch import Elasticsearch
from splade.engines.places.rest.feature_field import scale_into, stored
from splade.engines.places.rest.opensearch import OpenSearch
from splade.engines.places.retries import Retries
from splade.engines.protocol import Documents, Queries
from splade.files import InputError
from splade.kernels.sparse import from_csr
from splade.records import SparseBatch
from tests.engines.places.rest.fake_searcher import FakeSearcher, nine_bits

VERSIONS = {"opensearch": "3.9.0", "elasticsearch": "9.2.1"}
ENGINES = {"opensearch": OpenSearch, "elasticsearch": Elasticsearch}


@pytest.fixture(params=list(ENGINES))
def fake(request):
    with FakeSearcher(request.param, VERSIONS[request.param]) as running:
        yield running


@pytest.fixture
def opensearch():
    with FakeSearcher("opensearch", "3.9.0") as running:
        yield running


def engine(fake, folder, waits=None, **settings):
    """The engine of ``fake``; it does not sleep between attempts, but appends to ``waits``."""
    made = ENGINES[fake.flavour](folder, **{"url": fake.url, **settings})
    made.retries = Retries(attempts=6, sleep=[].append if waits is None else waits.append)
    return made


def batch(ids, rows, width=50):
    """Rows of {term: weight}."""
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    columns = np.array([term for row in rows for term in sorted(row)], np.int32)
    weights = np.array([row[term] for row in rows for term in sorted(row)], np.float32)
    return SparseBatch(tuple(ids), from_csr(offsets, columns, weights, width), width)


def documents(*rows, read=lambda first: None, together=2):
    ids = [f"d{number}" for number in range(len(rows))]

    def batches(start):
        for first in range(start, len(rows), together):
            read(first)
            yield batch(ids[first : first + together], rows[first : first + together])

    return Documents(batches, 50, None, "encoder", {"collection": "rows"})


def scores(opened, query, k=10):
    (ranking,) = opened.search(Queries(batch(["q"], [query])), k)
    return dict(zip(ranking.doc_ids, ranking.scores.tolist(), strict=True))


@pytest.mark.parametrize(
    ("flavour", "settings", "tolerance"),
    [
        ("opensearch", {}, 2.0**-8),
        ("elasticsearch", {}, 2.0**-8),
        ("opensearch", {"form": "sparse_vector"}, 2.0**-8),
        ("opensearch", {"form": "sparse_vector", "approximate_threshold": 1, "ceiling_ingest": 8}, 0.02),
    ],
    ids=["opensearch", "elasticsearch", "plain segments", "approximate segments"],
)
def test_an_engine_on_a_server_keeps_the_contract(flavour, settings, tolerance, tmp_path):
    with FakeSearcher(flavour, VERSIONS[flavour]) as fake:
        prefix = iter(range(1000))
        of_folder = {}

        def make(folder):  # the checks share a server, and each has its own folder
            name = of_folder.setdefault(folder, f"check{next(prefix)}-")
            return engine(fake, folder, index=name, **settings)

        check_engine(make, tmp_path, tolerance=tolerance)


def test_what_feature_field_keeps_is_known_exactly():
    weights = np.random.default_rng(3).lognormal(0, 3, 5000).astype(np.float32)
    weights = np.concatenate([weights, np.array([1, 1.5, 3, 2.0**-126, 1e38, 1 + 2**-8, 1 + 2**-9], np.float32)])
    kept = stored(weights)
    assert kept.tolist() == [nine_bits(float(weight)) for weight in weights]
    assert ((weights - kept) / weights).max() < 2**-8


def test_scores_are_exactly_those_of_lucene(fake, tmp_path):
    rng = np.random.default_rng(5)
    rows = [{int(t): float(rng.lognormal()) for t in rng.choice(50, 12, False)} for _ in range(40)]
    query = {int(t): float(np.float32(rng.lognormal())) for t in rng.choice(50, 10, False)}
    found = scores(engine(fake, tmp_path).build(documents(*rows)), query, 40)
    for number, row in enumerate(rows):
        kept = {term: np.float32(nine_bits(float(np.float32(weight)))) for term, weight in row.items()}
        products = [np.float32(query[term]) * kept[term] for term in query.keys() & kept.keys()]
        assert found.get(f"d{number}", 0.0) == np.float32(sum(map(float, products)))


def test_a_query_weight_beyond_64_is_scaled_and_its_score_scaled_back(fake, tmp_path):
    opened = engine(fake, tmp_path).build(documents({1: 2.0, 3: 1.0}, {3: 0.5}))
    assert scores(opened, {1: 100.0, 3: 0.25}) == {"d0": 200.25, "d1": 0.125}
    assert scores(opened, {1: 64.0, 3: 1000.0}) == {"d0": 1128.0, "d1": 500.0}


def test_scales_are_powers_of_two():
    assert [scale_into(w) for w in (0.1, 64.0, 64.1, 128.0, 1000.0)] == [1.0, 1.0, 0.5, 0.5, 1 / 16]
    assert [scale_into(w, 16.0, fill=True) for w in (16.0, 8.1, 8.0, 3.0, 17.0)] == [1.0, 1.0, 2.0, 4.0, 0.5]


def test_pruning_of_tokens_is_off_in_the_mapping_and_in_each_query(tmp_path):
    for version, known in (("8.15.0", False), ("8.19.3", True), ("9.0.4", False), ("9.1.0", True)):
        with FakeSearcher("elasticsearch", version) as fake:
            opened = engine(fake, tmp_path / version).build(documents({1: 1.0, 2: 1.0}, {2: 1.0}))
            assert scores(opened, {1: 2.0, 2: 0.125}) == {"d0": 2.125, "d1": 0.125}
            (index,) = fake.indices.values()
            assert ("index_options" in index.vector) == known


def test_what_a_server_has_no_room_for_is_sent_again_and_nothing_is_there_twice(fake, tmp_path):
    waits = []
    fake.failures = [("DELETE", "", -1, {}), ("PUT", "", -1, {})]
    fake.failures += [("POST", "_bulk", 429, {"Retry-After": "7"}), ("POST", "_bulk", 503, {})]
    fake.failures += [("POST", "_bulk", -1, {}), ("POST", "_refresh", 504, {})]  # -1: done, and the answer is lost
    fake.refused = {"3": [429, 503, 503], "4": [429, 429]}
    rows = [{1: 1.0 + number} for number in range(6)]
    opened = engine(fake, tmp_path, waits).build(documents(*rows, together=6))
    assert scores(opened, {1: 1.0}) == {f"d{number}": 1.0 + number for number in range(6)}
    assert 7.0 in waits
    sent = [body.count(b'"_id"') for method, path, body in fake.requests if path.endswith("_bulk")]
    assert sent == [6, 6, 6, 6, 2, 1]  # of those that were refused, only they


def test_searches_that_a_server_has_no_room_for_are_asked_again(fake, tmp_path):
    opened = engine(fake, tmp_path).build(documents({1: 1.0}, {2: 2.0}))
    fake.failures = [("POST", "_msearch", 503, {"Retry-After": "1"}), ("POST", "_msearch", 0, {})]
    fake.refused = {"search": [429, 429, 503]}
    found = list(opened.search(Queries(batch(["q1", "q2"], [{1: 1.0}, {2: 1.0}])), 5))
    assert [list(ranking.doc_ids) for ranking in found] == [["d0"], ["d1"]]


def test_a_server_that_stays_busy_or_refuses_a_document_ends_the_build_in_words(fake, tmp_path):
    fake.refused = {"1": [429] * 9}
    with pytest.raises(InputError, match=r"1 of 2 documents were refused for now.*queue is full.*after 6 attempts"):
        engine(fake, tmp_path).build(documents({1: 1.0}, {1: 2.0}))
    fake.refused = {"1": [400]}
    with pytest.raises(InputError, match="refuses the document with number 1: 400"):
        engine(fake, tmp_path).build(documents({1: 1.0}, {1: 2.0}))
    opened = engine(fake, tmp_path).build(documents({1: 1.0}, {1: 2.0}))
    assert scores(opened, {1: 1.0}) == {"d0": 1.0, "d1": 2.0}


def test_requests_are_bounded_in_bytes_and_halved_where_a_server_takes_less(fake, tmp_path):
    rows = [{term: 1.0 for term in range(number % 40 + 1)} for number in range(40)]
    engine(fake, tmp_path, bulk_mb=0.001).build(documents(*rows, together=40))
    assert max(len(body) for _, path, body in fake.requests if path.endswith("_bulk")) <= 0.001 * 2**20
    fake.most_bytes = 800  # a proxy in front of it, say
    opened = engine(fake, tmp_path / "again", index="again-").build(documents(*rows, together=40))
    assert opened.n_docs == len(scores(opened, {0: 1.0}, 100)) == 40


def test_a_killed_ingest_goes_on_after_what_was_noted(fake, tmp_path):
    class Killed(BaseException):
        pass

    def stop(first):
        if first >= 6:
            raise Killed

    rows = [{1: 1.0 + number} for number in range(10)]
    killed = engine(fake, tmp_path)
    killed.noted = 4
    with pytest.raises(Killed):
        killed.build(documents(*rows, read=stop))
    read = []
    opened = engine(fake, tmp_path).build(documents(*rows, read=read.append))
    assert read[0] == 4
    assert len(scores(opened, {1: 1.0}, 100)) == opened.n_docs == 10
    assert engine(fake, tmp_path).places() == [opened.state.place]


def test_a_place_is_dropped_listed_and_known_by_its_build(fake, tmp_path):
    made = engine(fake, tmp_path, index="mine-", merge=True, replicas=2)
    opened = made.build(documents({1: 1.0}, {}))
    (name,) = fake.indices
    assert name == f"mine-{opened.state.place}"
    assert fake.indices[name].meta["splade"]["build"] == opened.state.build
    assert fake.indices[name].settings["number_of_replicas"] == 2
    assert fake.indices[name].settings["refresh_interval"] is None
    assert "merged" in fake.indices[name].settings
    facts = opened.facts()
    assert facts["version"].lower() == f"{fake.flavour} {fake.version}"
    fake.indices[name].meta["splade"]["build"] = "another"
    with pytest.raises(InputError, match="built by another command"):
        made.open()
    made.drop()
    assert made.places() == []


def test_settings_of_what_is_stored_build_it_again(opensearch, tmp_path):
    rows = [{1: 5.0}, {1: 4.0}]
    engine(opensearch, tmp_path).build(documents(*rows))
    vectors = engine(opensearch, tmp_path, form="sparse_vector", method_engine="lucene", n_postings=7)
    assert not vectors.is_built(documents(*rows))
    vectors.build(documents(*rows))
    (index,) = opensearch.indices.values()
    assert index.settings["sparse"] is True
    assert index.vector["method"] == {
        "name": "seismic",
        "engine": "lucene",
        "parameters": {"n_postings": 7, "quantization_ceiling_ingest": 6.25, "quantization_ceiling_search": 16.0},
    }  # a quarter above 5, the largest weight of the first documents


def test_weights_above_the_ceiling_are_told(opensearch, tmp_path, caplog):
    made = engine(opensearch, tmp_path, form="sparse_vector", ceiling_ingest=2)
    made.build(documents({1: 1.0}, {1: 2.0}, {1: 3.5}, {1: 4.5}))
    (said,) = [record.message for record in caplog.records if "ceiling_ingest" in record.message]
    assert "from number 2 on have weights up to 4.5" in said
    assert "engine.ceiling_ingest=4.5" in said


@pytest.mark.parametrize(("status", "said"), [(401, "does not know this user"), (403, "may not")])
def test_a_wrong_password_and_missing_rights_are_told(fake, tmp_path, monkeypatch, status, said):
    monkeypatch.setenv(ENGINES[fake.flavour].variable, "wrong")
    fake.authorization, fake.forbidden = "Basic other" if status == 401 else None, status == 403
    with pytest.raises(InputError, match=said) as raised:
        engine(fake, tmp_path, user="me").build(documents({1: 1.0}))
    assert "wrong" not in str(raised.value)


def test_secrets_are_sent_and_stand_in_no_message_log_or_file(fake, tmp_path, monkeypatch, caplog):
    secret = "s3cret-Pass"
    caplog.set_level(logging.DEBUG)
    (tmp_path / "password").write_text(secret + "\n")
    fake.authorization = "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()
    fake.failures = [("POST", "_bulk", 503, {})]
    made = engine(fake, tmp_path / "index", user="me", password_file=str(tmp_path / "password"))
    opened = made.build(documents({1: 1.0}))
    assert scores(opened, {1: 1.0}) == {"d0": 1.0}
    written = "".join(path.read_text(errors="replace") for path in (tmp_path / "index").rglob("*") if path.is_file())
    told = written + caplog.text + json.dumps(opened.facts()) + repr(made.store(tmp_path).connection.access)
    for form in (secret, fake.authorization.split()[1]):
        assert form not in told


def test_elasticsearch_takes_an_api_key_and_a_user_goes_before_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_API_KEY", "a2V5")
    with FakeSearcher("elasticsearch", "9.2.1", authorization="ApiKey a2V5") as fake:
        engine(fake, tmp_path).build(documents({1: 1.0}))
        with pytest.raises(InputError, match=r"engine.user=me: its password is missing.*ELASTICSEARCH_PASSWORD"):
            engine(fake, tmp_path, user="me").open()
    with pytest.raises(InputError, match="give one of them"):
        Elasticsearch(tmp_path, api_key_file="key", user="me")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "https://me:hidden@host:9200"}, "with a user or password in it"),
        ({"index": "Mine"}, "engine.index=Mine: expected lower-case"),
        ({"index": "*"}, "expected lower-case"),
        ({"form": "dense"}, "accepted are rank_features and sparse_vector"),
        ({"n_postings": 3}, "engine.n_postings=3: rank_features has none"),
        ({"form": "sparse_vector", "method_engine": "faiss"}, "accepted are lucene and native"),
        ({"form": "sparse_vector", "ceiling_search": 100}, "at most 64"),
        ({"shards": 0}, "engine.shards=0: expected at least 1"),
        ({"timeout": 0}, "engine.timeout=0"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_sent(settings, said, tmp_path):
    with pytest.raises(InputError, match=said) as raised:
        OpenSearch(tmp_path, **settings)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs engine.url"),
        ({"url": "ftp://host"}, "expected http://HOST:PORT"),
        ({"url": "http://host:1", "ca_file": "x.pem"}, "has no certificate"),
        ({"url": "https://127.0.0.1:1", "ca_file": "nowhere.pem"}, "no certificates in PEM form"),
        ({"url": "http://127.0.0.1:1"}, "no answer.*Start the server"),
        ({"url": "http://127.0.0.1:1", "user": "me"}, "password is missing"),
    ],
)
def test_a_server_that_cannot_be_reached_is_told(settings, said, tmp_path):
    made = OpenSearch(tmp_path, **settings)
    made.retries = Retries(attempts=4, sleep=lambda seconds: None)
    with pytest.raises(InputError, match=said):
        made.build(documents({1: 1.0}))


def test_documents_that_a_field_cannot_hold_are_refused_by_name(opensearch, tmp_path):
    with pytest.raises(InputError, match="'d1' has a weight of 1e-40"):
        engine(opensearch, tmp_path).build(documents({1: 1.0}, {1: 1e-40}))
    wide = Documents(lambda start: [batch(["a"], [{40_000: 1.0}], 50_000)], 50_000, None, "encoder", {})
    with pytest.raises(InputError, match=r"term id 40000.*form=rank_features"):
        engine(opensearch, tmp_path / "vectors", form="sparse_vector").build(wide)
    assert engine(opensearch, tmp_path / "features").build(wide).n_docs == 1


def test_weights_are_written_with_all_their_bits():
    weights = np.random.default_rng(1).lognormal(0, 5, 2000).astype(np.float32)
    ((_, lines),) = document_lines(7, batch(["x"], [dict(enumerate(weights.tolist()))], 2000))
    action, document = map(json.loads, lines.splitlines())
    assert action == {"index": {"_id": "7"}}
    read = np.array([document["vector"][str(term)] for term in range(2000)]).astype(np.float32)
    assert (read == weights).all()


@pytest.mark.parametrize(
    ("vector", "said"),
    [({"a.b": 1.0}, "dots"), ({"5": 0.0}, "positive"), ({"5": -1.0}, "positive"), ({"": 1.0}, "dots")],
)
def test_the_fake_refuses_what_the_real_ones_refuse(fake, tmp_path, vector, said):
    engine(fake, tmp_path).build(documents({1: 1.0}))
    (index,) = fake.indices.values()
    body = json.dumps({"index": {"_id": "9"}}) + "\n" + json.dumps({"number": 9, "vector": vector}) + "\n"
    (item,) = fake.bulk(index, body.encode())["items"]
    assert item["index"]["status"] == 400
    assert said in item["index"]["error"]["reason"]
