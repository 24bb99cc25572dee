"""The page for whoever changes the trainer: every file, function and arrow that it names is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PAGE = (ROOT / "docs/training-internals.md").read_text()
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.S)
BLOCKS = re.split(r"\n\s*\n|\n(?=[|\-\d])", PROSE)  # paragraphs, and rows and items each by itself
FILE, FUNCTION, CONSTANT = (re.compile(f"`({name})`") for name in (r"[\w/.]+\.py", r"[\w.]+\(\)", r"[A-Z]+_[A-Z_]+"))


def place(name: str) -> Path:
    return ROOT / name if name.startswith(("splade/", "tests/")) else ROOT / "splade/training" / name


def defined(path: Path) -> Iterator[str]:
    """Functions, methods with their class, and constants of a file."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef))
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                yield target.id


def test_each_file_that_the_page_names_exists():
    named = FILE.findall(PROSE)
    assert len(named) > 20
    assert [name for name in named if not place(name).is_file()] == []


def test_each_function_that_the_page_names_is_in_a_file_named_beside_it():
    strays, n_named = [], 0
    for block in BLOCKS:
        found = {name for file in FILE.findall(block) for name in defined(place(file))}
        named = [name.removesuffix("()") for name in FUNCTION.findall(block)] + CONSTANT.findall(block)
        strays += [name for name in named if name not in found]
        n_named += len(named)
    assert n_named > 25
    assert strays == []


def test_the_walk_of_the_page_is_the_order_of_the_code():
    """The numbered steps come in ``backward`` in their order, with the objective on one line."""
    source = (ROOT / "splade/training/step/optimizer_step.py").read_text()
    body = source[source.index("    def backward(") : source.index("    def evaluate(")]
    places = [body.index(name) for name in ("_encode_first(", "gather_rows(", "self._objective(", "_send_back(")]
    assert places == sorted(places)
    assert "loss(scores) + Σ penalty.weight(step) · penalty(vectors)" in PAGE
    assert "loss(scores) + Σ penalty.weight(step) · penalty(vectors)" in body


def test_the_page_is_short_and_says_for_whom_it_is():
    title, empty, reader = PAGE.splitlines()[:3]
    assert (title, empty) == ("# Training internals", "")
    assert reader.startswith("*For ")
    assert len(PAGE.splitlines()) <= 120


def test_the_picture_is_drawn_for_light_and_for_dark_pages():
    picture = (ROOT / "docs/pictures/global-batch.svg").read_text()
    assert "pictures/global-batch.svg" in PAGE
    light, dark = picture.split("prefers-color-scheme: dark")
    coloured = {name for name, style in re.findall(r"\.(\w+) \{ ([^}]*) \}", light) if "#" in style}
    assert coloured == set(re.findall(r"\.(\w+) \{ ", dark))
