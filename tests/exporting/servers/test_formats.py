"""Files for servers: read back as they are kept, refused where a server would, loaded into fakes, gone on with."""

import gzip
import json

import numpy as np
import pytest

from splade.conformance import check_export_target
from splade.exporting.checking import check_export, report
from splade.exporting.servers.elasticsearch import Elasticsearch
from splade.exporting.servers.milvus import Milvus
from splade.exporting.servers.opensearch import OpenSearch
from splade.exporting.servers.qdrant import Qdrant
from splade.exporting.servers.vespa import Vespa
from splade.exporting.writing import Given, Named, export, staging
from splade.files import InputError
from splade.kernels.sparse import from_csr
from splade.records import SparseBatch
from tests.engines.places.rest.fake_searcher import FakeSearcher, nine_bits

MAKE = {"opensearch": OpenSearch, "elasticsearch": Elasticsearch, "milvus": Milvus, "qdrant": Qdrant, "vespa": Vespa}
WIDTH = 30


def batch(*texts, width=WIDTH):
    offsets = np.cumsum([0, *(len(vector) for _, vector in texts)])
    columns = [column for _, vector in texts for column in vector]
    weights = [weight for _, vector in texts for weight in vector.values()]
    return SparseBatch(tuple(id for id, _ in texts), from_csr(offsets, columns, np.float32(weights), width), width)


def vectors(name, n, seed, largest=3.0):
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        terms = np.sort(rng.choice(WIDTH, rng.integers(0, 9), replace=False))
        found.append((f'{name} "{number}"\\é', {int(t): float(np.float32(rng.uniform(0.001, largest))) for t in terms}))
    found[1] = (found[1][0], {})
    return found


DOCS, ASKED = vectors("d", 13, 1), vectors("q", 6, 2)
NAMED = [
    Named("opensearch", None, {}),
    Named("opensearch", None, {"form": "sparse_vector", "method_engine": "lucene", "shard_docs": 5, "gzip": True}),
    Named("opensearch", None, {"form": "sparse_vector", "approximate_threshold": 10}),
    Named("elasticsearch", None, {"shard_docs": 4}),
    Named("milvus", None, {"shard_docs": 4}),
    Named("qdrant", None, {"batch": 3, "shard_docs": 7}),
    Named("vespa", None, {"gzip": True}),
]


def given(docs=DOCS, stop_at=None):
    passes = []

    def batches():
        passes.append(1)
        for start in range(0, len(docs), 3):
            if stop_at is not None and start >= stop_at and len(passes) == 2:  # the first pass counts
                raise KeyboardInterrupt
            yield batch(*docs[start : start + 3])

    return Given(batches, None, lambda: list(map(str, range(WIDTH))), False, "", {"collection": "here"})


def write(folder, name, *, docs=DOCS, asked=ASKED, stop_at=None, **arguments):
    chosen = Named(name, MAKE[name](**arguments), arguments)
    return export(chosen, given(docs, stop_at), {"": lambda width: [batch(*asked, width=width)]}, folder)


def make(name, arguments):
    return MAKE[name](**arguments)


def lines(path):
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.splitlines()]


@pytest.fixture
def fakes():
    made = []
    yield lambda *told: made.append(FakeSearcher(*told)) or made[-1]
    for fake in made:
        fake.server.server_close()


@pytest.mark.parametrize("chosen", NAMED, ids=lambda chosen: f"{chosen.name} {chosen.arguments}")
def test_files_are_read_back_as_the_server_keeps_them(tmp_path, chosen):
    manifest = write(tmp_path / "out", chosen.name, **chosen.arguments)
    assert check_export(tmp_path / "out", make) == manifest
    n_empty = sum(not vector for _, vector in DOCS)
    assert (manifest["documents"]["n_texts"], manifest["documents"]["n_empty"]) == (13, n_empty)
    assert manifest["load"]


@pytest.mark.parametrize("name", list(MAKE))
def test_targets_keep_the_contract(tmp_path, name):
    check_export_target(MAKE[name](), tmp_path)


