"""The layers of the package, enforced: a room imports only the rooms that stand below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "splade"

BASE = {"records", "strict_json", "files", "locks", "progress"}
ROOMS = {
    "records": set(),
    "strict_json": set(),
    "files": {"strict_json"},
    "locks": {"files"},
    "progress": set(),
    "threads": set(),
    "kernels": BASE,
    "indexing": BASE | {"kernels"},
    "search": BASE | {"kernels", "indexing"},
    "data": BASE,
    "evaluation": BASE | {"data"},
    "losses": BASE,
    "regularization": BASE,
    "models": BASE,
    "encoding": BASE | {"models", "data"},
    "exporting": BASE | {"models", "data", "encoding", "kernels", "indexing", "search", "evaluation"},
    "training": BASE
    | {"losses", "regularization", "models", "data", "encoding", "kernels", "indexing", "search", "evaluation"},
    "mining": BASE | {"models", "data", "encoding", "kernels", "indexing", "search", "evaluation"},
    "config": {"files", "threads"},
}
TORCH_FREE = BASE | {"threads", "kernels", "indexing", "search", "data", "evaluation", "config"}
ONLY = {
    "records": {"numpy"},
    "strict_json": set(),
    "files": set(),
    "locks": set(),
    "progress": {"tqdm"},
    "threads": set(),
    "kernels": {"numpy", "numba"},
}
WATCHED = {"torch", "transformers", "hydra", "omegaconf", "numba", "numpy", "pytrec_eval", "matplotlib", "tqdm"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import; write it out"
            yield node.module or ""


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


LIBRARY = sorted(path for path in ROOT.rglob("*.py") if room(path) in ROOMS)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    here = room(path)
    for name in imports(path):
        top, *rest = name.split(".")
        if top == "splade" and rest:
            assert rest[0] == here or rest[0] in ROOMS[here], f"{here} must not import {name}"
        if top in WATCHED and here in ONLY:
            assert top in ONLY[here], f"{here} must not import {top}"
        if here in TORCH_FREE and here != "data":
            assert top not in {"torch", "transformers"}, f"{here} must start without {top}"
        if here != "config":
            assert top not in {"hydra", "omegaconf"}, f"{here} must not know {top}"


def test_every_room_of_the_table_exists():
    assert {name for name in ROOMS if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()} == set()


def test_searching_and_evaluating_start_without_torch(run_python):
    loaded = run_python(
        "import sys; from splade import InvertedIndex, Searcher; from splade.evaluation.metrics import evaluate; "
        "import splade.data.collections.opening, splade.data.qrels; print('torch' in sys.modules, 'hydra' in sys.modules)"
    )
    assert loaded.split() == ["False", "False"]
