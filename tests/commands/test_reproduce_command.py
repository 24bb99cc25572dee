"""``splade.reproduce``: rows of the toy data and of the collections beside the checkout, and how it ends."""

import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from splade.config import configure
from splade.expectations import Places, plan
from splade.reproduce import reproduce
from splade.workflow.reporting.expected import expected_rows
from tests.commands.conftest import splade  # noqa: F401 - a fixture
from tests.shared import shared_data

HEAVY = ("medquad", "scifact", "squad", "vaswani", "cacm", "cranfield")


@pytest.fixture
def commands_here(splade, monkeypatch):  # noqa: F811
    """Have the commands of rows run in this process: starting one takes seconds."""

    def run(command, folder):
        try:
            with (folder / "printed.txt").open("a") as out, redirect_stdout(out):
                splade(*command, cwd=Path.cwd())
        except SystemExit as ended:
            return ended.code
        return 0

    monkeypatch.setattr("splade.expectations.running.run_here", run)


@pytest.fixture
def reproduced(tmp_path, commands_here):
    """``reproduced(*arguments)`` runs the command; what its JSON says, by row."""

    def run(*arguments):
        reproduce(configure("reproduce", [*arguments, f"reproduce.out_dir={tmp_path / 'out'}"]))
        return {row["name"]: row for row in json.loads((tmp_path / "out/reproduced.json").read_text())}

    return run


def test_the_toy_rows_of_bm25_are_reproduced_by_a_bare_word_and_not_run_again(reproduced, splade, tmp_path, caplog):  # noqa: F811
    splade(
        "reproduce",
        "bm25-toy",
        "bm25-toy-ndcg",
        "bm25-toy-recall",
        f"reproduce.out_dir={tmp_path / 'out'}",
        cwd=tmp_path,
    )
    page = (tmp_path / "out/reproduced.md").read_text()
    assert "3 rows: 3 matches." in page
    assert "python -m splade.retrieve engine=bm25" in page
    caplog.set_level("INFO")
    found = reproduced("reproduce.name=bm25-toy")
    assert found["bm25-toy"]["verdict"] == "matches"
    assert "bm25-toy: done before" in caplog.text


@pytest.mark.slow
def test_the_toy_model_is_reproduced_from_training_on(reproduced):
    found = reproduced("reproduce.name=toy-*")
    assert {row["verdict"] for row in found.values()} == {"matches"}
    assert len(found) == 3


def test_figures_of_given_runs_are_reproduced(reproduced):
    found = reproduced("reproduce.name=runs", f"reproduce.data_path={shared_data('fixtures').parent}")
    assert found["run-splade-pp-ed"]["found"] == pytest.approx(0.7308, abs=5e-5)
    assert found["run-bm25"]["found"] == pytest.approx(0.5058, abs=5e-5)


@pytest.mark.parametrize("name", ["adi", *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)])
def test_bm25_is_reproduced_on_collections_at_hand(reproduced, name):
    found = reproduced(f"reproduce.name=bm25-{name}", f"reproduce.data_path={shared_data(name).parent}")
    assert found[f"bm25-{name}"]["verdict"] == "matches"


def test_a_value_that_differs_ends_the_command_with_status_1_and_stands_on_the_page(splade, tmp_path, commands_here):  # noqa: F811
    (tmp_path / "qrels").write_text("q 0 d 1\n")
    (tmp_path / "run").write_text("q Q0 c 1 2.0 x\nq Q0 d 2 1.0 x\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/mine.yaml").write_text(
        "- {name: own, model: mine, set: q, metric: mrr_10, value: 0.9, tolerance: 0.1, source: by hand,\n"
        "   result: printed, command: evaluation.eval --qrel_file_path qrels --run_file_path run --metric mrr_10}\n"
    )
    with pytest.raises(SystemExit) as ended:
        splade("reproduce", "own", "reproduce.expected=mine", cwd=tmp_path)
    assert ended.value.code == 1
    page = (tmp_path / "experiments/reproduce/reproduced.md").read_text()
    assert "| own | mine | q | mrr_10 | 0.9000 | 0.5000 | -0.4000 | **differs** |" in page


def test_rows_that_cannot_run_here_say_why_and_a_model_that_no_row_has_is_refused(splade, tmp_path, capsys):  # noqa: F811
    for words, said in (
        (["splade-v3-mrr"], "splade-v3-mrr: needs the data of msmarco: give reproduce.data_path=FOLDER"),
        (["splade-v3-mrr", "reproduce.models.splade-v4=x"], "no row needs such a model; did you mean splade-v3?"),
        (["splade-v3-mrr", "reproduce.data_path=nowhere"], "reproduce.data_path=nowhere: there is no such folder"),
    ):
        with pytest.raises(SystemExit) as ended:
            splade("reproduce", *words, cwd=tmp_path)
        assert ended.value.code == 2
        assert said in capsys.readouterr().err


def test_a_bare_word_is_an_error_of_commands_that_take_none(splade, tmp_path, capsys):  # noqa: F811
    with pytest.raises(SystemExit):
        splade("index", "toy", cwd=tmp_path)
    assert "cannot read the override 'toy'" in capsys.readouterr().err


def commands_to_compose():
    """One row for each config and command that the shipped rows have."""
    found = {}
    for row in expected_rows():
        for command in plan(row, Places(None, {}, Path("out")))[0].commands:
            chosen = command[2] if command[1] == "--config-name" else ""
            if command[0] != "evaluation.eval":
                found.setdefault((command[0], chosen), command)
    return found


LIGHT = {("retrieve", "config_splade_v3"), ("beir_eval", "config_inference_free_l0"), ("index", "")}


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(key, marks=[pytest.mark.slow] * (key not in LIGHT), id=" ".join(key))
        for key in commands_to_compose()
    ],
)
def test_the_commands_of_rows_compose(key):
    name, *arguments = commands_to_compose()[key]
    environment = {}
    if arguments[0] == "--config-name":
        environment, arguments = {"SPLADE_CONFIG_NAME": arguments[1]}, arguments[2:]
    configure(name, arguments, environment)