def test_the_loss_that_is_stated_is_that_of_nine_bits(tmp_path):
    told = write(tmp_path / "out", "elasticsearch")
    losses = [1 - nine_bits(weight) / weight for _, vector in DOCS for weight in vector.values()]
    assert told["documents"]["loss"]["mean"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert told["documents"]["loss"]["largest"] == pytest.approx(max(losses), rel=1e-5)
    assert told["documents"]["loss"]["largest"] < 2**-8
    assert told["queries"][""]["loss"] == {"mean": 0.0, "largest": 0.0}
    for name in ("milvus", "qdrant", "vespa"):
        assert write(tmp_path / name, name)["documents"]["loss"]["largest"] == 0.0
    assert "0.0000% at most" in report(write(tmp_path / "native", "opensearch", **NATIVE))[1]


NATIVE = {"form": "sparse_vector", "method_engine": "native"}


def test_the_ceiling_of_quantisation_is_the_largest_weight(tmp_path):
    largest = max(weight for _, vector in DOCS for weight in vector.values())
    told = write(tmp_path / "out", "opensearch", form="sparse_vector", approximate_threshold=10)
    method = json.loads((tmp_path / "out" / "index.json").read_text())["mappings"]["properties"]["vector"]["method"]
    assert method["parameters"]["quantization_ceiling_ingest"] == pytest.approx(largest, rel=1e-6)
    assert told["documents"]["loss"]["mean"] > 2**-8  # a segment of 10 documents is searched in 8 bits
    steps = np.array([weight for _, vector in DOCS for weight in vector.values()]) / largest * 255
    lost = np.abs(np.rint(steps) - steps) / steps
    assert told["documents"]["loss"]["mean"] == pytest.approx(lost.mean(), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "version", "arguments"),
    [
        ("opensearch", "3.9.0", {}),
        ("opensearch", "3.9.0", {"form": "sparse_vector", "shard_docs": 5, "gzip": True}),
        ("elasticsearch", "9.2.0", {}),
        ("elasticsearch", "8.15.0", {"index_options": False}),
    ],
)
def test_what_is_loaded_into_a_server_scores_as_the_manifest_says(fakes, tmp_path, name, version, arguments):
    asked = [*ASKED, ("heavy", {3: 200.0, 7: 1.5})]
    write(tmp_path / "out", name, asked=asked, **arguments)
    fake = fakes(name, version)
    fake.make("index", json.loads((tmp_path / "out" / "index.json").read_text()))
    index = fake.indices["index"]
    for path in sorted((tmp_path / "out").glob("docs*")):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert fake.bulk(index, content)["errors"] is False
    index.seen.update(index.written)
    asked = dict(asked)
    for record in lines(tmp_path / "out" / "queries.jsonl"):
        vector = asked[record["id"]]
        if not vector:
            assert record["search"] is None
            continue
        answer = fake.search(index, record["search"])["hits"]["hits"]
        found = {hit["fields"]["number"][0]: hit["_score"] / record["scale"] for hit in answer}
        for number, (_, document) in enumerate(DOCS):
            expected = sum(weight * nine_bits(document[term]) for term, weight in vector.items() if term in document)
            assert found.get(number, 0.0) == pytest.approx(expected, rel=1e-6)
    assert record["scale"] == (0.25 if "form" not in arguments else 0.0625)  # 200 is brought to at most 64, or 16


def test_milvus_has_rows_of_full_vectors_and_names_the_others(tmp_path):
    write(tmp_path / "out", "milvus")
    rows = json.loads((tmp_path / "out" / "docs.json").read_text())["rows"]
    assert [row["doc_id"] for row in rows] == [id for id, vector in DOCS if vector]
    assert [row["id"] for row in rows] == [number for number, (_, vector) in enumerate(DOCS) if vector]
    assert {int(term): weight for term, weight in rows[0]["vector"].items()} == pytest.approx(DOCS[0][1])
    left_out = lines(tmp_path / "out" / "left_out.jsonl")
    assert [(row["id"], row["doc_id"]) for row in left_out] == [(n, id) for n, (id, v) in enumerate(DOCS) if not v]
    write(tmp_path / "none", "milvus", docs=[("a", {}), ("b", {})])
    assert json.loads((tmp_path / "none" / "docs.json").read_text()) == {"rows": []}


def test_qdrant_has_requests_of_points(tmp_path):
    write(tmp_path / "out", "qdrant", batch=5)
    requests = lines(tmp_path / "out" / "points.ndjson")
    assert [len(request["points"]) for request in requests] == [5, 5, 3]
    points = [point for request in requests for point in request["points"]]
    assert [(point["id"], point["payload"]["doc_id"]) for point in points] == [
        (n, id) for n, (id, _) in enumerate(DOCS)
    ]
    for point, (_, vector) in zip(points, DOCS, strict=True):
        assert set(point["vector"]) == ({"splade"} if vector else set())
        if vector:
            found = dict(zip(point["vector"]["splade"]["indices"], point["vector"]["splade"]["values"], strict=True))
            assert found == pytest.approx(vector)


def test_vespa_has_impacts_to_search_and_weights_to_score(tmp_path):
    docs = [("a", {2: 2**-8, 5: 1.25}), ("b", {})]
    write(tmp_path / "out", "vespa", docs=docs, asked=[("q", {5: 0.5, 7: 2**-9})])
    assert lines(tmp_path / "out" / "feed.jsonl") == [
        {
            "put": "id:splade:splade::0",  # .39 hundredths are no impact, and count in the tensor
            "fields": {"doc_id": "a", "impacts": {"5": 125}, "vector": {"cells": {"2": 0.00390625, "5": 1.25}}},
        },
        {"put": "id:splade:splade::1", "fields": {"doc_id": "b"}},
    ]
    (query,) = lines(tmp_path / "out" / "queries.jsonl")
    assert query["search"]["terms"] == "{5:50}"
    assert query["search"]["input.query(q)"] == "{{t:5}:0.5,{t:7}:0.001953125}"
    assert "{targetHits: 1000}wand(impacts, @terms)" in query["search"]["yql"]
    schema = (tmp_path / "out" / "application" / "schemas" / "splade.sd").read_text()
    for field in ("impacts type weightedset<int>", "vector type tensor<float>(t{})", "query(q) * attribute(vector)"):
        assert field in schema
    assert schema.count("{") == schema.count("}")


