"""Sweeps: a job for each combination, folders of their own, one table; here and through a launcher."""

import importlib.util
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from splade.config.composing.errors import ConfigError
from splade.config.multirun import Job, Sweep, figures, plan, tell
from tests.forked import run
from tests.tiny import tiny_mlm

WRITES = ["config.checkpoint_dir", "config.index_dir"]


def composed(overrides):
    """What planning asks of a config: the addresses that are given, and the folders."""
    folders = {"config.checkpoint_dir": "checkpoint", "config.index_dir": "index"}
    return OmegaConf.from_dotlist([f"{name}={value}" for name, value in folders.items()] + list(overrides))


def planned(*overrides):
    return plan(overrides, WRITES, composed)


def folders(sweep, address="config.checkpoint_dir"):
    return [composed(job.overrides).config[address.partition(".")[2]] for job in sweep.jobs]


def test_every_combination_is_a_job_in_folders_of_its_own():
    sweep = planned("config.lr=0.1,0.2", "config.seed=1,2", "config.checkpoint_dir=x/c", "config.index_dir=x/i")
    names = ["lr=0.1,seed=1", "lr=0.1,seed=2", "lr=0.2,seed=1", "lr=0.2,seed=2"]
    assert [job.name for job in sweep.jobs] == names
    assert folders(sweep) == [f"x/c/{name}" for name in names]
    assert folders(sweep, "config.index_dir") == [f"x/i/{name}" for name in names]
    assert sweep.jobs[1].varied == {"config.lr": "0.1", "config.seed": "2"}
    assert sweep.folder == Path("x/c").absolute()


def test_folders_that_are_given_for_each_job_are_left_alone():
    sweep = planned("config.checkpoint_dir=x/a,x/b", "config.index_dir=y")
    assert folders(sweep) == ["x/a", "x/b"]
    assert folders(sweep, "config.index_dir") == ["y/checkpoint_dir=x_a", "y/checkpoint_dir=x_b"]
    assert sweep.folder == Path("x").absolute()


def test_one_job_writes_where_the_config_says():
    sweep = planned("config.checkpoint_dir=x")
    assert folders(sweep) == ["x"]
    assert sweep.folder is None


def test_values_of_like_names_are_told_apart():
    address, one = "config.regularizer.FLOPS", composed([])

    def planned(*overrides):
        return plan(overrides, [], lambda _: one)  # nothing is written, so a name depends on the overrides alone

    sweep = planned("config.lr=1,2", f"{address}.lambda_q=1,2", f"{address}.T=3,4", "regularizer=flops_toy")
    assert sweep.jobs[0].name == "lr=1,lambda_q=1,T=3"
    both = [f"config.regularizer.{name}.lambda_q=1,2" for name in ("FLOPS", "L1")]
    assert planned(*both).jobs[1].name == "config.regularizer.FLOPS.lambda_q=1,config.regularizer.L1.lambda_q=2"


def test_jobs_that_no_folder_can_tell_apart_are_refused():
    with pytest.raises(ConfigError, match="differ only in signs"):
        planned("config.checkpoint_dir=a/b,a@b")


def test_the_table_has_a_row_per_job_with_its_values_and_figures(tmp_path):
    jobs = [Job("lr=1", {"config.lr": "1"}, []), Job("lr=2", {"config.lr": "2"}, [])]
    tell(Sweep(jobs, [], tmp_path), [{"status": "done", "MRR@10": 0.123456789}, {"status": "failed: a | b\nc"}])
    assert (tmp_path / "sweep.tsv").read_text() == (
        "job\tconfig.lr\tstatus\tMRR@10\nlr=1\t1\tdone\t0.123457\nlr=2\t2\tfailed: a | b c\t\n"
    )
    assert (tmp_path / "sweep.md").read_text().splitlines()[3] == "| lr=2 | 2 | failed: a \\| b c |  |"


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (None, {}),
        (0.5, {"value": 0.5}),
        ({"dev": {"mrr_10": 0.3}, "n": 2}, {"dev.mrr_10": 0.3, "n": 2}),
        (Path("x"), {}),
    ],
)
def test_figures_are_the_numbers_of_what_a_command_returns(result, found):
    assert figures(result) == found


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_mlm(tmp_path_factory.mktemp("model") / "mlm", hidden=16, layers=1)


def train(folder, model, *overrides):
    settings = {
        "config.checkpoint_dir": folder,
        "init_dict.model_type_or_dir": model,
        "config.nb_iterations": 2,
        "config.warmup_steps": 1,
        "config.train_batch_size": 4,
        "config.record_frequency": 2,
        "config.max_length": 16,
        "validation": "none",
    }
    given = [f"{name}={value}" for name, value in settings.items()]
    (ended,) = run("-m", "splade.train", "--multirun", *given, *overrides, cwd=folder.parent)
    return ended


def rows(folder):
    lines = [line.split("\t") for line in (folder / "sweep.tsv").read_text().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


@pytest.mark.slow
def test_a_job_that_fails_does_not_stop_the_others_and_is_told(tmp_path, model):
    folder = tmp_path / "sweep"
    (folder / "lr=0.001" / "model").mkdir(parents=True)
    (folder / "lr=0.001" / "model" / "mine.txt").write_text("of another program")
    done = train(folder, model, "config.lr=1e-3,2e-3")
    assert done.status == 2
    assert "1 of 2 jobs of --multirun failed" in done.err
    assert "Traceback" not in done.err
    found = rows(folder)
    assert found[0]["status"].startswith("failed: ")
    assert (found[1]["status"], found[1]["steps"]) == ("done", "2")
    assert (folder / "lr=0.002" / "model" / "model.safetensors").exists()


@pytest.mark.skipif(importlib.util.find_spec("submitit") is not None, reason="the launcher is installed")
def test_a_launcher_that_is_not_installed_is_an_error_in_words(tmp_path, model):
    done = train(tmp_path / "sweep", model, "hydra/launcher=submitit_local")
    assert done.status == 2
    assert "pip install 'splade[slurm]'" in done.err


@pytest.mark.slow
def test_hydras_own_launcher_runs_the_jobs_too(tmp_path, model):
    folder = tmp_path / "sweep"
    done = train(folder, model, "config.lr=1e-3,2e-3", "hydra/launcher=basic")
    assert done.status == 0, done.err
    assert [row["status"] for row in rows(folder)] == ["done", "done"]


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None,
    reason="pip install 'splade[slurm]' for Hydra's submitit launcher",
)
def test_submitit_runs_each_job_as_several_processes_of_one_training(tmp_path, model):
    here, there = tmp_path / "here", tmp_path / "there"
    assert train(here, model, "config.lr=1e-3,2e-3").status == 0
    launcher = ["hydra/launcher=submitit_local", "hydra.launcher.tasks_per_node=2", "hydra.launcher.timeout_min=5"]
    done = train(there, model, "config.lr=1e-3,2e-3", *launcher)
    assert done.status == 0, done.err
    for name in ("lr=0.001", "lr=0.002"):
        expected = load_file(here / name / "model" / "model.safetensors")
        for key, weight in load_file(there / name / "model" / "model.safetensors").items():
            torch.testing.assert_close(weight, expected[key], rtol=1e-4, atol=1e-4)
    logs = [path.read_text() for path in (there / "jobs").glob("*/splade.log")]
    assert sum("training on 2 processes" in log for log in logs) == 2
    assert rows(there) == rows(here)
