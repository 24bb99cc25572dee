"""Every example of the pages on extending works from a folder outside the package, and keeps its kind's contract."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, ROOT
from tests.forked import run_well
from tests.sampled import sampled

PAGES = [(ROOT / "docs" / name).read_text() for name in ("extending.md", "extending-search.md")]
PAGE = "\n".join(PAGES)
FILE = re.compile(r"```python\n# (\w+)\.py\n(.*?)```", re.S)
COMMAND = re.compile(r"((?:\w+=\S+ )*)python (-m splade\..*|-c .*)")
FEWER = ("config.nb_iterations=2", "config.warmup_steps=0", "config.record_frequency=2", "validation=none")
ALONE = {"Loss": "hinge", "Penalty": "hoyer", "Reader": "notes", "Engine": "found"}
"""Sections whose commands need no other's, and a folder that they write."""
CHECKS = """
import sys, numpy
from pathlib import Path
from splade import conformance
from splade.config import toy_dir
import my_losses, my_penalties, my_models, my_readers, my_strategies, my_targets
conformance.check_loss(my_losses.Hinge())
conformance.check_penalty(my_penalties.Hoyer())
conformance.check_model(my_models.Powers(toy_dir() / "encoder", max_length=64))
conformance.check_reader("my_readers.paragraphs", "texts.txt")
conformance.check_strategy("my_strategies.Brute")
conformance.check_export_target(my_targets.Lines(), Path("exported"))
print("kept")
"""


@pytest.fixture
def launch(tmp_path) -> Path:
    """A folder with the modules of the page."""
    for module, text in FILE.findall(PAGE):
        (tmp_path / f"{module}.py").write_text(text)
    return tmp_path


def commands(section: str) -> list[str]:
    """The command lines of a section."""
    (text,) = re.findall(rf"## {section}\n(.*?)(?=\n## |\Z)", PAGE, re.S)
    return [line for block in re.findall(r"```bash\n(.*?)```", text, re.S) for line in block.splitlines()]


def run_line(line: str, folder: Path) -> str:
    """What a command line prints: Python in a fork, anything else in bash."""
    match = COMMAND.fullmatch(line)
    if match is None:
        subprocess.run(["bash", "-e", "-c", line], cwd=folder, check=True, timeout=PATIENCE)
        return ""
    given = dict(assignment.split("=", 1) for assignment in match[1].split())
    arguments = shlex.split(match[2])
    trains = arguments[1] in ("splade.train", "splade.all")
    (ended,) = run_well(*arguments, *(FEWER if trains else ()), cwd=folder, **given)
    return ended.err


# Losses and penalties of one's own are composed, made and trained in tests/config, too.
@pytest.mark.parametrize("section", sampled(ALONE, "Reader"))
def test_the_commands_of_a_section_run(section, launch):
    for line in commands(section):
        run_line(line, launch)
    assert any((launch / ALONE[section]).iterdir())


@pytest.mark.slow
def test_a_model_of_ones_own_is_trained_and_saved_as_what_it_is(launch):
    for line in commands("Model"):
        run_line(line, launch)
    saved = json.loads((launch / "experiments/default/checkpoint/model/splade.json").read_text())
    assert (saved["kind"], saved["settings"]["power"]) == ("my_models.Powers", 3)


@pytest.mark.slow
def test_the_toy_index_is_searched_by_an_own_strategy_and_vectors_are_exported(launch):
    for section in ("Search strategy", "Export target"):
        for line in commands(section):
            run_line(line, launch)
    told = json.loads((launch / "own/out/TOY/stats/search_stats.json").read_text())
    assert told["strategy"] == "my_strategies.Brute"
    first = json.loads((launch / "exported/documents.jsonl").read_text().splitlines()[0])
    assert first["terms"]
    assert all(round(weight, 2) == weight for weight in first["terms"].values())


def test_every_example_keeps_the_contract_of_its_kind(launch):
    (launch / "texts.txt").write_text("Honey.\n\nEngines.")
    assert run_well("-c", CHECKS, cwd=launch)[0].out == "kept\n"


def test_the_examples_are_short():
    long = [name for name, text in FILE.findall(PAGE) if len([line for line in text.splitlines() if line]) > 20]
    assert long == ["my_engine"]
    assert len(FILE.findall(PAGE)) == 7
