"""The reference pages: every setting with unit and default, every command with a launch line, no inner address."""

import importlib.util
import re
import sys
from typing import Any

import pytest
from omegaconf import OmegaConf

from splade.config import commands, conf_dir
from splade.config.checking.settings import Settings
from splade.config.checking.wiring import components
from tests.conftest import ROOT

DOCS = ROOT / "docs"
ROWS = Settings.shipped().rows
LATE = re.compile(r"\b(what is there|as it says|where absent|of which|where it is|where they are)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def script() -> Any:
    """The module of ``scripts/build_docs.py``."""
    spec = importlib.util.spec_from_file_location("build_docs", ROOT / "scripts/build_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def raw() -> Any:
    """Catalog and wiring as they are written."""
    return OmegaConf.to_container(components(), resolve=False)


def test_the_pages_are_the_ones_made_from_the_configs(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["build_docs.py", "--check"])
    assert script.main() == 0, capsys.readouterr().out


def test_a_page_that_is_not_up_to_date_is_named(script, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["build_docs.py", "--check"])
    monkeypatch.setattr(script, "DOCS", tmp_path)
    assert script.main() == 1
    assert f"{tmp_path}/recipes.md: run scripts/build_docs.py" in capsys.readouterr().out


def test_every_number_has_a_unit():
    bare = [row.address for row in ROWS if re.search(r"\b(int|float)\b", row.kind) and not row.unit]
    assert not bare


def test_every_setting_stands_under_a_heading(script):
    headings = dict(script.sections((conf_dir() / "settings.yaml").read_text()))
    assert set(headings) == {row.address for row in ROWS}
    assert all(headings.values())


def test_a_default_is_told_by_the_wiring_or_in_words_but_not_twice(script, raw):
    texts = script.wired_texts(raw)
    for row in ROWS:
        if "*" in row.address:
            continue
        told = script.wired_defaults(row.address, texts) - {"null"}
        literal = len(told) == 1 and not any("$" in each or each == "required" for each in told)
        assert not (literal and row.default), f"{row.address}: {told} is the default already"
        open_ended = len(told) > 1 or any("$" in each for each in told)
        assert not (open_ended and not row.default), f"{row.address}: {told}: say the default in settings.yaml"


def test_a_row_of_the_page_shows_default_unit_and_the_accepted_names(script, raw):
    page = (DOCS / "reference/settings.md").read_text()
    assert "| `config.weight_decay` | weight decay of AdamW; " in page
    assert "biases and norms do not decay | `0.01` | float >= 0, *rate* |" in page
    assert re.search(r"\| `config.loss` \| the training loss \| required \| one of `PairwiseNLL`, .*`MLM` \|", page)
    assert (
        "| `config.max_length_q` | tokens of a query that are read | `config.max_length` | int >= 3, *tokens* |" in page
    )


@pytest.mark.parametrize("page", ["reference/settings.md", "reference/commands.md"])
def test_a_reference_page_shows_no_inner_address(page):
    text = (DOCS / page).read_text()
    assert "${" not in text
    assert "catalog." not in text
    assert "_target_" not in text
    assert not re.search(r"splade\.(losses|models|training|regularization|data)\.", text)


def test_the_page_of_commands_has_them_all_with_a_line_to_copy(script):
    page = (DOCS / "reference/commands.md").read_text()
    for name, row in commands().items():
        assert f"\n### {name}\n" in page
        assert row["reads"]
        assert row["launch"] in page
        assert re.search(rf"-m splade\.{re.escape(name)}( |$)", row["launch"]), name
    assert sorted(name for names in script.TASKS.values() for name in names) == sorted(commands())


@pytest.mark.parametrize("file", ["settings.yaml", "commands.yaml"])
def test_the_texts_of_the_tables_name_their_objects(file):
    assert not LATE.search((conf_dir() / file).read_text())


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/config.md", "scripts/build_docs.py"])
def test_the_pages_for_newcomers_name_their_objects(page):
    assert not LATE.search((ROOT / page).read_text())
