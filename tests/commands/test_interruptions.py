"""Ctrl-C and SIGKILL in the middle: the same command continues, and ends as if nothing had happened."""

import json
import random
import signal
from pathlib import Path

import pytest

from tests.commands.world import PASSAGES
from tests.cutting import Cut, Run, outcomes

INDEX = (
    "index",
    "init_dict.model_type_or_dir=MODEL",
    "config.pretrained_no_yamlconfig=true",
    "data.COLLECTION_PATH=data/many",
    "config.index_memory_mb=1",
    "config.index_retrieve_batch_size=16",
)
TRAIN = (
    "train",
    "init_dict.model_type_or_dir=MODEL",
    "data.type=triplets",
    "data.TRAIN_DATA_DIR=data/msmarco/triplets",
    "loss=in_batch",
    "validation=none",
    "config.nb_iterations=16",
    "config.warmup_steps=3",
    "config.train_batch_size=4",
    "config.train_monitoring_freq=3",
    "config.record_frequency=4",
)


OWN_TO_A_RUN = ("describe.json", "build_costs.json")
"""Files of what a run was and what it took."""


def contents(folder: Path) -> dict[str, bytes]:
    """The files below ``folder`` that must not depend on interruptions."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".bin", ".json", ".safetensors") and path.name not in OWN_TO_A_RUN
    }


@pytest.fixture(scope="module")
def many(workplace):
    """The workplace with a collection of several segments."""
    words = " ".join(PASSAGES).split()
    chance = random.Random(0)
    lines = (f"d{number}\t{' '.join(chance.choices(words, k=12))}\n" for number in range(2200))
    (workplace / "data" / "many").mkdir(exist_ok=True)
    (workplace / "data" / "many" / "raw.tsv").write_text("".join(lines))
    return workplace


@pytest.mark.slow  # the library's own, in tests/indexing/building, are in every run
def test_an_interrupted_or_killed_indexing_continues_to_the_same_bytes(many):
    def index(name: str, cut: Cut | None = None) -> Run:
        return (*INDEX, f"config.index_dir=cut/{name}"), cut

    one_segment = ("*/journal.json", 2)  # the first journal lists none
    search = ("retrieve", *INDEX[1:], "config.index_dir=cut/killed", "config.out_dir=cut/out")
    straight, early, stopped, stopped_again, killed, searched, killed_again = outcomes(
        many,
        [
            index("straight"),
            index("stopped", Cut(signal.SIGINT, "0")),  # the first text is wanted, nothing is stored
            index("stopped", Cut(signal.SIGINT, *one_segment)),
            index("stopped"),
            index("killed", Cut(signal.SIGKILL, *one_segment)),
            (search, None),
            index("killed"),
        ],
    )
    assert straight[0] == 0, straight[1]
    for code, told in (early, stopped):
        assert code == 130, told
        assert "Traceback" not in told
    assert "the same command continues there" in stopped[1]
    assert killed[0] == -signal.SIGKILL
    assert searched[0] == 2
    assert "there is no index here; building one was interrupted" in searched[1]
    for name, (code, told) in (("stopped", stopped_again), ("killed", killed_again)):
        assert code == 0, told
        assert "continuing after" in told
        assert contents(many / "cut" / name) == contents(many / "cut" / "straight")
        assert not (many / "cut" / f".{name}.building").exists()


@pytest.mark.slow
def test_an_interrupted_or_killed_training_continues_to_the_same_weights(many):
    def train(name: str, number: int = 0) -> Run:
        cut = Cut(number, f"*/{name}/model_ckpt/last") if number else None
        return (*TRAIN, f"config.checkpoint_dir=cut/{name}"), cut

    straight, stopped, stopped_again, killed, killed_again, finished = outcomes(
        many,
        [
            train("whole"),
            train("halted", signal.SIGINT),
            train("halted"),
            train("shot", signal.SIGKILL),
            train("shot"),
            train("shot"),
        ],
    )
    assert straight[0] == 0, straight[1]
    assert stopped[0] == 130
    assert "the same command continues from" in stopped[1]
    assert "Traceback" not in stopped[1]
    assert killed[0] == -signal.SIGKILL
    for name, (code, told) in (("halted", stopped_again), ("shot", killed_again)):
        assert code == 0, told
        assert "continuing the training" in told
        assert contents(many / "cut" / name / "model") == contents(many / "cut" / "whole" / "model")
        log = (many / "cut" / name / "training_log.jsonl").read_text()
        steps = [json.loads(line)["step"] for line in log.splitlines()]
        assert steps == sorted(set(steps))
    assert "nothing to do" in finished[1]
