"""A command chooses its threads and how they wait before torch is loaded; what the user has chosen stays."""

import os
import subprocess
import sys

import pytest

from splade.threads import (
    BUSY,
    SPINS,
    THREADS,
    TICKS,
    WAITING,
    Processors,
    busy_ticks,
    policy,
    processors,
    settle,
    starts_command,
)
from tests.conftest import PATIENCE, ROOT

FREE = Processors(8)


def taken():
    return BUSY


def quiet():
    return 0.9 * BUSY


def never():
    pytest.fail("the processors are looked at for nothing")


# What libgomp has read, it prints when it is loaded; a wrong setting ends the command, long after its imports.
COMMANDS = {"a module": ("-um", "splade.train"), "a sub-command": ("-m", "splade", "train")}


def displayed(*command, cwd, **environment):
    """The settings that a command's OpenMP library has read, by name ({} where it does not tell), and the process."""
    clean = {name: value for name, value in os.environ.items() if name not in (*WAITING, *THREADS)}
    clean |= {"PYTHONPATH": str(ROOT), "OMP_DISPLAY_ENV": "verbose"} | environment
    done = subprocess.run(
        [sys.executable, *command], env=clean, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    lines = (line.partition("=") for line in done.stderr.splitlines() if " = '" in line)
    found = {name.split()[-1]: value.strip(" '") for name, _, value in lines}
    return found, done


def test_beside_other_programs_threads_spin_briefly_unless_the_user_has_said_how_they_wait():
    assert policy({}, FREE, taken) == {"GOMP_SPINCOUNT": SPINS}
    assert policy({"OMP_NUM_THREADS": "1"}, FREE, taken) == {"GOMP_SPINCOUNT": SPINS}
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY"):
        assert policy({name: "infinite"}, FREE, never) == {}


def test_on_a_quiet_machine_threads_wait_as_they_would_without_the_package():
    assert policy({}, FREE, quiet) == {}


def test_ticks_are_those_of_the_listed_processors_less_their_idle_and_waiting_ones():
    table = "cpu  11 22 33 44 55 66 77 88 0 0\ncpu0 1 2 3 400 500 6 7 8 90 90\ncpu1 10 20 30 4 5 60 70 80 0 0\nintr 5\n"
    assert busy_ticks(table, {0}) == 1 + 2 + 3 + 6 + 7 + 8
    assert busy_ticks(table, {0, 1}) == 27 + 270
    assert busy_ticks("cpu3 1 2 3 4 5 6 7 8\n", {0, 1}) == 0


def test_a_containers_quota_bounds_the_threads_and_a_wider_one_does_not():
    assert policy({}, Processors(64, 2.0), quiet) == {"OMP_NUM_THREADS": "2"}
    assert policy({}, Processors(64, 2.5), quiet) == {"OMP_NUM_THREADS": "3"}
    assert policy({}, Processors(64, 0.1), quiet) == {"OMP_NUM_THREADS": "1"}
    assert policy({}, Processors(2, 4.0), quiet) == policy({}, Processors(2, 2.0), quiet) == {}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT"):
        assert policy({name: "5"}, Processors(64, 2.0), quiet) == {}


def test_nothing_is_set_once_torch_is_loaded(monkeypatch):
    monkeypatch.setattr("splade.threads.taken", lambda: 1.0)
    environment = {}
    assert settle(environment, loaded={"torch"}) == {}
    assert environment == {}
    assert settle(environment, loaded={"numpy"}) == environment != {}


def test_the_quota_of_a_control_group_is_the_least_of_those_above_it(tmp_path):
    membership = tmp_path / "cgroup"
    membership.write_text("0::/a/b\n")
    inner = tmp_path / "groups" / "a" / "b"
    inner.mkdir(parents=True)
    assert processors(tmp_path / "groups", membership).quota is None
    (inner / "cpu.max").write_text("max 100000\n")
    assert processors(tmp_path / "groups", membership).quota is None
    (inner.parent / "cpu.max").write_text("250000 100000\n")
    assert processors(tmp_path / "groups", membership).quota == 2.5
    (inner / "cpu.max").write_text("400000 100000\n")
    assert processors(tmp_path / "groups", membership).quota == 2.5


def test_control_groups_of_version_1_and_a_container_that_sees_its_own_as_the_root(tmp_path):
    membership = tmp_path / "cgroup"
    membership.write_text("5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n0::/\n")
    root = tmp_path / "groups" / "cpu,cpuacct"
    root.mkdir(parents=True)
    (root / "cpu.cfs_quota_us").write_text("-1\n")
    (root / "cpu.cfs_period_us").write_text("100000\n")
    assert processors(tmp_path / "groups", membership).quota is None
    (root / "cpu.cfs_quota_us").write_text("150000\n")
    assert processors(tmp_path / "groups", membership).quota == 1.5


def test_processors_are_those_of_the_affinity_and_a_system_without_groups_has_no_quota(tmp_path):
    found = processors(tmp_path, tmp_path / "nothing")
    assert found == (len(os.sched_getaffinity(0)), None)


@pytest.mark.parametrize(
    ("arguments", "original", "expected"),
    [
        (["-m", "config.lr=1"], ["python", "-m", "splade.train", "config.lr=1"], True),
        (["-m"], ["python", "-u", "-m", "splade.train"], True),
        (["-m"], ["python", "-W", "ignore", "-um", "splade.all"], True),
        (["-m"], ["python", "-msplade.train"], True),
        (["-m"], ["python", "-m", "splade"], True),
        (["-m", "splade.train"], ["python", "-m", "mine", "splade.train"], False),
        (["-m"], ["python", "-m", "splades.train"], False),
        (["train.py", "-m"], ["python", "train.py", "-m"], False),
        (["-c"], ["python", "-c", "import splade"], False),
        ([""], ["python"], False),
        ([], [], False),
    ],
)
def test_a_command_is_told_from_a_program_that_imports_the_package(arguments, original, expected):
    assert starts_command(arguments, original) is expected


def test_importing_the_package_sets_nothing(run_python):
    names = (*WAITING, *THREADS)
    code = (
        f"import os; [os.environ.pop(name, None) for name in {names}]; before = dict(os.environ); "
        "import splade, splade.cli, splade.config, splade.threads; print(dict(os.environ) == before)"
    )
    assert run_python(code).split() == ["True"]


@pytest.fixture
def busy():
    """Another program on a processor, from before the test until after it."""
    loop = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    with subprocess.Popen(loop, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        yield
        other.kill()


@pytest.fixture
def met_by_torch(tmp_path):
    """``met_by_torch(command, **environment)`` is the number of spins that stands when a command imports torch."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "import os\nprint(os.environ['GOMP_SPINCOUNT'])\nraise SystemExit(3)"
    )

    def run(command, **environment):
        clean = {name: value for name, value in os.environ.items() if name not in (*WAITING, *THREADS)}
        clean |= {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])} | environment
        asked = [sys.executable, *COMMANDS[command], "config.lr=1e-3"]
        done = subprocess.run(asked, env=clean, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 3, done.stderr
        return done.stdout.strip()

    return run


@pytest.mark.thinned(2)
@pytest.mark.skipif(not TICKS.exists(), reason="processors are read from Linux's /proc")
@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_chooses_before_torch_is_loaded(command, met_by_torch):
    assert met_by_torch(command) == SPINS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_users_own_choice_stands_when_torch_is_loaded(command, met_by_torch):
    assert met_by_torch(command, GOMP_SPINCOUNT="20000") == "20000"


@pytest.mark.slow
@pytest.mark.skipif(not TICKS.exists(), reason="processors are read from Linux's /proc")
@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("command", COMMANDS)
def test_openmp_reads_the_choice_of_a_command_when_torch_loads_it(command, tmp_path):
    found, done = displayed(*COMMANDS[command], "init_dict.model_type_or_dir=nothing/here", cwd=tmp_path)
    if not found:
        pytest.skip("this torch has no libgomp that tells what it has read")
    assert done.returncode == 2, done.stderr
    assert found["GOMP_SPINCOUNT"] == SPINS


@pytest.mark.slow
def test_openmp_reads_the_users_own_choice(tmp_path):
    where = ("-m", "splade.train", "init_dict.model_type_or_dir=nothing/here")
    found, _ = displayed(*where, cwd=tmp_path, GOMP_SPINCOUNT="20000", OMP_NUM_THREADS="3")
    if not found:
        pytest.skip("this torch has no libgomp that tells what it has read")
    assert (found["GOMP_SPINCOUNT"], found["OMP_NUM_THREADS"]) == ("20000", "3")
