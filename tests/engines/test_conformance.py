"""Every engine keeps the contract, and the checks of the contract find an engine that breaks it."""

import math
from collections import Counter

import numpy as np
import pytest

from splade.engines import Bm25, Dense, Inverted
from splade.engines.analysis import analyzer
from splade.engines.conformance import check_engine


def okapi(queries, documents, k1=0.9, b=0.4):
    """BM25 of texts, term by term."""
    bags = [Counter(analyzer("english")(text)) for text in documents]
    lengths = [sum(bag.values()) for bag in bags]
    mean = sum(lengths) / len(lengths)
    found = np.zeros((len(queries), len(documents)))
    for row, query in enumerate(queries):
        for term in analyzer("english")(query):
            df = sum(term in bag for bag in bags)
            idf = math.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
            for column, bag in enumerate(bags):
                tf = bag[term]
                found[row, column] += idf * tf / (tf + k1 * (1 - b + b * lengths[column] / mean))
    return found


ENGINES = {
    "inverted": (Inverted, {}),
    "exhaustive": (lambda folder: Inverted(folder, strategy="exhaustive"), {}),
    "float16": (lambda folder: Inverted(folder, layout={"weights": "float16"}), {"tolerance": 1e-3}),
    "dense": (Dense, {}),
    "bm25": (Bm25, {"scores": okapi}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "float16")) for name in ENGINES]
)
def test_an_engine_keeps_the_contract(name, tmp_path):
    make, how = ENGINES[name]
    check_engine(make, tmp_path, **how)


class Wrong:
    """An inverted index of which ``spoil`` changes the rankings."""

    takes = "sparse"

    def __init__(self, folder, spoil):
        self.engine, self.spoil = Inverted(folder), spoil

    def build(self, documents):
        return Spoilt(self.engine.build(documents), self.spoil)

    def open(self):
        return Spoilt(self.engine.open(), self.spoil)

    def exists(self):
        return self.engine.exists()

    def is_built(self, documents):
        return self.engine.is_built(documents)


class Spoilt:
    def __init__(self, opened, spoil):
        self.opened, self.spoil = opened, spoil

    def __getattr__(self, name):
        return getattr(self.opened, name)

    def search(self, queries, k, **how):
        return map(self.spoil, self.opened.search(queries, k, **how))


def off(ranking):
    return ranking._replace(scores=ranking.scores * np.float32(1.01))


def reversed_ties(ranking):
    order = sorted(range(len(ranking.doc_ids)), key=lambda i: (-ranking.scores[i], -i))
    return ranking._replace(doc_ids=[ranking.doc_ids[i] for i in order], scores=ranking.scores[order])


def lost_id(ranking):
    return ranking._replace(doc_ids=[id.split()[0] for id in ranking.doc_ids])


def one_short(ranking):
    return ranking._replace(doc_ids=ranking.doc_ids[:-1], scores=ranking.scores[:-1])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (off, "brute force gives"),
        (reversed_ties, "in the wrong order"),
        (lost_id, "are no ids of documents that were given"),
        (one_short, "documents match"),
    ],
)
def test_a_wrong_ranking_is_found(spoil, told, tmp_path):
    with pytest.raises(AssertionError, match=told):
        check_engine(lambda folder: Wrong(folder, spoil), tmp_path)


class Careless(Inverted):
    """Keeps whatever is there, and knows no other writer."""

    def build(self, documents):
        return self.open() if self.exists() else super().build(documents)


class Partial(Inverted):
    """Makes what an interrupted build has left an index."""

    def build(self, documents):
        def until_interrupted(start):
            try:
                yield from documents.batches(start)
            except KeyboardInterrupt:
                return

        return super().build(documents._replace(batches=until_interrupted))


@pytest.mark.parametrize(
    ("engine", "told"), [(Careless, "the old ones were kept|is_built"), (Partial, "swallowed KeyboardInterrupt")]
)
def test_a_wrong_build_is_found(engine, told, tmp_path):
    with pytest.raises(AssertionError, match=told):
        check_engine(engine, tmp_path)
