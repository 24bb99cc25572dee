import json
import os
import subprocess

import splade
from splade.results.conditions import conditions, revision, versions

ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def git(folder, *arguments):
    named = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *named, *arguments], cwd=folder, env=os.environ | ALONE, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_revision_is_that_of_the_folder_and_says_where_files_differ(tmp_path):
    (tmp_path / "code").mkdir()
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code" / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert revision(tmp_path / "code") == head
    (tmp_path / "notes").write_text("not the code's")
    assert revision(tmp_path / "code") == head
    (tmp_path / "code" / "a.py").write_text("a = 2\n")
    assert revision(tmp_path / "code") == f"{head}+changes"


def test_code_that_no_repository_holds_has_no_revision(tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "a.py").write_text("a = 1\n")
    assert revision(tmp_path / "site-packages") is None
    monkeypatch.setenv("PATH", "")  # a machine without git
    assert revision(tmp_path) is None


def test_conditions_are_json_and_name_versions_seed_and_machine():
    told = json.loads(json.dumps(conditions(seed=7)))
    assert told["seed"] == 7
    assert told["versions"] == versions()
    assert told["versions"]["splade"] == splade.__version__
    assert told["machine"]["cores"] >= 1
