"""The commands push and pull, from their command lines; what they send and fetch is tested in tests/hub."""

import pytest

from tests.tiny import tiny_mlm


@pytest.fixture
def model(tmp_path):
    return tiny_mlm(tmp_path / "trained/model", hidden=16, layers=1)


def test_a_dry_run_writes_the_folder_that_would_be_pushed(splade, tmp_path, model):
    line = ["me/small", "push.licence=mit", f"config.checkpoint_dir={model.parent}", "push.dry_run=true"]
    splade("push", *line, cwd=tmp_path)
    assert (tmp_path / "pushed/me/small/README.md").read_text().startswith("---\n")


REFUSED = {
    "no licence": (["push", "me/small", "config.checkpoint_dir=trained", "push.dry_run=true"], "push.licence"),
    "no repository": (["pull", "config.checkpoint_dir=pulled"], "pull.repo"),
    "no network": (["pull", "me/small", "config.checkpoint_dir=pulled"], "HF_HUB_OFFLINE"),
    "no kind": (["pull", "me/small"], "neither is named, so say which is meant: pull.kind=model or pull.kind=index"),
    "a misspelt setting": (["pull", "me/small", "pull.revison=a"], "did you mean pull.revision?"),
    "of the other command": (["push", "me/small", "push.licence=mit", "pull.revision=a"], "pull.revision"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_line_that_cannot_run_is_told_before_any_work_and_without_traceback(splade, tmp_path, capsys, case):
    line, words = REFUSED[case]
    with pytest.raises(SystemExit) as ended:
        splade(*line, cwd=tmp_path)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert words in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []
