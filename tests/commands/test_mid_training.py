"""Mid-training by its config alone, and another config that starts from what it writes."""

import json

import pytest

from splade.files import read_json
from splade.models import Splade
from tests.training.toy import same

SHORT = ("config.train_batch_size=8", "config.warmup_steps=2", "config.train_monitoring_freq=1", "config.max_length=64")


def losses(folder):
    rows = [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.slow
def test_the_toy_config_lowers_its_loss_and_the_quick_start_goes_on_from_its_folder(splade, tmp_path):
    mid, tuned = tmp_path / "mid", tmp_path / "tuned"
    toy = {"cwd": tmp_path, "SPLADE_CONFIG_NAME": "config_mid_training_toy"}
    splade("train", f"config.checkpoint_dir={mid}", "config.nb_iterations=20", *SHORT, **toy)
    found = losses(mid)
    assert len(found) == 20
    assert sum(found[-5:]) < 0.95 * sum(found[:5])
    assert read_json(mid / "model" / "splade.json")["extra"]["training_step"] == 20
    start = f"init_dict.model_type_or_dir={mid}/model"
    splade(
        "train", start, f"config.checkpoint_dir={tuned}", "config.nb_iterations=2", "validation=none", *SHORT,
        cwd=tmp_path,
    )  # fmt: skip
    assert len(losses(tuned)) == 2
    before, after = (Splade(folder / "model", max_length=64).state_dict() for folder in (mid, tuned))
    assert not same(before, after)
    for name, weight in before.items():  # two small steps from there, not from somewhere else
        assert (after[name] - weight).abs().max() < 0.01
