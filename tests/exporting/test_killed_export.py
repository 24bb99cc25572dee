"""An export that was killed at any moment, and asked for again, is the one that was never killed."""

import json
import random
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from tests.cutting import Cut, outcomes

TARGETS = {
    "anserini": ("export.target=anserini", "export.shard_docs=7"),
    "numpy": ("export.target=numpy", "export.shard_docs=7"),
    "ciff": ("export.target=ciff",),
}
EVENTS = 10
FEWEST = {"anserini": 16, "numpy": 16, "ciff": 10}  # files and folders that get their names, folders of the index too


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with vectors of documents and queries, which is the current one."""
    rng = np.random.default_rng(0)
    for name, n in (("docs", 40), ("queries", 3)):
        rows = rng.random((n, 6)) * (rng.random((n, 6)) < 0.5)
        lines = (
            {"id": f"{name}{row}", "vector": {f"t{t}": w for t, w in enumerate(own) if w}}
            for row, own in enumerate(rows)
        )
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.chdir(tmp_path)
    for name in ("SPLADE_CONFIG_NAME", "SPLADE_CONFIG_FULLPATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def export(name, folder, cut=None):
    """The exit status of an export in a child of its own."""
    paths = ("data.VECTORS_PATH=docs.jsonl", "data.Q_VECTORS_PATH=[queries.jsonl]")
    ((status, _),) = outcomes(Path.cwd(), [(["export", *TARGETS[name], *paths, f"config.out_dir={folder}"], cut)])
    return status


@pytest.fixture
def events(splade, place, monkeypatch):
    """Exports into ``whole``; the paths of the files and folders that get their names in it, in order."""

    def told(name):
        found, replace = [], Path.replace

        def replaced(path, target):
            found.append(str(target))
            return replace(path, target)

        with monkeypatch.context() as context:
            context.setattr(Path, "replace", replaced)
            paths = ("data.VECTORS_PATH=docs.jsonl", "data.Q_VECTORS_PATH=[queries.jsonl]")
            splade("export", *TARGETS[name], *paths, "config.out_dir=whole", cwd=place)
        return found

    return told


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_killed(place, name, cut):
    """Kill an export, export again, and compare."""
    shutil.rmtree(place / "killed", ignore_errors=True)
    assert export(name, "killed", cut) == -signal.SIGKILL, cut
    assert export(name, "killed") == 0
    assert files(place / "killed") == files(place / "whole"), cut
    assert not (place / ".killed.exporting").exists()


def test_a_kill_when_a_shard_is_about_to_get_its_name_changes_nothing(place, events):
    assert len([path for path in events("anserini") if "documents/docs_anserini-" in path]) == 6
    check_killed(place, "anserini", Cut(signal.SIGKILL, "*/docs_anserini-*", 3, "before"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_kills_at_ten_random_events_change_nothing(place, events, name):
    happened = events(name)
    assert len(happened) >= FEWEST[name]
    assert [path for path in happened if path.endswith("export.json")] == [
        ".whole.exporting/export.json",
        "whole/export.json",
    ]
    assert happened[-1] == "whole/export.json"
    for number in random.Random(name).sample(range(2 * len(happened)), EVENTS):
        check_killed(place, name, Cut(signal.SIGKILL, "*", 1 + number // 2, ("before", "after")[number % 2]))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_kills_one_after_the_other_change_nothing(place, events, name):
    """Each finds the export where the one before it was killed: within shards, before the manifest, moving."""
    cuts = [
        Cut(signal.SIGKILL, "*", 1 + at, "before")
        for at in sorted(random.Random(1).sample(range(len(events(name))), 4))
    ]
    ended = [export(name, "killed", cut) for cut in cuts]
    assert ended[0] == ended[1] == -signal.SIGKILL  # a later one may find less to do
    assert export(name, "killed") == 0
    assert files(place / "killed") == files(place / "whole")
