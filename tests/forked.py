"""Processes of their own at the price of a fork.

Loading torch, transformers and the package takes seconds of a core, and a test of two processes would pay them twice.
`run` therefore asks a server, one for all processes of a run of pytest: once somebody asks, it has all of it loaded,
runs nothing, and forks. Each process that asks has a fork of the server to itself. A child is what a new interpreter
would be: its environment, folder and arguments are those asked for, and it ends as an interpreter does.

Several processes have the environment that ``torchrun`` gives them, and a store in a process of its own as there.
Threads do not survive a fork, so the server has none.
"""

import atexit
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

from tests.conftest import PATIENCE, ROOT

# What nearly every child needs. Nothing of it may start a thread or read the environment for good.
LOADED = (
    "numba",
    "torch",
    "torch.distributed.fsdp",
    "torch.utils.checkpoint",
    "torch._dynamo",
    "transformers.models.bert.modeling_bert",
    "transformers.models.distilbert.modeling_distilbert",
    "pytest",
    "splade.cli",
    "splade.train",
    "splade.index",
    "splade.retrieve",
    "tests.training.toy",
)
SHARED = "SPLADE_TESTS_FORKS"  # in the environment: where a server listens that processes of pytest share
LEFT_OUT = ("SPLADE_CONFIG_NAME", "SPLADE_CONFIG_FULLPATH", "PYTEST_CURRENT_TEST", SHARED)


class Ended(NamedTuple):
    """How a process ended: its exit status (negative: the signal that killed it), and what it printed."""

    status: int
    out: str
    err: str


def run(*arguments: object, cwd: Path = ROOT, processes: int = 1, **environment: str) -> list[Ended]:
    """How each of so many processes ended that ran ``python *arguments``: ``-m MODULE …`` or ``-c CODE …``.

    When one of several fails, the others get SIGTERM, as from ``torchrun``. ``environment`` is added to that of this
    process, less the settings of a config and of pytest.
    """
    around = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    around |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    asked = {"arguments": [str(each) for each in arguments], "cwd": str(cwd), "environment": around}
    if os.getpid() not in _LINES:
        _LINES[os.getpid()] = line_to_server()
    return ask(_LINES[os.getpid()], asked | {"processes": processes})


def ask(line: TextIO, asked: Mapping[str, Any]) -> list[Ended]:
    """How what was asked on a line ended."""
    line.write(json.dumps(asked) + "\n")
    line.flush()
    answer = line.readline()
    assert answer, "the server of forks has ended; what it said is on standard error"
    return [Ended(*each) for each in json.loads(answer)]


def run_well(*arguments: object, cwd: Path = ROOT, processes: int = 1, **environment: str) -> list[Ended]:
    """As `run`, of processes that must not fail."""
    ended = run(*arguments, cwd=cwd, processes=processes, **environment)
    assert not any(each.status for each in ended), "\n\n".join(f"{each.status}: {each.err}" for each in ended)
    return ended


_LINES: dict[int, TextIO] = {}  # by the process that asks: a fork of it needs a line of its own


def line_to_server() -> TextIO:
    """A line to the server; what is asked on one does not wait for what was asked on another."""
    if SHARED not in os.environ:
        os.environ[SHARED] = begin()
    with socket.socket(socket.AF_UNIX) as connected:
        connected.connect(os.environ[SHARED])
        return connected.makefile("rw")


def begin() -> str:
    """Begin a server that ends with this process, and return where it listens; it loads when first connected to."""
    folder = tempfile.mkdtemp(prefix="forks")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/socket")
        listening.listen()
        server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.forked", str(listening.fileno())], cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE, pass_fds=[listening.fileno()],
        )  # fmt: skip
    atexit.register(_end, os.getpid(), server, folder)
    return f"{folder}/socket"


def _end(asker: int, server: "subprocess.Popen[bytes]", folder: str) -> None:
    if asker == os.getpid():
        assert server.stdin is not None
        server.stdin.close()
        server.wait(PATIENCE)
        shutil.rmtree(folder)


class Child(NamedTuple):
    """What a forked process is to run, handed up to the module's end, out of the server's frames."""

    arguments: list[str]


