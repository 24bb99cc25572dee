"""Progress moves with every batch that is encoded, not with the windows that are read and handed on."""

import pytest

from splade.data.collections.opening import open_collection
from splade.encoding import Encoder
from splade.models import Splade
from splade.records import Text
from splade.workflow import encoding as encoded
from splade.workflow.querying import encoding as querying
from tests.tiny import tiny_mlm

N = 23


class Bar:
    """Remembers how far it was moved at each time."""

    def __init__(self):
        self.moves = []

    def __call__(self, **options):
        self.options = options
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, n):
        self.moves.append(n)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Splade(tiny_mlm(tmp_path_factory.mktemp("model")), max_length=16)


@pytest.fixture
def collection(tmp_path):
    (tmp_path / "raw.tsv").write_text("".join(f"d{n}\tthe sea and the sun {n}\n" for n in range(N)))
    return open_collection(tmp_path)


def test_it_is_told_of_every_batch_before_the_window_is_handed_on(model):
    texts, moves = [Text(str(n), "king " * (n % 5 + 1)) for n in range(N)], []
    windows = Encoder(model, "document", batch_size=4).encode(texts, encoded=moves.append)
    assert len(next(windows).ids) == N  # all in one window of 32 batches
    assert sum(moves) == N
    assert len(moves) >= N // 4
    assert max(moves) <= 4


def test_the_bar_of_a_collection_moves_with_every_batch(model, collection, monkeypatch):
    bar = Bar()
    monkeypatch.setattr(encoded, "progress", bar)
    vectors = encoded.collection_vectors(Encoder(model, "document", batch_size=4), collection, 2)
    next(vectors)
    assert bar.options["initial"] == 2
    assert bar.options["total"] == N
    assert sum(bar.moves) == N - 2
    assert max(bar.moves) <= 4


def test_the_bar_of_queries_counts_what_is_encoded_and_not_what_is_read(model, collection, monkeypatch):
    bar = Bar()
    monkeypatch.setattr(querying, "progress", bar)
    batch = querying.query_vectors(Encoder(model, "query", batch_size=4), collection)
    assert len(batch.ids) == sum(bar.moves) == bar.options["total"] == N
    assert max(bar.moves) <= 4
