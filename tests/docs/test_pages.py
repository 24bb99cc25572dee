"""Every code block of the README and the docs runs, in order, in an empty folder with the toy data at hand.

A few pages run here, the others when there is time; their commands compose here.
"""

import functools
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.blocks import blocks_of
from tests.docs.composing import check_page
from tests.docs.running import Told, run_page

PAGES = {path.relative_to(ROOT).as_posix(): path for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("[RC][EO]*.md")]}
QUICK = ("README.md",)
"""Pages that run in seconds."""
COMPOSED = ("docs/config.md",)
"""Pages whose commands compose in every run; those of the others do when there is time."""
BY_HAND = sorted({path.name for path in ROOT.glob("docs/*.md")} - {"recipes.md", "failures.md"})
"""Pages that are read from top to bottom; the others are tables to look things up in."""
LINES = {"extending-search.md": 170, "inspect.md": 190}
"""Lines that a page may have: an engine and two classes, of which a reader needs one at a time; a notebook, whole."""

EXTRAS = {
    "docs/adapters.md": ("mteb", "ir_measures"),
    "docs/engines/milvus.md": ("pymilvus", "milvus_lite"),
    "docs/engines/qdrant.md": ("qdrant_edge",),
    "docs/engines/seismic.md": ("seismic",),
    "docs/engines/bmp.md": ("bmp",),
}
"""Packages that the blocks of a page import, of extras that the tests do without."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, list[Told]]]:
    """``ran(page)``: the folder in which all blocks of ``page`` have run, once, and what each of them printed."""

    @functools.cache
    def folder_and_output(page: str) -> tuple[Path, list[Told]]:
        folder = tmp_path_factory.mktemp(page.replace("/", "-"))
        return folder, run_page(blocks_of(PAGES[page]), folder)

    return folder_and_output


def with_code() -> list[str]:
    """The pages that have blocks of code."""
    return sorted(page for page, path in PAGES.items() if re.search(r"```(bash|python)\n", path.read_text()))


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] * (page not in QUICK)) for page in with_code()]
)
def test_every_block_of_a_page_runs(page, ran):
    missing = [name for name in EXTRAS.get(page, ()) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{page} needs {', '.join(missing)}, which is not installed")
    ran(page)


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] * (page not in COMPOSED)) for page in sorted({*PAGES} - {*QUICK})],
)
def test_every_command_of_a_page_composes(page, tmp_path, monkeypatch):
    check_page(blocks_of(PAGES[page]), tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "folder"), [("concepts.md", "concepts"), ("from-naver.md", "debug")])
def test_the_command_of_a_page_goes_all_the_way(page, folder, ran):
    place, _ = ran(f"docs/{page}")
    assert "mrr_10" in (place / "experiments" / folder / "out/TOY/perf.json").read_text()


@pytest.mark.slow
def test_start_ends_with_titles_of_ones_own_documents(ran):
    of_run, of_library = (told.out for told in ran("docs/start.md")[1][-2:])
    assert re.match(r"q1 \[.*\]\nq2 \[.*\]\n", of_run)
    titles = {"Heart attack", "Eclipse", "Honey", "Engines"}
    assert set(re.findall(r"\('([^']+)', ", of_run)) <= titles
    assert {"d1", "d2", "d3", "d4"} >= set(re.findall(r"'(\w+)'", of_library)) != set()


@pytest.mark.slow
def test_a_model_trained_as_the_page_says_is_a_folder_of_sentence_transformers(ran):
    place, _ = ran("docs/from-sentence-transformers.md")
    assert "SpladePooling" in (place / "st/checkpoint/model/modules.json").read_text()


@pytest.mark.parametrize("page", BY_HAND)
def test_a_page_is_short_and_says_for_whom_it_is(page):
    text = (ROOT / "docs" / page).read_text()
    assert len(text.splitlines()) <= LINES.get(page, 120)
    body = re.sub(r"\A---\n.*?\n---\n\s*", "", text, flags=re.S)  # without what it says of itself to programs
    assert body.splitlines()[2].startswith("*For ")


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_links_to_what_exists(page):
    for target in re.findall(r"\]\((?!https?:)([\w./-]+)", PAGES[page].read_text()):
        assert (PAGES[page].parent / target).exists(), target
