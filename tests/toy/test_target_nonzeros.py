"""The controller of λ on the toy collection, as the command line starts it."""

import json

import pytest

from tests.commands.conftest import splade  # noqa: F401 - a fixture

TARGETS = {"L0_q": 15, "L0_d": 60}


@pytest.mark.slow
@pytest.mark.parametrize("start", ["1e-4", "1e-2", "1"])
def test_the_targets_are_reached_within_a_tenth_from_any_start(start, splade, tmp_path):  # noqa: F811
    flops = {"lambda_q": start, "lambda_d": start, "T": 20, "target_q": 15, "target_d": 60, "target_steps": 10}
    splade(
        "train", *(f"config.regularizer.FLOPS.{name}={value}" for name, value in flops.items()),
        "config.nb_iterations=400", "config.train_monitoring_freq=20", "validation=none",
        "config.checkpoint_dir=checkpoint", cwd=tmp_path,
    )  # fmt: skip
    log = [json.loads(line) for line in (tmp_path / "checkpoint" / "training_log.jsonl").read_text().splitlines()]
    for name, target in TARGETS.items():
        seen = [record[name] for record in log][-5:]  # of a hundred steps
        assert sum(seen) / len(seen) == pytest.approx(target, rel=0.1)
