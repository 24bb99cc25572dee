"""What every system must do, over the embedded ones."""

import sys

import pytest

from splade.engines.conformance import check_engine, sample_for
from splade.engines.protocol import slice_of
from splade.files import InputError
from tests.engines.places.stores import EACH, STORES, stored

SLOW = ("qdrant float16", "qdrant uint8", "qdrant on disk")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in STORES])
def test_an_engine_keeps_the_contract_within_the_loss_that_its_page_states(name, tmp_path):
    entry = stored(name)
    check_engine(entry.make, tmp_path, tolerance=entry.tolerance)


@pytest.mark.parametrize("name", EACH)
def test_documents_that_are_put_again_are_there_once_and_empty_ones_not_at_all(name, tmp_path):
    documents = sample_for("sparse").documents
    store = stored(name).make(tmp_path).store(tmp_path / name)
    store.create("one", {"build": "1", "fingerprint": "f"})
    store.put("one", 0, slice_of(documents, 0, 10))
    store.put("one", 10, slice_of(documents, 10, 20))
    store.put("one", 10, slice_of(documents, 10, 24))
    store.finish("one")
    full = sum(size > 0 for size in documents.rows.offsets[1:] - documents.rows.offsets[:-1])
    assert store.count("one") == full < len(documents.ids)
    assert store.count("another") is None
    assert store.about("one") == {"build": "1", "fingerprint": "f"}
    assert store.places() == ["one"]


@pytest.mark.parametrize("name", EACH)
def test_a_place_that_another_command_made_anew_is_refused(name, tmp_path):
    engine, sample = stored(name).make(tmp_path), sample_for("sparse")
    engine.build(sample.as_documents())
    (place,) = engine.places()
    store = engine.store(tmp_path / name)
    store.create(place, {"build": "another", "fingerprint": "f" * 32})
    store.put(place, 0, sample.documents)
    store.finish(place)
    with pytest.raises(InputError, match=r"built by another command since .its encoder is ffffffffffff"):
        engine.open()


@pytest.mark.parametrize("name", EACH)
def test_what_is_dropped_is_in_no_list_and_does_not_open(name, tmp_path):
    entry, sample = stored(name), sample_for("sparse")
    engine = entry.make(tmp_path)
    assert engine.places() == []
    engine.build(sample.as_documents())
    assert len(engine.places()) == 1
    engine.drop()
    assert engine.places() == []
    assert not entry.make(tmp_path).exists()
    with pytest.raises(InputError, match=r"state\.json: no such file"):
        entry.make(tmp_path).open()
    with pytest.raises(InputError, match=r"state\.json: no such file"):
        engine.drop()


@pytest.mark.parametrize("name", EACH)
def test_an_interrupted_build_is_dropped_too(name, tmp_path):
    def stop(first):
        raise KeyboardInterrupt

    engine = stored(name).make(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        engine.build(sample_for("sparse").as_documents(read=stop))
    assert len(engine.places()) == 1
    engine.drop()
    assert engine.places() == []
    assert sorted(path.name for path in (tmp_path / name).iterdir() if path.name != "vectors.db") in (
        ["lock"],
        ["lock", "places"],
    )


@pytest.mark.parametrize("name", EACH)
def test_a_weight_that_no_inverted_index_holds_is_refused(name, tmp_path):
    sample = sample_for("sparse")
    weights = sample.documents.rows.weights.copy()
    weights[5] = -1.0
    wrong = sample._replace(documents=sample.documents._replace(rows=sample.documents.rows._replace(weights=weights)))
    with pytest.raises(InputError, match=rf"document .* has the weight -1\.0 for term \d+; engine={name} takes"):
        stored(name).make(tmp_path).build(wrong.as_documents())


@pytest.mark.parametrize(
    ("name", "package"), [("milvus", "pymilvus"), ("milvus", "milvus_lite"), ("qdrant", "qdrant_edge")]
)
def test_a_missing_package_is_told_with_its_extra(name, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InputError, match=rf"engine={name} needs the package of {package}.*pip install 'splade\[{name}\]'"
    ):
        STORES[name].make(tmp_path).build(sample_for("sparse").as_documents())
