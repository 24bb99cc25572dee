"""The commands of the pages for newcomers run as they are written, in an empty folder."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, ROOT
from tests.forked import run_well

PAGES = (
    "start.md",
    "concepts.md",
    "choosing.md",
    "search.md",
    "index-format.md",
    "training.md",
    "losses.md",
    "processes.md",
    "models.md",
    "bm25.md",
    "checkpoints.md",
    "data.md",
    "training-data.md",
    "mining.md",
    "reranking.md",
    "encoding.md",
    "evaluation.md",
    "gpu.md",
    "from-naver.md",
    "from-sentence-transformers.md",
)
BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.S)
COMMAND = re.compile(r"((?:\w+=\S+ )*)python (-m splade\..*)")
# What the pages train takes a minute; that it runs is seen in a few steps.
FEWER = ("config.nb_iterations=4", "config.warmup_steps=1", "config.record_frequency=4", "validation=none")


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of each block of a page, but for those whose first line says that they are not run."""
    found = BLOCK.findall((ROOT / "docs" / page).read_text())
    return [(language, text) for language, text in found if not text.startswith("# not run")]


def run_block(language: str, text: str, folder: Path) -> str:
    """What a block prints in ``folder``: Python and the package's commands in forks, anything else in bash."""
    if language == "python":
        return run_well("-c", text, cwd=folder)[0].out
    match = COMMAND.fullmatch(text.strip())
    if match is None:
        done = subprocess.run(
            ["bash", "-e"], input=text, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
    given = dict(assignment.split("=", 1) for assignment in match[1].split())
    arguments = shlex.split(match[2])
    trains = arguments[1] in ("splade.train", "splade.all")
    return run_well(*arguments, *(FEWER if trains else ()), cwd=folder, **given)[0].err


@pytest.mark.slow
@pytest.mark.parametrize(("page", "folder"), [("concepts.md", "concepts"), ("from-naver.md", "debug")])
def test_the_command_of_a_page_goes_all_the_way(page, folder, tmp_path):
    (block,) = blocks(page)
    run_block(*block, tmp_path)
    assert "mrr_10" in (tmp_path / "experiments" / folder / "out/TOY/perf.json").read_text()


def test_start_ends_with_titles_of_ones_own_documents(tmp_path):
    told = [run_block(language, text, tmp_path) for language, text in blocks("start.md")]
    of_run, of_library = told[-2:]
    assert re.match(r"q1 \[.*\]\nq2 \[.*\]\n", of_run)
    titles = {"Heart attack", "Eclipse", "Honey", "Engines"}
    assert set(re.findall(r"\('([^']+)', ", of_run)) <= titles
    assert {"d1", "d2", "d3", "d4"} >= set(re.findall(r"'(\w+)'", of_library)) != set()


def test_a_model_trained_as_the_page_says_is_a_folder_of_sentence_transformers(tmp_path):
    (block,) = blocks("from-sentence-transformers.md")
    run_block(*block, tmp_path)
    assert "SpladePooling" in (tmp_path / "st/checkpoint/model/modules.json").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short_says_for_whom_it_is_and_links_to_what_exists(page):
    text = (ROOT / "docs" / page).read_text()
    assert len(text.splitlines()) <= 120
    assert text.splitlines()[2].startswith("*For ")
    for target in re.findall(r"\]\(([\w./-]+)", text):
        assert (ROOT / "docs" / target).exists(), target
