"""The site: every page is in its navigation, links stay inside it, and it builds without a warning."""

import importlib
import importlib.util
import re
import subprocess
import sys
from types import FunctionType
from typing import Any

import pytest
import yaml

from tests.conftest import PATIENCE, ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def hooks() -> Any:
    """The module that mkdocs takes its hooks from."""
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "scripts/site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_navigation(entry: Any) -> list[str]:
    """The pages of a part of the navigation, in its order."""
    if isinstance(entry, str):
        return [entry]
    parts = entry if isinstance(entry, list) else list(entry.values())
    return [page for part in parts for page in in_navigation(part)]


def test_every_page_is_in_the_navigation_once_and_nothing_else_is(hooks):
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} | set(hooks.pages())
    shown = in_navigation(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(shown) == sorted(pages)


def test_the_navigation_goes_from_a_start_to_the_reference():
    groups = [name for group in yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"] for name in group]
    assert groups == ["Start", "Use", "Understand", "Extend", "Reference"]


@pytest.mark.parametrize(
    ("source", "link", "shown"),
    [
        ("docs/gpu.md", "[figures](../benchmarks/gpu/README.md)", "figures"),
        ("docs/gpu.md", "[a file](../conf/settings.yaml#L3)", "a file"),
        ("docs/gpu.md", "[start](start.md#1-install)", "[start](start.md#1-install)"),
        ("docs/gpu.md", "[home](../README.md)", "[home](index.md)"),
        ("docs/reference/settings.md", "[home](../../README.md#install)", "[home](../index.md#install)"),
        ("docs/reference/settings.md", "[configs](../config.md)", "[configs](../config.md)"),
        ("docs/gpu.md", "[start.md](start.md)", "[Start: your own documents and queries](start.md)"),
        ("docs/gpu.md", "[paper](https://example.org/1)", "[paper](https://example.org/1)"),
        ("docs/gpu.md", "![flow](pictures/flow.svg)", "![flow](pictures/flow.svg)"),
    ],
)
def test_a_link_leads_to_a_page_of_the_site_or_is_its_text(hooks, source, link, shown):
    assert hooks.within_site(link, source) == shown


def test_a_page_of_the_top_reads_as_one_of_docs(hooks):
    text = "![f](docs/pictures/flow.svg) [s](docs/start.md#a) [c](CONTRIBUTING.md) [b](benchmarks/) [p](https://e.org)"
    told = "![f](pictures/flow.svg) [s](start.md#a) [c](CONTRIBUTING.md) [b](../benchmarks/) [p](https://e.org)"
    assert hooks.as_in_docs(text) == told


def test_every_public_name_of_the_api_pages_has_a_docstring(hooks):
    for module in (importlib.import_module(name) for names in hooks.API.values() for name in names):
        assert module.__doc__
        public = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
        bare = [name for name, what in public.items() if isinstance(what, type | FunctionType) and not what.__doc__]
        assert not bare, f"{module.__name__}: {bare}"


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs", reason="pip install -e '.[docs]'")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r'<(?:script|img)[^>]*\ssrc="?(?:https?:)?//', page.read_text()), page.name
        assert not re.search(r'<link[^>]*rel="?(?:stylesheet|preconnect)[^>]*href="?https?://', page.read_text())


def test_marks_of_docstrings_do_not_show(hooks):
    html = "<p>as <code>x</code> in :class:<code>splade.Searcher</code>, of::</p><p>a: b</p>"
    assert hooks.on_page_content(html) == "<p>as <code>x</code> in <code>splade.Searcher</code>, of:</p><p>a: b</p>"
