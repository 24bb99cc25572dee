"""Notebooks run on the toy model and data, keep small outputs that are true, and are the pages made from them."""

import base64
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from splade.config import toy_dir
from splade.models import Splade, save_retriever
from tests.conftest import PATIENCE, ROOT
from tests.forked import run_well

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST, LINES, PICTURE = 60_000, 24, 30_000  # bytes of a notebook, lines of an output, bytes of a picture
ROW = re.compile(r"^\s*([\d.]+) × +([\d.]+) = +([\d.]+) ", re.M)
TOTAL = re.compile(r"more terms add ([\d.]+); all of them ([\d.]+)\nthe search's score ([\d.]+)")

by_name = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def script() -> Any:
    """The module of ``scripts/build_notebooks.py``."""
    spec = importlib.util.spec_from_file_location("build_notebooks", ROOT / "scripts/build_notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(notebook: Path) -> list[dict[str, Any]]:
    """The cells of code."""
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


def printed(notebook: Path) -> str:
    """What the notebook keeps of the text that its cells printed."""
    outputs = [output for cell in cells(notebook) for output in cell["outputs"]]
    return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")


def check_sums(told: str) -> None:
    """Products are those of their weights, and with the rest they add up to the score of the search."""
    rows = [[float(value) for value in row] for row in ROW.findall(told)]
    rest, total, score = (float(value) for value in TOTAL.search(told).groups())
    assert len(rows) > 3
    for query, document, product in rows:
        assert query * document == pytest.approx(product, abs=0.005 * (query + document) + 0.006)
    assert sum(row[2] for row in rows) + rest == pytest.approx(total, abs=0.005 * (len(rows) + 1))
    assert total == pytest.approx(score, abs=2e-4)


def place(folder: Path) -> Path:
    """A folder beside which the toy data lie, as notebooks/ is."""
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "notebooks").mkdir()
    return folder / "notebooks"


def test_there_are_notebooks():
    assert "inspect" in [path.stem for path in NOTEBOOKS]


def test_the_pages_are_the_ones_made_from_the_notebooks(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["build_notebooks.py", "--check"])
    assert script.main() == 0, capsys.readouterr().out


def test_a_page_or_picture_that_is_not_up_to_date_is_named(script, monkeypatch, capsys, tmp_path):
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    monkeypatch.setattr(sys, "argv", ["build_notebooks.py", "--check"])
    monkeypatch.setattr(script, "ROOT", tmp_path)
    assert script.main() == 1
    told = capsys.readouterr().out
    assert f"{tmp_path}/docs/inspect.md, {tmp_path}/docs/pictures/inspect-1.png: run" in told


def test_an_error_that_a_notebook_keeps_makes_no_page(script, tmp_path):
    broken = {"output_type": "error", "ename": "ValueError"}
    cell = {"cell_type": "code", "source": ["1 / 0"], "outputs": [broken]}
    (tmp_path / "broken.ipynb").write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(ValueError, match=r"broken\.ipynb: .* cannot show: error"):
        script.page_of(tmp_path / "broken.ipynb")


@by_name
def test_the_outputs_of_a_notebook_are_small_and_those_of_one_run_from_top_to_bottom(notebook):
    assert notebook.stat().st_size < LARGEST
    assert [cell["execution_count"] for cell in cells(notebook)] == [*range(1, len(cells(notebook)) + 1)]
    for output in (output for cell in cells(notebook) for output in cell["outputs"]):
        assert output["output_type"] in ("stream", "display_data")
        assert len("".join(output.get("text", "")).splitlines()) <= LINES
        assert len(base64.b64decode("".join(output.get("data", {}).get("image/png", "")))) <= PICTURE
    assert not re.search(r"/(?:home|root|work|tmp)/", notebook.read_text()), "a path of one machine"


@by_name
def test_the_scores_that_a_notebook_shows_add_up(notebook):
    check_sums(printed(notebook))


@by_name
def test_the_cells_of_a_notebook_run_with_a_model_in_the_place_of_the_quick_start(
    notebook, tmp_path, monkeypatch, capsys
):
    model = Splade(toy_dir() / "encoder", max_length=128)
    save_retriever(model, tmp_path / "experiments/quickstart/checkpoint/model")
    monkeypatch.chdir(place(tmp_path))
    shown: list[int] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(len(plt.get_fignums())) or plt.close("all"))
    scope: dict[str, Any] = {}
    for cell in cells(notebook):
        exec("".join(cell["source"]), scope)
    assert shown == [1]
    check_sums(capsys.readouterr().out)


@pytest.mark.slow
def test_a_notebook_runs_in_a_kernel_after_the_quick_start(script, tmp_path, monkeypatch):
    """With the command of ``make quickstart``; the best hit is the one that the notebook keeps."""
    pytest.importorskip("nbclient", reason="pip install -e '.[notebook]'")
    pytest.importorskip("ipykernel", reason="pip install -e '.[notebook]'")
    line = re.search(r"^quickstart:.*\n\t\$\(BIN\)/python (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    out = re.search(r"^OUT +\?= (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    folder = place(tmp_path)
    run_well(*line.replace("$(OUT)", out).split(), cwd=tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for notebook in NOTEBOOKS:
        copy = folder / notebook.name
        copy.write_bytes(notebook.read_bytes())
        script.execute(copy, folder, timeout=PATIENCE)
        told = printed(copy)
        check_sums(told)
        kept = [[output["output_type"] for output in cell["outputs"]] for cell in cells(notebook)]
        assert [[output["output_type"] for output in cell["outputs"]] for cell in cells(copy)] == kept
        assert "heart-6" in told
        assert "heart-6" in printed(notebook)
