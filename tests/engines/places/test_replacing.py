"""Places of builds that replace each other, or were cut off while they did."""

import json
import shutil

import pytest

from splade.engines.conformance import sample_for
from splade.engines.places import kept, ledger
from tests.engines.places.memory_store import SYSTEMS, Memory


class Killed(BaseException):
    pass


def killed(*_, **__):
    raise Killed  # nothing of the engine runs after this, as after kill -9


def others(sample, **how):
    return sample.as_documents(fingerprint="another", **how)._replace(origin={"collection": "another"})


def test_a_build_that_was_killed_when_it_was_complete_outlives_one_of_others(tmp_path, monkeypatch):
    """The notes of a complete build that a kill has left name the place that opens."""
    sample = sample_for("sparse")
    with monkeypatch.context() as patched:
        patched.setattr(ledger.shutil, "rmtree", lambda path, **how: shutil_but(path, killed, **how))
        with pytest.raises(Killed):
            Memory(tmp_path).build(sample.as_documents())
    assert Memory(tmp_path).is_built(sample.as_documents())
    with pytest.raises(Killed):
        Memory(tmp_path).build(others(sample, read=killed))
    assert Memory(tmp_path).open().metadata == {"collection": "sample"}  # answers until the others are all there
    Memory(tmp_path).build(others(sample))
    assert Memory(tmp_path).open().metadata == {"collection": "another"}
    assert len(SYSTEMS[str(tmp_path / "memory")]) == 1


def shutil_but(path, instead, *, rmtree=shutil.rmtree, **how):
    """Remove ``path``, but for the notes of a build that is complete."""
    complete = path.name == "building" and (path.parent / "state.json").is_file()
    return instead() if complete else rmtree(path, **how)


def test_the_place_of_an_interrupted_build_goes_when_others_are_built(tmp_path):
    sample = sample_for("sparse")
    with pytest.raises(Killed):
        Memory(tmp_path).build(sample.as_documents(read=killed))
    Memory(tmp_path).build(others(sample))
    (place,) = SYSTEMS[str(tmp_path / "memory")]
    assert json.loads((tmp_path / "memory/state.json").read_text())["place"] == place


def test_builds_of_the_same_documents_never_share_a_place(tmp_path):
    sample = sample_for("sparse")
    places = {Memory(tmp_path / name).build(sample.as_documents()).state.place for name in ("ours", "theirs")}
    assert len(places) == 2


def test_a_system_that_cannot_be_reached_leaves_the_notes_to_drop_by(tmp_path, monkeypatch):
    engine = Memory(tmp_path)
    engine.build(sample_for("sparse").as_documents())
    monkeypatch.setattr(engine._store, "drop", killed)
    with pytest.raises(Killed):
        engine.drop()
    again = Memory(tmp_path)
    assert again.exists()
    again.drop()
    assert again.places() == []
    assert kept.places_noted(tmp_path / "memory") == []
