"""The layers of the package, enforced: a room imports only the rooms that stand below it."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "splade"

BASE = {"records", "batches", "files", "locks", "progress"}
ROOMS = {
    "records": set(),
    "batches": {"records"},
    "files": set(),
    "locks": {"files"},
    "progress": set(),
    "threads": set(),
    "kernels": BASE,
    "indexing": BASE | {"kernels"},
    "search": BASE | {"kernels", "indexing"},
    "dense": BASE | {"kernels", "indexing", "search"},
    "data": BASE,
    "evaluation": BASE | {"data"},
    "results": BASE | {"data", "evaluation"},
    "comparing": BASE | {"kernels", "indexing", "data", "evaluation", "results"},
    "suites": BASE | {"data", "evaluation"},
    "planning": BASE | {"kernels", "indexing", "exporting"},
    "expectations": BASE | {"evaluation"},
    "reports": BASE | {"kernels", "indexing", "data", "evaluation", "results", "expectations", "comparing"},
    "explaining": BASE | {"kernels", "indexing", "reports"},
    "losses": BASE,
    "regularization": BASE,
    "models": BASE,
    "encoding": BASE | {"models", "data"},
    "engines": BASE | {"kernels", "indexing", "search", "dense", "data"},
    "grids": BASE | {"kernels", "indexing", "search", "dense", "data", "engines", "evaluation", "results", "comparing"},
    "exporting": BASE | {"data", "kernels", "indexing", "engines"},
    "onnx": BASE | {"kernels", "data", "models", "encoding", "exporting"},
    "hub": BASE | {"kernels", "indexing", "search", "dense", "data", "engines", "evaluation", "results"},
    "training": BASE
    | {
        "losses",
        "regularization",
        "models",
        "data",
        "encoding",
        "kernels",
        "indexing",
        "search",
        "dense",
        "engines",
        "evaluation",
    },
    "mining": BASE | {"models", "data", "encoding", "kernels", "indexing", "search", "dense", "engines", "evaluation"},
    "adapters": BASE
    | {"models", "data", "encoding", "kernels", "indexing", "search", "dense", "engines", "evaluation"},
    "serving": BASE | {"kernels", "indexing", "search", "dense", "data", "engines", "encoding", "explaining"},
    "config": {"files", "threads"},
}
ROOMS["conformance"] = {*ROOMS} - {"threads", "config"}
ROOMS["workflow"] = {*ROOMS} - {"threads", "conformance"}
SUB_ROOMS = {
    "indexing": {
        "format": set(),
        "layout": {"format"},
        "index": {"format", "layout"},
        "building": {"format", "layout", "index"},
        "": {"format", "layout", "index", "building"},
    },
    "search": {"strategies": set(), "": {"strategies"}},
    "engines": {"": {"places"}, "places": {""}},
    "exporting": {"": set(), "postings": {""}},
    "data": {
        "text_files": set(),
        "": {"text_files"},
        "collections": {"", "text_files"},
        "score_files": {"", "text_files"},
        "vectors": {"", "text_files"},
        "tokens": {"", "text_files"},
        "examples": {"", "text_files", "collections", "score_files", "tokens"},
    },
    "config": {"composing": set(), "checking": {"composing"}, "": {"composing", "checking"}},
    "models": {
        "backbones": set(),
        "heads": {"backbones"},
        "encoders": {"backbones", "heads"},
        "retrievers": {"backbones", "heads", "encoders"},
        "graphs": {"backbones", "heads", "encoders", "retrievers"},
        "saving": {"backbones", "heads", "encoders", "retrievers"},
        "rerankers": {"backbones"},
    },
    "training": {
        "distributed": set(),
        "step": {"distributed"},
        "validation": {"distributed", "step"},
        "": {"distributed", "step", "validation"},
        "rerankers": {"", "distributed", "step", "validation"},
    },
}
"""By room, what each of its sub-rooms may import of the others; "" are the files that are in none."""
MOST_FILES = 15
"""In a folder, beside its sub-rooms and ``__init__``. Kernels are flat: their ``__init__`` says how to read them."""
TORCH_FREE = BASE | {
    "threads",
    "kernels",
    "indexing",
    "search",
    "dense",
    "engines",
    "data",
    "evaluation",
    "results",
    "comparing",
    "suites",
    "grids",
    "exporting",
    "onnx",
    "expectations",
    "planning",
    "reports",
    "explaining",
    "hub",
    "serving",
    "config",
}
ONLY = {
    "records": {"numpy"},
    "batches": {"numpy"},
    "files": set(),
    "locks": set(),
    "progress": {"tqdm"},
    "threads": set(),
    "kernels": {"numpy", "numba"},
}
WATCHED = {"torch", "transformers", "hydra", "omegaconf", "numba", "numpy", "pytrec_eval", "matplotlib", "tqdm"}


@cache
def import_nodes(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    return tuple(
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
    )


def imports(path: Path) -> Iterator[str]:
    for node in import_nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{path}: a relative import; write it out"
            yield node.module or ""


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


LIBRARY = sorted(path for path in ROOT.rglob("*.py") if room(path) in ROOMS)


@pytest.mark.parametrize("here", sorted({room(path) for path in LIBRARY}))
def test_imports_point_one_way(here):
    for path in (path for path in LIBRARY if room(path) == here):
        for name in imports(path):
            top, *rest = name.split(".")
            if top == "splade" and rest:
                assert rest[0] == here or rest[0] in ROOMS[here], f"{path}: {here} must not import {name}"
            if top in WATCHED and here in ONLY:
                assert top in ONLY[here], f"{path}: {here} must not import {top}"
            if here in TORCH_FREE and here != "data":
                assert top not in {"torch", "transformers"}, f"{path}: {here} must start without {top}"
            if here not in ("config", "workflow"):
                assert top not in {"hydra", "omegaconf"}, f"{path}: {here} must not know {top}"


def place(parts: list[str]) -> str:
    """The sub-room of a module ``splade.room.…``; "" where it is in none."""
    return parts[2] if len(parts) > 2 and parts[2] in SUB_ROOMS[parts[1]] else ""


def modules(path: Path) -> Iterator[str]:
    """What a file imports, with the modules that it takes from a package by name."""
    for node in import_nodes(path):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                file = ROOT.parent / f"{node.module}.{alias.name}".replace(".", "/")
                whole = file.is_dir() or file.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if whole else f"{node.module}"


INSIDE = [path for path in LIBRARY if room(path) in SUB_ROOMS and path.name != "__init__.py"]


@pytest.mark.parametrize("inside", sorted(SUB_ROOMS))
def test_sub_rooms_import_one_way(inside):
    for path in (path for path in INSIDE if room(path) == inside):
        here = ["splade", *path.relative_to(ROOT).with_suffix("").parts]
        allowed = SUB_ROOMS[inside][place(here)] | {place(here)}
        for name in modules(path):
            there = name.split(".")
            if there[:2] == here[:2]:
                assert len(there) > 2, f"{path}: {name}: name the file, not the room around"
                assert place(there) in allowed, f"{'.'.join(here)} must not import {name}"


def test_no_imports_go_in_a_circle():
    """Whether at the top of a file or in a function."""
    files = {".".join(("splade", *path.relative_to(ROOT).with_suffix("").parts)): path for path in ROOT.rglob("*.py")}
    graph = {name: set(modules(path)) & files.keys() for name, path in files.items() if path.name != "__init__.py"}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("folder", sorted({path.parent for path in LIBRARY}), ids=lambda path: path.name)
def test_no_folder_is_crowded(folder):
    files = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES or folder.name in ("kernels", ROOT.name)


def test_every_room_of_the_table_exists():
    assert {name for name in ROOMS if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()} == set()


def test_searching_and_evaluating_start_without_torch(run_python):
    loaded = run_python(
        "import sys; from splade import InvertedIndex, Searcher; from splade.evaluation.metrics import evaluate; "
        "import splade.data.collections.opening, splade.data.qrels, splade.planning, splade.explaining.forms; "
        "print('torch' in sys.modules, 'hydra' in sys.modules)"
    )
    assert loaded.split() == ["False", "False"]
