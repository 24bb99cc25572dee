"""The arithmetic that the fake server scores by, against Lucene's own in Anserini's jar."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from splade.engines.places.rest.feature_field import LARGEST_QUERY, SMALLEST
from tests.engines.places.rest.fake_searcher import FakeSearcher

SOURCE = Path(__file__).with_name("FeatureFieldScores.java")


def jar():
    """Anserini's jar; None where there is none, or no Java."""
    if shutil.which("java") is None:
        return None
    if named := os.environ.get("ANSERINI_JAR"):
        return named
    spec = find_spec("pyserini")
    folders = [] if spec is None else spec.submodule_search_locations or []
    found = [path for folder in folders for path in Path(folder).glob("resources/jars/anserini-*-fatjar.jar")]
    return found[0] if found else None


def lucene(lines):
    told = subprocess.run(
        ["java", "-cp", str(jar()), str(SOURCE)], input="\n".join(lines), capture_output=True, text=True, check=True
    )
    return told.stdout.splitlines()


def line(kind, vector):
    return " ".join([kind, *(f"{term}:{weight:.9g}" for term, weight in vector.items())])


def drawn(rng, size, scale):
    terms = rng.choice(200, size, replace=False)
    return {str(term): float(np.float32(rng.lognormal(0, scale))) for term in terms}


@pytest.mark.engine
@pytest.mark.skipif(jar() is None, reason="Anserini's jar or Java is missing: pip install --no-deps pyserini==0.25.0")
def test_the_fake_scores_bit_for_bit_as_lucene_does_and_refuses_what_it_refuses():
    rng = np.random.default_rng(11)
    documents = [drawn(rng, 40, 1.5) for _ in range(300)]
    queries = [{term: min(weight, 64.0) for term, weight in drawn(rng, 30, 1.0).items()} for _ in range(20)]
    edges = [line("D", {"x": weight}) for weight in (SMALLEST, SMALLEST * 0.99, 0.0, -1.0)]
    edges += [line("Q", {"x": weight}) for weight in (LARGEST_QUERY, LARGEST_QUERY * 1.001, 0.0)]
    lines = [line("D", vector) for vector in documents] + [line("Q", vector) for vector in queries]
    refused = [told for told in lucene(lines[:1] + edges) if told.startswith("refused")]
    assert refused == [f"refused {edge}" for edge in (*edges[1:4], *edges[5:])]
    fake = FakeSearcher("opensearch", "3.9.0")
    fake.server.server_close()
    fake.make("x", {"settings": {"index": {}}, "mappings": {"properties": {"vector": {"type": "rank_features"}}}})
    index = fake.indices["x"]
    index.seen = {str(number): {"vector": vector} for number, vector in enumerate(documents)}
    for told, query in zip(lucene(lines), queries, strict=True):
        found = dict(pair.split(":") for pair in told.split(" ")[1:])
        scores = fake.scores(index, query, None)
        assert {own: np.float32(score) for own, score in scores.items()} == {
            own: np.float32(score) for own, score in found.items()
        }