def _serve(listening: socket.socket) -> Child | None:
    """Have a fork answer each who connects; returns in a child, and at the end of standard input."""
    loaded = False
    while True:
        ready, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in ready:
            return None
        connected, _ = listening.accept()
        if not loaded:
            _load()
            loaded = True
        if not os.fork():
            listening.close()
            child = _answers(connected)
            if child is None:
                os._exit(0)  # its memory is left to the system
            return child
        connected.close()


def _load() -> None:
    import importlib

    gc.disable()  # what is loaded stays
    for name in LOADED:
        importlib.import_module(name)
    _prepare()
    gc.freeze()
    gc.enable()


def _answers(connected: socket.socket) -> Child | None:
    """Answer every line that comes; returns in a child, and when no more can come."""
    with connected, connected.makefile("rw") as line:
        for text in line:
            assert threading.active_count() == 1, "the server of forks has threads"
            child = _answer(line, **json.loads(text))
            if child is not None:
                return child
    return None


def _prepare() -> None:
    """Have the machine code of an index and its search, and the shipped configs, at hand in every child."""
    from splade.config import configure
    from splade.indexing import InvertedIndex
    from splade.search import Searcher
    from tests.kernels.cases import random_batch

    configure("train")  # whose files are then known

    batch = random_batch(0, 200, 30)
    index = InvertedIndex.from_csr(batch, cluster=True)
    list(Searcher(index).search(batch, 5))


def _answer(line: TextIO, arguments: list[str], cwd: str, environment: dict[str, str], processes: int) -> Child | None:
    store = 0
    if processes > 1:
        store, port = _store()
        environment = environment | _of_torchrun(processes, port)
    told: dict[int, tuple[int, int]] = {}
    for rank in range(processes):
        out, err = os.memfd_create("out"), os.memfd_create("err")
        pid = os.fork()
        if not pid:
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "GROUP_RANK": "0"} if processes > 1 else {}
            _become(cwd, environment | own, out, err)
            return Child(arguments)
        told[pid] = out, err
    ended = _ends(list(told))
    if store:
        os.kill(store, signal.SIGKILL)
        os.waitpid(store, 0)
    answer = [Ended(ended[pid], _said(out), _said(err)) for pid, (out, err) in told.items()]
    line.write(json.dumps(answer) + "\n")
    line.flush()
    return None


def _ends(pids: list[int]) -> dict[int, int]:
    """The exit status of each of these; once one has failed, the others are asked to end."""
    ended: dict[int, int] = {}
    while len(ended) < len(pids):
        pid, how = os.wait()
        if pid not in pids:
            continue  # the store: its failure shows in those that need it
        ended[pid] = os.waitstatus_to_exitcode(how)
        if ended[pid]:
            for other in set(pids) - ended.keys():
                os.kill(other, signal.SIGTERM)
    return ended


def _store() -> tuple[int, int]:
    """The process that holds the store in which several find each other, and its port."""
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        from torch.distributed import TCPStore

        held = TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)
        os.write(there, f"{held.port}\n".encode())
        while True:
            signal.pause()
    os.close(there)
    with os.fdopen(here) as stream:
        return pid, int(stream.readline())


def _of_torchrun(processes: int, port: int) -> dict[str, str]:
    sizes = dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(processes))
    return sizes | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}


def _become(cwd: str, environment: Mapping[str, str], out: int, err: int) -> None:
    """Make this fork what a new interpreter in that folder and environment would be."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for mine, of_interpreter in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(mine, of_interpreter)


def _said(file: int) -> str:
    said = os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")
    os.close(file)
    return said


def _run(child: Child) -> None:
    how, what, *arguments = child.arguments
    sys.path[0] = str(Path.cwd()) if how == "-m" else ""  # where the server itself was launched
    if how == "-m":
        sys.argv = [what, *arguments]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        assert how == "-c", child.arguments
        sys.argv = ["-c", *arguments]
        scope: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
        exec(compile(what, "<string>", "exec"), scope)


def _end_as_interpreter(child: Child) -> NoReturn:
    """Run ``child`` and end as an interpreter does, but leave its memory to the system, which saves seconds."""
    status = 0
    try:
        _run(child)
    except SystemExit as ended:
        if ended.code is not None and not isinstance(ended.code, int):
            print(ended.code, file=sys.stderr)
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # whatever it is, an interpreter prints it
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    chosen = _serve(socket.socket(fileno=int(sys.argv[1])))
    if chosen is not None:
        _end_as_interpreter(chosen)
