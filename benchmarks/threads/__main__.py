"""Seconds of training and encoding by how OpenMP's threads wait, on a quiet machine and beside other programs."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from splade.threads import THREADS, WAITING, policy, processors, taken

DEFAULT, COMMAND, ALONE = "torch's default", "as a command chooses", "one thread"
WAYS: dict[str, dict[str, str]] = {
    DEFAULT: {},
    COMMAND: {},  # and what `policy` chooses at the moment
    ALONE: {"OMP_NUM_THREADS": "1"},
    "PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "1,000 spins": {"GOMP_SPINCOUNT": "1000"},
    "20,000 spins": {"GOMP_SPINCOUNT": "20000"},
    "100,000 spins": {"GOMP_SPINCOUNT": "100000"},
}
STEPS = 15  # of the toy training
TRIPLES, TEXTS = 8, 64  # of the MiniLM shape
LENGTH = 128


class Measured(NamedTuple):
    """One run of one work in one way, beside so many busy loops."""

    work: str
    way: str
    loops: int
    seconds: float  # of the wall clock, loading left out; at the limit where it was stopped there


def main() -> None:
    options = _options()
    if options.worker:
        print(json.dumps(WORKS[options.worker](options.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = _minilm(Path(temporary))
        found = [
            each
            for loops in options.loops
            for each in _measured(options.works, options.ways, loops, folder, options.rounds, options.limit)
        ]
    for loops in options.loops:
        print(f"\n{table([each for each in found if each.loops == loops], options.ways, options.limit)}")
    if options.out:
        options.out.write_text(json.dumps([each._asdict() for each in found], indent=1) + "\n")


def table(found: Sequence[Measured], ways: Sequence[str], limit: float) -> str:
    """Medians of seconds as Markdown, each with the median of its ratios to the base in the same round.

    The base is torch's default on a quiet machine, and one thread beside other programs.
    """
    loops = found[0].loops
    wanted = ALONE if loops else DEFAULT
    base = wanted if wanted in ways else ways[0]
    lines = [f"| beside {loops} busy loops | {' | '.join(ways)} |", "|---|" + "---|" * len(ways)]
    for work in dict.fromkeys(each.work for each in found):
        cells = []
        seconds = {way: [each.seconds for each in found if (each.work, each.way) == (work, way)] for way in ways}
        for way in ways:
            middle = statistics.median(seconds[way])
            ratio = statistics.median(mine / its for mine, its in zip(seconds[way], seconds[base], strict=True))
            over = "over " if middle >= limit else ""
            cells.append(f"{over}{middle:.2f}" + ("" if way == base else f": {ratio:.2f}×"))
        lines.append(f"| {work} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _measured(
    works: Sequence[str], ways: Sequence[str], loops: int, folder: Path, rounds: int, limit: float
) -> Iterator[Measured]:
    with busy(loops):
        for turn in range(rounds):
            for work in works:
                order = ways if turn % 2 == 0 else ways[::-1]
                turns = {way: Measured(work, way, loops, _in_process(work, way, folder, limit)) for way in order}
                for each in turns.values():
                    print(f"{each.loops} loops, {each.work}, {each.way}: {each.seconds:.2f} s", file=sys.stderr)
                yield from turns.values()


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many other programs that each take all of a processor that they can get."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _in_process(work: str, way: str, folder: Path, limit: float) -> float:
    environment = {name: value for name, value in os.environ.items() if name not in (*WAITING, *THREADS)}
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.threads", "--worker", work, "--folder", str(folder)]
    taken.cache_clear()  # a command looks when it is started
    chosen = policy({}, processors(), taken) if way == COMMAND else WAYS[way]
    try:
        done = subprocess.run(
            command, env=environment | chosen, capture_output=True, text=True, timeout=limit, check=True
        )
    except subprocess.TimeoutExpired:
        return limit
    return float(json.loads(done.stdout.splitlines()[-1]))


def _minilm(folder: Path) -> Path:
    """A model of MiniLM's shape, made in a process of its own: this one must not load torch before it measures."""
    code = (
        "import sys; from pathlib import Path; from benchmarks.measure import *; "
        f"make_model(Path(sys.argv[1]), 'minilm', default_tokenizer(), texts_of('data/toy/collection', 64), {LENGTH})"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(folder / "minilm")], check=True)
    return folder / "minilm"


def _toy_training(folder: Path) -> float:  # noqa: ARG001 - it has a model of its own
    """Seconds of ``STEPS`` steps of the quick start's training."""
    from splade.config import configure
    from splade.train import train

    with tempfile.TemporaryDirectory() as place:
        settings = [f"config.checkpoint_dir={place}", f"config.nb_iterations={STEPS}", "config.warmup_steps=0"]
        settings += [f"config.train_monitoring_freq={STEPS}", f"config.record_frequency={STEPS}", "validation=none"]
        config = configure("train", settings)
        train(config)
        row = json.loads((Path(place) / "training_log.jsonl").read_text().splitlines()[0])
        return STEPS * int(config.config.train_batch_size) * 2 / float(row["documents_per_second"])


def _minilm_training(folder: Path) -> float:
    """Seconds of three steps on ``TRIPLES`` triples, after one that does not count."""
    from benchmarks.measure import texts_of
    from benchmarks.train_step.__main__ import _ours, _triples, passages
    from splade.models import Splade

    columns = _triples(passages(texts_of("data/toy/collection", 2 * TRIPLES), 2 * TRIPLES))
    step = _ours(Splade(folder, max_length=LENGTH).train(), columns, None)
    return _timed(step, 3)


def _toy_encoding(folder: Path) -> float:  # noqa: ARG001 - it has a model of its own
    """Seconds of encoding 1,000 toy passages, after once that does not count."""
    return _encoding("data/toy/encoder", 1000, 1)


def _minilm_encoding(folder: Path) -> float:
    """Seconds of encoding ``TEXTS`` toy passages three times, after once that does not count."""
    return _encoding(str(folder), TEXTS, 3)


def _encoding(model: str, n_texts: int, times: int) -> float:
    from benchmarks.measure import texts_of
    from splade.encoding import Encoder
    from splade.models import Splade

    texts = texts_of("data/toy/collection", n_texts)
    encoder = Encoder(Splade(model, max_length=LENGTH), "document", batch_size=32, device="cpu")
    return _timed(lambda: encoder.encode_all(texts), times)


def _timed(run: Callable[[], object], times: int) -> float:
    run()
    start = time.perf_counter()
    for _ in range(times):
        run()
    return time.perf_counter() - start


WORKS: dict[str, Callable[[Path], float]] = {
    f"toy training, {STEPS} steps": _toy_training,
    f"MiniLM training, 3 steps of {TRIPLES} triples": _minilm_training,
    "toy encoding, 1,000 passages": _toy_encoding,
    f"MiniLM encoding, 3 × {TEXTS} passages": _minilm_encoding,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loops", type=int, nargs="*", default=[0, 1, 2], help="busy loops beside it, one table each")
    parser.add_argument("--works", nargs="*", choices=WORKS, default=list(WORKS))
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument(
        "--limit", type=float, default=120.0, help="seconds after which one run is stopped, loading included"
    )
    parser.add_argument("--out", type=Path, help="a JSON file for every single run")
    parser.add_argument("--worker", choices=WORKS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
