"""A published loss is one class and one line of the catalog."""

import shutil
import sys

import pytest

from splade.config import configure
from splade.config.checking import wiring
from splade.config.composing import choose
from splade.train import train
from tests.conftest import ROOT

CLASS = """
from splade.losses import Loss


class Zebra(Loss):
    needs_teacher = True

    def value(self, scores):
        return (scores.group - scores.teacher).square().mean()
"""
LINE = "    Zebra: zebra_loss.Zebra\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The shipped configs with one line more, and the class that it names."""
    conf = tmp_path / "splade" / "conf"
    shutil.copytree(ROOT / "conf", conf)
    (tmp_path / "splade" / "toy").symlink_to(ROOT / "data" / "toy")
    text = (conf / "catalog.yaml").read_text()
    assert text.count("\n  loss: # config.loss\n") == 1
    (conf / "catalog.yaml").write_text(text.replace("  loss: # config.loss\n", f"  loss: # config.loss\n{LINE}"))
    (tmp_path / "zebra_loss.py").write_text(CLASS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(choose, "PACKAGE", tmp_path / "splade")
    wiring.unresolved_components.cache_clear()
    yield tmp_path
    wiring.unresolved_components.cache_clear()
    sys.modules.pop("zebra_loss", None)


def test_a_loss_is_published_by_one_class_and_one_line(package, tmp_path):
    added = {}
    for file in (ROOT / "conf").rglob("*.yaml"):
        name = str(file.relative_to(ROOT / "conf"))
        added[name] = set((package / "splade/conf" / name).read_text().splitlines()) - set(
            file.read_text().splitlines()
        )
    assert {name: lines for name, lines in added.items() if lines} == {"catalog.yaml": {LINE.rstrip()}}
    files = [file for top in ("splade", "conf", "scripts") for file in (ROOT / top).rglob("*.*")]
    assert [file for file in files if b"Zebra" in file.read_bytes()] == []
    cfg = configure(
        "train",
        [
            "config.loss=Zebra", "train/data=toy_hard_negatives", "~config.augment_pairs", "validation=none",
            "config.nb_iterations=2", "config.warmup_steps=0", "config.train_batch_size=2", "config.record_frequency=2",
            f"config.checkpoint_dir={tmp_path / 'run'}",
        ],
    )  # fmt: skip
    assert cfg.examples.with_teacher is True  # as the class says, and no list beside it
    assert train(cfg).steps_now == 2
    told = (tmp_path / "run" / "config.yaml").read_text()
    assert "loss: Zebra" in told
