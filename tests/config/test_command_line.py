"""Commands as they are typed: what is printed, exit codes, and what is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig

from splade.cli import main
from splade.config import command, commands
from splade.files import InputError
from tests.forked import run_well

ROOT = Path(__file__).parents[2]


@command
def echo(cfg: DictConfig) -> float:
    if cfg.search.top_k == 1:
        raise InputError("top_k is one")
    if cfg.search.top_k == 2:
        raise KeyboardInterrupt
    if cfg.search.top_k == 4:
        instantiate({"_target_": "fractions.Fraction", "numerator": "half"})
    if cfg.search.top_k in (5, 6):
        raise ValueError("init_dict.k1 must be 0 or above, got -1" if cfg.search.top_k == 5 else "shapes differ")
    if cfg.search.top_k == 3:
        raise OSError(28, "No space left on device", "somewhere")
    print(f"lr {cfg.trainer.lr}")
    return float(cfg.trainer.lr)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    for name in ("SPLADE_CONFIG_NAME", "SPLADE_CONFIG_FULLPATH", "HYDRA_FULL_ERROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def typed(monkeypatch, *arguments: str):
    monkeypatch.setattr(sys, "argv", ["echo", *arguments])
    return echo()


def test_a_command_runs_from_the_command_line_and_leaves_nothing_behind(monkeypatch, tmp_path):
    assert typed(monkeypatch, "config.lr=0.25") == 0.25
    assert list(tmp_path.iterdir()) == []


def test_a_command_runs_with_a_config_it_is_given():
    from tests.config.support import configured

    assert echo(configured("config.lr=0.125")) == 0.125


def test_a_multirun_runs_once_for_each_value_and_leaves_nothing_behind(monkeypatch, tmp_path, capsys):
    typed(monkeypatch, "-m", "config.lr=0.5,0.25", "config.seed=1")
    assert capsys.readouterr().out == "lr 0.5\nlr 0.25\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["config.lrr=1"], 2, "config.lrr: there is no such setting; did you mean config.lr?"),
        (["loss=kll"], 2, "did you mean 'kl'?"),
        (["--config-name", "nowhere"], 2, "nowhere: no such config"),
        (["--nonsense"], 2, "--nonsense"),
        (["config.top_k=1"], 2, "top_k is one"),
        (["config.top_k=2"], 130, "interrupted"),
        (["config.top_k=3"], 2, "somewhere: No space left on device. Free space there and run the same command again"),
        (["config.top_k=4"], 2, "Invalid literal for Fraction: 'half'"),
        (["config.top_k=5"], 2, "init_dict.k1 must be 0 or above, got -1"),
        (["-m", "config.lr=1,2", "config.lrr=3"], 2, "did you mean config.lr?"),
    ],
)
def test_mistakes_end_in_a_sentence_and_an_exit_code(arguments, code, told, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        typed(monkeypatch, *arguments)
    printed = capsys.readouterr()
    assert caught.value.code == code
    assert told in printed.err
    assert "Traceback" not in printed.err
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_names_no_setting_stays_a_fault_of_the_program(monkeypatch):
    with pytest.raises(ValueError, match="shapes differ"):
        typed(monkeypatch, "config.top_k=6")


def test_the_config_can_be_shown_instead_of_run(monkeypatch, capsys):
    typed(monkeypatch, "--cfg", "job", "config.lr=0.25")
    shown = capsys.readouterr().out
    assert "lr: 0.25" in shown
    assert "${toy:collection}" in shown
    typed(monkeypatch, "--cfg", "job", "--resolve")
    assert "${" not in capsys.readouterr().out


def test_without_a_command_all_are_listed_in_a_line_each(capsys):
    main(["--help"])
    listed = capsys.readouterr().out
    for name, row in commands().items():
        assert f"{name} " in listed
        assert row["does"] in listed


def test_a_commands_help_names_its_groups_and_configs(capsys):
    main(["train", "--help"])
    shown = capsys.readouterr().out
    assert "loss = approx_ndcg | bce | bpr" in shown
    assert "config_splade_v3_doc" in shown


def test_a_misspelt_command_is_told_with_the_nearest_one(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["trian"])
    assert caught.value.code == 2
    assert "did you mean train?" in capsys.readouterr().err


def test_every_command_of_the_list_is_a_module():
    for name in commands():
        assert (ROOT / "splade" / f"{name.replace('.', '/')}.py").is_file()


def test_the_list_and_a_commands_help_start_without_torch(run_python):
    code = "import sys; from splade.cli import main; main(['train', '--help']); main([]); print('torch' in sys.modules)"
    assert run_python(code).splitlines()[-1] == "False"


@pytest.mark.slow
def test_a_module_and_a_sub_command_are_the_same(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    told = []
    for start in (["splade.utils.index_figure"], ["splade", "utils.index_figure"]):
        done = subprocess.run(
            [sys.executable, "-m", *start, "config.index_dir=nowhere", "config.lrr=1"],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=environment,
        )  # fmt: skip
        assert done.returncode == 2
        told.append(done.stderr)
    assert told[0] == told[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a module", "a sub-command"])
def test_a_class_of_ones_own_is_found_in_the_folder_of_launch(name, tmp_path):
    (tmp_path / "my_losses.py").write_text("from splade.losses import BCE\n\n\nclass Mine(BCE):\n    pass\n")
    asked = ["loss._target_=my_losses.Mine", "~config.augment_pairs", "config.loss=BCE", "--cfg", "job"]
    if name == "a module":
        (ended,) = run_well("-m", "splade.train", *asked, cwd=tmp_path)
    else:  # as the console script, whose own folder stands first in sys.path
        code = f"import sys; sys.path.remove(''); from splade.cli import main; main(['train', *{asked}])"
        (ended,) = run_well("-c", code, cwd=tmp_path)
    assert "_target_: my_losses.Mine" in ended.out
