"""The skill for coding agents names commands, settings and files that exist, and its lines compose."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from splade.config import commands
from splade.config.checking.settings import Settings
from splade.config.checking.wiring import SPELT
from tests.conftest import ROOT
from tests.docs.blocks import Block, commands_of
from tests.docs.composing import check_page
from tests.docs.test_true_pages import sections

PAGE = (ROOT / "docs/agents.md").read_text()
FRONT, BODY = PAGE.removeprefix("---\n").split("\n---\n", 1)
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", BODY, flags=re.S))
ROWS = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in re.findall(r"^\| .* \|$", BODY, re.M)]
WISHES = [row for row in ROWS if "python -m splade." in row[1]]
LINE = re.compile(r"(?:\w+=\S+ )?python -m splade\.\S+.*")
LINES = [span for span in SPANS if LINE.fullmatch(span)]
QUICK = ("reproduce", "report", "evaluation.eval")
"""Commands whose lines compose in every run; those of the others do when there is time."""
AT_TOP = {"conf", "docs", "expected", "benchmarks", "data", "scripts", "tests", "splade"}
"""Folders of the repository that the page may send a reader to."""


def called(line: str) -> str:
    """The name of the command that a line starts."""
    (command,) = commands_of(Block("docs/agents.md", "bash", line + "\n"), {})
    return command.name


def named(text: str) -> set[str]:
    """The commands that a text names, ``splade.NAME`` or ``splade NAME``; ``COMMAND`` stands for any of them."""
    return {name for name in re.findall(r"splade[. ]([a-z]\w*(?:\.[a-z]\w*)*)", text)}


def addresses(words: list[str]) -> set[str]:
    """The settings among words of a command line, ``data.COLLECTION_PATH`` or ``+beir.offline=true``."""
    keys = {word.partition("=")[0].removeprefix("+") for word in words}
    return {key for key in keys if re.fullmatch(r"[a-z_]+\.[\w.]+", key) and not key.startswith("splade.")}


def files_of(command: str, seen: frozenset[str] = frozenset()) -> str:
    """What the table of commands says that a command writes; "as train, index" is what these write."""
    told = commands()[command].get("files", "its output")
    others = {name for name in re.findall(r"[\w.]+", told) if told.startswith("as ") and name in commands()}
    return " ".join([told, *(files_of(other, seen | {command}) for other in others - seen)])


def test_the_page_begins_as_a_skill_does():
    front = yaml.safe_load(FRONT)
    assert sorted(front) == ["description", "name"]
    assert re.fullmatch(r"[a-z0-9-]{1,64}", front["name"])
    assert 40 <= len(front["description"]) <= 1024
    assert len(PAGE.splitlines()) <= 120


def test_the_page_names_every_command_and_none_that_does_not_exist():
    told = set().union(*map(named, SPANS))
    assert told - set(commands()) == set()
    assert set(commands()) - told == set(), "give these a row of docs/agents.md: which wish they are for"


def test_every_setting_that_the_page_names_exists():
    arguments = {name for row in commands().values() for name in row.get("arguments", ())}
    told = set().union(*(addresses(shlex.split(span)) for span in SPANS if "/" not in span.partition("=")[0]))
    files = {each for each in told if re.search(r"\.(md|yaml|csv|jsonl?|gz|html)$", each)}
    unknown = {each for each in told - files - arguments - set(SPELT) if Settings.shipped().find(each) is None}
    assert len(told) > 30
    assert unknown == set()


def test_every_place_of_the_repository_that_the_page_names_exists():
    places = {span for span in SPANS if "/" in span and " " not in span and span.partition("/")[0] in AT_TOP}
    assert len(places) > 15
    assert [place for place in sorted(places) if not (ROOT / place).exists()] == []
    assert all((ROOT / place).is_dir() == place.endswith("/") for place in places)


def test_every_link_to_a_section_leads_to_one():
    for target, anchor in re.findall(r"\]\(([\w./-]+\.md)#([\w-]+)\)", BODY):
        assert anchor in sections(target)


def test_a_file_to_read_is_one_that_the_command_of_its_row_writes():
    """Each by its name in the table of commands."""
    for wish, line, files in WISHES:
        told = " ".join(files_of(name) for name in named(line))
        read = re.findall(r"`([^`]+)`", files)
        assert read or files == "what it prints", wish
        assert [file for file in read if file not in told] == [], wish


@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=[pytest.mark.slow] * (called(line) not in QUICK)) for line in LINES]
)
def test_a_line_of_the_page_composes(line, tmp_path, monkeypatch):
    assert check_page([Block("docs/agents.md", "bash", line + "\n")], tmp_path, monkeypatch) == 1


def test_a_wish_is_answered_by_a_line_to_copy_and_a_file_to_read():
    assert len(WISHES) >= 25
    assert all(len(row) == 3 and row[2] for row in WISHES)


def test_what_is_written_after_the_first_block_is_read_by_the_second():
    """The folder of the page's Python is one that its commands write."""
    bash, python = (re.search(rf"```{language}\n(.*?)```", BODY, re.S)[1] for language in ("bash", "python"))
    out = re.search(r"config\.out_dir=(\S+)", bash)[1]
    assert Path(re.search(r'read_result\("(.+?)"\)', python)[1]).parent == Path(out)
