"""What `pip install` brings: every command runs from a wheel, in an empty folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A wheel built from this checkout, unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(installed, cwd, *arguments):
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    for name in ("SPLADE_CONFIG_NAME", "SPLADE_CONFIG_FULLPATH"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )


def test_a_wheel_holds_configs_toy_data_expected_values_and_the_console_script(installed):
    for file in ("catalog.yaml", "wiring/losses.yaml", "efficient_splade/config_V_large.yaml"):
        assert (installed / "splade/conf" / file).is_file()
    for file in ("splade/toy/collection/raw.tsv", "splade/toy/encoder/model.safetensors"):
        assert (installed / file).is_file()
    for file in (
        "expected/splade.yaml",
        "reports/page.css",
        "serving/page/index.html",
        "serving/page/search.js",
        "engines/places/libraries/LuceneServer.java",
    ):
        assert (installed / "splade" / file).is_file()
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    assert "splade = splade.cli:main" in entry_points.read_text()


SMALL = ("config.nb_iterations=1", "config.warmup_steps=0", "config.train_batch_size=2", "config.record_frequency=1")


@pytest.mark.slow
def test_a_training_runs_from_a_wheel_in_an_empty_folder(installed, tmp_path):
    small = (*SMALL, "config.checkpoint_dir=run", "validation=none")
    shown = run(installed, tmp_path, "splade.train", *small, "--cfg", "job", "--resolve")
    assert str(installed / "splade" / "toy") in shown.stdout
    done = run(installed, tmp_path, "splade.train", *small)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow  # every kernel is compiled anew, as after an installation
def test_all_runs_from_a_wheel_in_an_empty_folder(installed, tmp_path):
    where = [f"config.{kind}_dir=run/{kind}" for kind in ("checkpoint", "index", "out")]
    done = run(installed, tmp_path, "splade.all", *where, *SMALL)
    assert done.returncode == 0, done.stderr
    assert str(installed / "splade" / "toy") in (tmp_path / "run/out/TOY/details.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
