"""Check and time splade on one GPU, in 8 minutes; on a processor, try this script itself in small sizes.

python scripts/gpu_check.py [--parts head nan …] [--out gpu_check.jsonl] [--seconds 480]

Run it in the repository's root. Each part prints JSON lines, and what fails is a line too: the other parts go on.
A line with "ok" is a verification. The exit code is 1 where one failed, or a part did.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for benchmarks, which is not installed

import torch  # noqa: E402

from benchmarks.gpu import encoding, head, training  # noqa: E402
from benchmarks.gpu.machine import Machine, Row, name_of  # noqa: E402

Part = Callable[[Machine], Iterator[Row]]


def machine(here: Machine) -> Iterator[Row]:
    """What is checked, and which ways its heads have."""
    spec = importlib.util.find_spec("triton")
    properties = torch.cuda.get_device_properties(here.device) if here.is_gpu else None
    yield {
        "torch": torch.__version__,
        "triton": importlib.import_module("triton").__version__ if spec else None,
        "cuda": torch.version.cuda,
        "device": properties.name if properties else "cpu",
        "capability": here.capability,
        "memory_gib": properties.total_memory / 2**30 if properties else None,
        "architectures": torch.cuda.get_arch_list() if here.is_gpu else [],
        "ways": {name_of(dtype): head.ways(here, dtype) for dtype in here.types},
    }


def tests(here: Machine) -> Iterator[Row]:
    """The tests that need a GPU."""
    if not here.is_gpu:
        yield {"skipped": "no GPU"}
        return
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    }
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment, timeout=180)
    yield {"ok": done.returncode == 0, "told": done.stdout[-2000:]}


PARTS: dict[str, Part] = {
    "machine": machine,
    "head": head.head,
    "nan": head.nan,
    "scaler": training.scaler,
    "encoder": training.encoder,
    "syncs": training.syncs,
    "objective": training.objective,
    "encode": encoding.encode,
    "dropout": training.dropout,
    "plain": head.plain,
    "groups": head.groups,
    "tiles": head.tiles,
    "tests": tests,
    "compiled": encoding.compiled,
}
"""In the order of what is most worth knowing."""


def run(name: str, here: Machine, say: Callable[[Row], None]) -> bool:
    """Run one part, saying what it finds; whether it went through and all its verifications hold."""
    start, good = time.perf_counter(), True
    try:
        for row in PARTS[name](here):
            good &= bool(row.get("ok", True))
            say({"part": name, **row})
    except Exception:
        good = False
        say({"part": name, "ok": False, "failed": traceback.format_exc()[-2000:]})
    if here.is_gpu:
        torch.cuda.empty_cache()
    say({"part": name, "seconds": round(time.perf_counter() - start, 1)})
    return good


def run_all(names: list[str], here: Machine, say: Callable[[Row], None], seconds: float) -> bool:
    """Run the parts, none begun after ``seconds``; whether all went well."""
    start, bad, left_out = time.perf_counter(), [], []
    for name in names:
        if time.perf_counter() - start > seconds:
            left_out.append(name)
        elif not run(name, here, say):
            bad.append(name)
    took = round(time.perf_counter() - start, 1)
    say({"part": "all", "ok": not bad, "failed": bad, "left_out": left_out, "seconds": took})
    return not bad


def teller(stream: IO[str]) -> Callable[[Row], None]:
    """A function that prints a row, and writes it to ``stream``, at once."""

    def say(row: Row) -> None:
        line = json.dumps(row, default=str)
        print(line, flush=True)
        stream.write(line + "\n")
        stream.flush()

    return say


def main() -> int:
    """Run what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="those to run (all)")
    parser.add_argument("--out", type=Path, default=Path("gpu_check.jsonl"), help="file that the lines are added to")
    parser.add_argument("--device", help="cuda:1, say; the first GPU, or the processor where there is none")
    parser.add_argument("--seconds", type=float, default=480, help="after so many no part is begun (480)")
    options = parser.parse_args()
    here = Machine(options.device)
    if here.is_gpu:
        torch.cuda.set_device(here.device)
    with options.out.open("a", encoding="utf-8") as stream:
        return 0 if run_all(options.parts, here, teller(stream), options.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
