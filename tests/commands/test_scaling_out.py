"""One encoding on many machines: the same shards, byte for byte, whoever starts the processes."""

import importlib.util
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from omegaconf import OmegaConf

from splade.config import commands, configure
from splade.config.multirun import plan
from splade.data.vectors.shards import Shard, read_manifest
from splade.files import InputError
from splade.workflow.scaling.on_ray import Loading, Pool, Worker, pool_for, tasks_of, tries_of
from splade.workflow.scaling.shards import scheduler_of, shards_of
from tests.commands.test_encode_command import MODEL, SMALL_BATCHES, TEXTS
from tests.commands.world import PASSAGES
from tests.conftest import ROOT

LONG = "data.COLLECTION_PATH=long"


@pytest.fixture
def place(workplace, tmp_path):
    for name in ("MODEL", "data"):
        (tmp_path / name).symlink_to(workplace / name)
    return tmp_path


@pytest.fixture
def long(place):
    (place / "long").mkdir()
    lines = (f"k{number}\t{PASSAGES[number % 12]} {PASSAGES[number % 7]} {number}\n" for number in range(600))
    (place / "long" / "raw.tsv").write_text("".join(lines))
    return place


def files(folder):
    """The bytes of all files of the shards in ``folder``, by path."""
    found = sorted(path for shard in folder.glob("shard-*") for path in shard.iterdir())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def run(folder, *arguments, **environment):
    """What an interpreter of its own prints that runs ``python -m splade.encode *arguments``; it must not fail."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("SPLADE_CONFIG")}
    around |= {"PYTHONPATH": f"{ROOT}:{folder}", "OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, "-m", "splade.encode", *arguments]
    done = subprocess.run(command, cwd=folder, env=around, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_processes_share_all_shards_whatever_their_number():
    def of_all(setting, n_shards, n_processes):
        environments = [{"RANK": str(rank), "WORLD_SIZE": str(n_processes)} for rank in range(n_processes)]
        return [shards_of(setting, n_shards, environment) for environment in environments]

    for n_processes in (1, 2, 3, 8):
        shares = of_all(None, 5, n_processes)
        assert Counter(shard for share in shares for shard in share) == Counter(Shard(n, 5) for n in range(1, 6))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert of_all("2/3", 2, 2) == [[Shard(3, 6)], [Shard(4, 6)]]
    # One for each process is what `torchrun` without `encoding.shards` has always made.
    assert of_all("3/8", 4, 4)[1] == [Shard(10, 32)]


def test_two_processes_and_a_shard_at_a_time_write_the_bytes_of_one_process(place, splade):
    encode = ("encode", *MODEL, TEXTS)
    splade(*encode, "encoding.shards=3", "config.out_dir=alone", cwd=place)
    for rank in ("1", "0"):
        process = {"RANK": rank, "WORLD_SIZE": "2"}
        splade(*encode, "encoding.shards=3", "config.out_dir=torchrun", cwd=place, **process)
    for number in (2, 3, 1):
        splade(*encode, "--shard", f"{number}/3", "config.out_dir=array", cwd=place)
    expected = files(place / "alone")
    assert len({name.partition("/")[0] for name in expected}) == 3
    assert files(place / "torchrun") == files(place / "array") == expected


def test_an_actor_of_ray_writes_the_bytes_of_the_command_and_loads_its_model_once(place, splade, monkeypatch):
    splade("encode", *MODEL, TEXTS, "encoding.shards=3", "config.out_dir=alone", cwd=place)
    monkeypatch.chdir(place)
    cfg = configure("encode", [*MODEL, TEXTS, "config.out_dir=actors", "encoding.shards=3"])
    loading, loaded = Loading(cfg), []
    worker = Worker(lambda: loaded.append(1) or loading(), "actors", str(place), retries=3)
    assert not loaded  # before the first task, so that what is wrong can be told in words
    names = [task["shard"] for task in tasks_of(shards_of(None, 3, {}))]
    outcomes = [worker({"shard": np.array([name])}) for name in names]
    assert loaded == [1]
    assert [str(outcome["shard"][0]) for outcome in outcomes] == names == ["1/3", "2/3", "3/3"]
    assert [int(outcome["n_docs"][0]) for outcome in outcomes] == [4, 4, 4]
    assert [str(outcome["problem"][0]) for outcome in outcomes] == ["", "", ""]
    assert files(place / "actors") == files(place / "alone")
    assert not list((place / "actors").glob(".*"))


def test_a_shard_whose_processes_keep_dying_is_given_up_in_words(tmp_path):
    tried, found = tries_of(tmp_path, Shard(2, 3)), []

    def outcome(died):
        """What an actor says whose predecessors, so many of them, died while they encoded this shard."""
        tried.write_bytes(b"x" * died)
        worker = Worker(lambda: encode, str(tmp_path), str(tmp_path), retries=2)
        return str(worker({"shard": np.array(["2/3"])})["problem"][0])

    def encode(shard):
        found.append((shard, len(tried.read_bytes())))
        raise InputError("no such collection")

    assert outcome(2) == "no such collection"
    assert found == [(Shard(2, 3), 3)]  # it counts itself while it is at work, in case it dies
    assert not tried.exists()  # it ended, if not well
    assert outcome(3).startswith("shard 2/3: 3 processes died while they encoded it")
    assert len(found) == 1


@pytest.mark.parametrize(
    ("asked", "home", "told"),
    [
        ("init_dict.model_type_or_dir=NONE", ".", "NONE"),
        ("data.COLLECTION_PATH=NONE", ".", "NONE"),
        ("config.max_length=16", "elsewhere", "elsewhere: No such file or directory"),
    ],
)
def test_what_an_actor_cannot_do_is_told_in_words(place, monkeypatch, asked, home, told):
    monkeypatch.chdir(place)
    cfg = configure("encode", [*MODEL, TEXTS, "config.out_dir=v", asked])
    outcome = Worker(Loading(cfg), "v", str(place / home), retries=3)({"shard": np.array(["1/1"])})
    assert told in str(outcome["problem"][0])
    assert int(outcome["n_docs"][0]) == 0


@pytest.mark.parametrize(
    ("asked", "resources", "pool", "fits"),
    [
        ((None, 0.5, None, None), {"CPU": 2.0}, Pool(1, 0.5, 0.0), True),
        ((None, 0.5, None, None), {"CPU": 16.0, "GPU": 8.0}, Pool(8, 0.5, 1.0), True),
        ((None, 0.5, None, 3), {"CPU": 16.0, "GPU": 8.0}, Pool(3, 0.5, 1.0), True),
        ((None, 0.5, 0.5, None), {"CPU": 16.0, "GPU": 8.0}, Pool(16, 0.5, 0.5), True),
        ((4, 1.0, 0.0, None), {"CPU": 2.0, "GPU": 8.0}, Pool(4, 1.0, 0.0), False),
        ((2, 0.5, 1.0, None), {"CPU": 2.0}, Pool(2, 0.5, 1.0), False),
    ],
)
def test_actors_hold_a_gpu_each_where_there_are_any_and_else_a_share_of_the_processors(asked, resources, pool, fits):
    found = pool_for(*asked, resources)
    assert found == pool
    assert found.fits(resources) is fits


def test_a_scheduler_that_starts_processes_is_not_started_by_another(place, splade, capsys):
    with pytest.raises(InputError, match="run the command without torchrun"):
        scheduler_of("ray", 2)
    with pytest.raises(SystemExit):
        splade("encode", *MODEL, TEXTS, "config.out_dir=v", "encoding.scheduler=dask", cwd=place)
    assert "encoding.scheduler=dask: accepted are ray" in capsys.readouterr().err


def test_without_ray_its_extra_is_named(place, splade, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(SystemExit):
        splade("encode", *MODEL, TEXTS, "config.out_dir=v", "encoding.scheduler=ray", cwd=place)
    assert "pip install 'splade[ray]'" in capsys.readouterr().err


def test_shards_of_another_cut_are_refused_before_any_work(place, splade, capsys):
    encode = ("encode", *MODEL, TEXTS, "config.out_dir=v")
    splade(*encode, "--shard", "1/3", cwd=place)
    with pytest.raises(SystemExit):
        splade(*encode, "encoding.shards=4", cwd=place)
    told = capsys.readouterr().err
    assert "holds shards of a collection cut into 3 (shard-00001-of-00003), and these would be of 4" in told
    assert [path.name for path in (place / "v").iterdir()] == ["shard-00001-of-00003"]


def test_jobs_of_a_sweep_over_shards_share_the_folder_of_the_vectors():
    row = commands()["encode"]

    def out_dirs(*overrides):
        sweep = plan(["config.out_dir=v", *overrides], row["writes"], OmegaConf.from_dotlist, row["parts"])
        return [OmegaConf.from_dotlist(job.overrides).config.out_dir for job in sweep.jobs]

    assert out_dirs("config.shard=1/2,2/2") == ["v", "v"]
    assert out_dirs("config.shard=1/2,2/2", "config.max_length=32,64") == ["v/max_length=32", "v/max_length=64"] * 2


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="pip install 'splade[slurm]'")
def test_submitit_writes_the_bytes_of_one_process(place, splade):
    encode = (*MODEL, TEXTS)
    splade("encode", *encode, "encoding.shards=3", "config.out_dir=alone", cwd=place)
    launcher = ("--multirun", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5")
    run(place, *encode, *launcher, "config.out_dir=array", "config.shard=1/3,2/3,3/3")
    tasks = ("hydra.launcher.tasks_per_node=2", "encoding.shards=3")
    run(place, *encode, *launcher, *tasks, "config.out_dir=tasks")
    expected = files(place / "alone")
    assert files(place / "array") == files(place / "tasks") == expected
    splade("index", "data.VECTORS_PATH=array", "config.index_dir=index", cwd=place)  # the sweep's table is no shard


KILLING = '''
import os, signal
from pathlib import Path
from splade.data.collections.file_collection import FileCollection

class Killing(FileCollection):
    """Kills the process that wants text 395, of the second of three shards, when it is wanted first."""

    def iterate(self, start=0):
        for number, text in enumerate(super().iterate(start), start):
            if number == 395 and not (killed := Path("killed")).exists():
                pieces = list(Path("on_ray").glob(".shard-00002-of-00003.encoding/0*.npz"))
                killed.write_text(f"{os.getpid()} {len(pieces)}")
                os.kill(os.getpid(), signal.SIGKILL)
            yield text
'''


@pytest.mark.slow
def test_ray_repeats_a_task_killed_in_the_middle_and_ends_with_the_bytes_of_the_command(long, splade):
    pytest.importorskip("ray.data", reason="pip install 'splade[ray]'")
    (long / "killing.py").write_text(KILLING)
    encode = (*MODEL, SMALL_BATCHES, "encoding.shards=3")
    splade("encode", *encode, "data.COLLECTION_PATH=long", "config.out_dir=alone", cwd=long)
    on_ray = ("config.out_dir=on_ray", "encoding.scheduler=ray", "encoding.cpus=0.5")
    reader = "data.COLLECTION_PATH=killing.Killing:long/raw.tsv"
    told = run(long, *encode, reader, *on_ray)
    process, pieces = (long / "killed").read_text().split()
    assert int(pieces) >= 1, process  # some of the shard was stored when its process was killed
    assert files(long / "on_ray") == files(long / "alone")
    assert "3 shards in on_ray" in told
    assert sum(read_manifest(shard).n_docs for shard in (long / "on_ray").glob("shard-*")) == 600
    assert not list((long / "on_ray").glob(".shard*"))
    before = {shard.name: shard.stat().st_ino for shard in (long / "on_ray").iterdir()}
    run(long, *encode, reader, *on_ray)
    assert {shard.name: shard.stat().st_ino for shard in (long / "on_ray").iterdir()} == before