@pytest.mark.parametrize("name", list(MAKE))
def test_an_interrupted_export_goes_on_and_ends_the_same(tmp_path, name):
    write(tmp_path / "whole", name, shard_docs=2)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", name, shard_docs=2, stop_at=6)
    assert not (tmp_path / "out").exists()
    assert list(staging(tmp_path / "out").rglob("*00001*"))
    write(tmp_path / "out", name, shard_docs=2)

    def content(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert content(tmp_path / "out") == content(tmp_path / "whole")


SPOILT = [
    ("opensearch", "docs.ndjson", '"vector":{"', '"vector":{"a.b":1,"', "is no term id"),
    (
        "opensearch",
        "docs.ndjson",
        '{"index":{"_id":"0"}}',
        '{"index":{"_id":"7"}}',
        "expected the action of document 0",
    ),
    ("elasticsearch", "docs.ndjson", '"vector":{"', '"vector":{"29":0,"', "not a number above 0"),
    ("elasticsearch", "docs.ndjson", '"vector":{"', '"vector":{"29":-1.5,"', "not a number above 0"),
    ("elasticsearch", "index.json", '"prune": false', '"prune": true', "not that of these documents"),
    ("milvus", "docs.json", '"vector":{', '"vector":{},"x":{', "not empty"),
    ("qdrant", "points.ndjson", '"indices":[', '"indices":[3,', "as many values as indices"),
    ("vespa", "feed.jsonl", '"impacts":{', '"impacts":{"99":1,', "impacts are not those"),
]


@pytest.mark.parametrize(("name", "file", "before", "after", "said"), SPOILT)
def test_what_a_server_would_refuse_or_read_otherwise_is_told_with_its_line(tmp_path, name, file, before, after, said):
    write(tmp_path / "out", name)
    path = tmp_path / "out" / file
    path.write_text(path.read_text().replace(before, after, 1))
    target = MAKE[name]()
    with pytest.raises(InputError, match=said) as raised:
        list(target.read_documents(tmp_path / "out", list(map(str, range(WIDTH)))))
    assert file in str(raised.value)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("opensearch", {"form": "dense"}, "export.form=dense"),
        ("opensearch", {"n_postings": 5}, "export.n_postings=5: rank_features has none"),
        ("opensearch", {"hits": 20_000}, "export.hits=20000"),
        ("milvus", {"hits": 0}, "export.hits=0"),
        ("qdrant", {"batch": 0}, "export.batch=0"),
        ("vespa", {"quantization_factor_query": 0}, "export.quantization_factor_query=0"),
        ("vespa", {"shard_docs": 0}, "export.shard_docs=0"),
    ],
)
def test_settings_out_of_range_are_refused(name, arguments, said):
    with pytest.raises(InputError, match=said):
        MAKE[name](**arguments)


def test_documents_that_a_server_cannot_hold_are_refused(tmp_path):
    with pytest.raises(InputError, match="at most 32766 bytes"):
        write(tmp_path / "out", "elasticsearch", docs=[("x" * 40_000, {1: 1.0})])
    with pytest.raises(InputError, match="has a weight of 1e-40"):
        write(tmp_path / "out", "opensearch", docs=[("x", {1: 1e-40})])
    with pytest.raises(InputError, match="Take a smaller factor"):
        write(tmp_path / "out", "vespa", docs=[("x", {1: 1e9})])
    with pytest.raises(InputError, match="at most 65535 bytes"):
        write(tmp_path / "out", "milvus", docs=[("x" * 70_000, {1: 1.0})])


@pytest.mark.slow  # their import takes seconds
def test_qdrants_own_types_take_the_points_and_the_searches(tmp_path):
    models = pytest.importorskip("qdrant_client.models")
    write(tmp_path / "out", "qdrant", batch=5)
    for request in lines(tmp_path / "out" / "points.ndjson"):
        for point in models.PointsList(**request).points:
            assert point.id < len(DOCS)
            assert not point.vector or isinstance(point.vector["splade"], models.SparseVector)
    searches = [record["search"] for record in lines(tmp_path / "out" / "queries.jsonl") if record["search"]]
    assert all(isinstance(models.QueryRequest(**search).query, models.SparseVector) for search in searches)
    models.CreateCollection(**json.loads((tmp_path / "out" / "collection.json").read_text()))
