"""Running the blocks of a page in one folder, at the price of forks.

A block of bash runs in bash. Its ``python``, ``splade`` and ``torchrun`` are programs that hand their arguments to this
process, which has `tests.forked` run them; a training takes a few steps.
"""

import json
import os
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests import forked
from tests.conftest import PATIENCE, ROOT
from tests.docs.blocks import Block

PROGRAM = f"""\
#!{sys.executable} -SE
import json, os, socket, sys
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
if name.startswith("python") and arguments[:1] == ["-"]:
    arguments = ["-c", sys.stdin.read(), *arguments[1:]]
asked = dict(name=name, arguments=arguments, cwd=os.getcwd(), environment=dict(os.environ))
with socket.socket(socket.AF_UNIX) as line:
    line.connect(os.environ["SPLADE_DOCS_SOCKET"])
    line.sendall((json.dumps(asked) + "\\n").encode())
    ended = json.loads(line.makefile().readline())
sys.stdout.write(ended["out"])
sys.stderr.write(ended["err"])
sys.exit(ended["status"])
"""
STATE = """\
[ -f "$SPLADE_DOCS_STATE" ] && . "$SPLADE_DOCS_STATE"
trap 'export -p > "$SPLADE_DOCS_STATE"; printf "cd %q\\n" "$PWD" >> "$SPLADE_DOCS_STATE"' EXIT
"""
STEPS = ("config.nb_iterations=4", "config.warmup_steps=1", "config.record_frequency=4")
HF_STEPS = (
    "hf.training.max_steps=4",
    "hf.training.warmup_ratio=0",
    "hf.training.warmup_steps=1",
    "hf.training.save_steps=4",
)
FEWER = {"train": STEPS, "all": STEPS, "distil": STEPS, "hf_train": HF_STEPS, "hf_train_reranker": STEPS[:2]}
"""Pages train for minutes; that the commands run is seen in a few steps, without validation."""
VALIDATED = ("train", "all", "distil", "hf_train")
OF_VALIDATION = ("validation", "VALIDATION", "monitoring", "early_stopping", "patience")


class Told(NamedTuple):
    """The output of a block: standard output, and standard error."""

    out: str
    err: str


class BlockError(AssertionError):
    """A block did not run, or printed something else than its page shows."""


def run_page(blocks: list[Block], folder: Path) -> list[Told]:
    """The output of each block that runs, in order, in ``folder``; BlockError names the first that fails."""
    toy = folder / "data/toy"
    if not toy.exists():
        toy.parent.mkdir(parents=True, exist_ok=True)
        toy.symlink_to(ROOT / "data/toy")
    with _programs() as around:
        return [run_block(block, folder, around) for block in blocks if block.runs]


def run_block(block: Block, folder: Path, around: dict[str, str]) -> Told:
    """The output of one block, compared with the one that its page shows."""
    if block.file is not None:
        (folder / block.file).write_text(block.text)
        status, told = 0, Told("", "")
    elif block.language == "python":
        ended = forked.run("-c", block.text, cwd=folder)[0]
        status, told = ended.status, Told(ended.out, ended.err)
    else:
        bash = ["bash", "-e", "-o", "pipefail", "-c", STATE + block.text]
        done = subprocess.run(
            bash, cwd=folder, env=around, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        status, told = done.returncode, Told(done.stdout, done.stderr)
    if status:
        raise BlockError(f"{block.place}: ended with status {status}\n{block.text}\n{told.err[-4000:]}")
    if block.output is not None and told.out.rstrip() != block.output.rstrip():
        raise BlockError(f"{block.place} shows\n{block.output}\nand printed\n{told.out}")
    return told


def shortened(name: str, arguments: list[str], config: str = "") -> list[str]:
    """The arguments of the command ``name``, which trains for a few steps unless they say for how many."""
    if {"--cfg", "--help"} & {*arguments} or name not in FEWER:
        return arguments
    steps = HF_STEPS if name == "train" and "_hf_" in config else FEWER[name]
    given = {each.partition("=")[0] for each in arguments}
    more = [each for each in steps if each.partition("=")[0] not in given]
    validates = any(
        word in each for each in arguments for word in ("validation", "VALIDATION", "monitoring", "patience")
    )
    return [*arguments, *more, *["validation=none"] * (name in VALIDATED and not validates)]


@contextmanager
def _programs() -> Iterator[dict[str, str]]:
    """The environment of a page's shell, whose programs ask this process."""
    with tempfile.TemporaryDirectory(prefix="docs") as place:
        folder = Path(place)
        for name in ("python", "python3", "splade", "torchrun"):
            (folder / name).write_text(PROGRAM)
            (folder / name).chmod(0o755)
        with socketserver.UnixStreamServer(str(folder / "socket"), _Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield {name: value for name, value in os.environ.items() if name not in forked.LEFT_OUT} | {
                "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
                "SPLADE_DOCS_SOCKET": str(folder / "socket"),
                "SPLADE_DOCS_STATE": str(folder / "state"),
            }
            server.shutdown()


class _Handler(socketserver.StreamRequestHandler):
    """Answers one program: runs it in forks, and says how the first of them ended."""

    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        try:
            ended = answered(**asked)._asdict()
        except Exception as error:
            ended = {"status": 1, "out": "", "err": f"tests/docs/running.py: {error!r}\n"}
        self.wfile.write((json.dumps(ended) + "\n").encode())


def answered(name: str, arguments: list[str], cwd: str, environment: dict[str, str]) -> forked.Ended:
    """How a program of a page's shell ended."""
    processes = 1
    if name == "torchrun":
        processes, arguments = 2, arguments[arguments.index("-m") :]
    config = environment.get("SPLADE_CONFIG_NAME", "")
    if name == "splade":
        arguments = ["-m", "splade", *arguments[:1], *shortened("".join(arguments[:1]), arguments[1:], config)]
    elif arguments[0] == "-m" and arguments[1].startswith("splade."):
        arguments = [*arguments[:2], *shortened(arguments[1].removeprefix("splade."), arguments[2:], config)]
    if arguments[0] not in ("-m", "-c"):
        script, *rest = arguments
        code = f"import runpy, sys; sys.argv = {[script, *rest]!r}; runpy.run_path({script!r}, run_name='__main__')"
        arguments = ["-c", code]
    return forked.run(*arguments, cwd=Path(cwd), processes=processes, **environment)[0]
