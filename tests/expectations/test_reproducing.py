"""Running rows: which can run, what is compared, what is not repeated, and the page."""

import json

import pytest

from splade.expectations import Places, choose_rows, markdown, plan, reproduce_rows, rows_of
from splade.expectations.page import as_json
from splade.expectations.running import run_here, value_of
from splade.files import InputError, write_json
from tests.expectations.test_rows import ROW

DATA = ROW | {"command": "beir_eval {data} {set} {out}", "needs": {"data": "{set}"}}


class FakeCommands:
    """A runner that writes perf.json with the given values by set, and remembers its commands."""

    def __init__(self, values=None, status=0, stop_at=None):
        self.values, self.status, self.stop_at = values or {}, status, stop_at
        self.commands = []

    def __call__(self, command, folder):
        self.commands.append(" ".join(command))
        if self.stop_at == len(self.commands):
            raise KeyboardInterrupt
        (folder / "log.txt").write_text("INFO begun\nsplade: no such thing\n\n")
        for name, value in self.values.items():
            if name in command:
                write_json(folder / name / "perf.json", {"mrr_10": value})
        return self.status


@pytest.fixture
def data(tmp_path):
    for name in ("data/adi", "data/beir/scifact"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "corpus.jsonl").write_text("{}")
    return tmp_path / "data"


def places(tmp_path, data=None, models=None, version="1"):
    return Places(data, models or {}, tmp_path / "out", version)


def test_a_value_within_the_tolerance_matches_and_one_beyond_it_differs(tmp_path):
    rows = rows_of({"a.yaml": [ROW, ROW | {"name": "two", "value": 0.49}, ROW | {"name": "three", "value": 0.52}]})
    runner = FakeCommands({"adi": 0.5})
    rows = [row._replace(commands=("evaluate {set} {out}",)) for row in rows]
    one, two, three = reproduce_rows(rows, places(tmp_path), runner)
    assert [one.verdict, two.verdict, three.verdict] == ["matches", "matches", "differs"]
    assert three.found == 0.5
    assert three.difference == pytest.approx(-0.02)
    assert len(runner.commands) == 1  # rows with one command share its run


def test_several_sets_are_averaged_without_weights_and_each_has_its_run(tmp_path, data):
    (row,) = rows_of({"a.yaml": [DATA | {"set": ["adi", "scifact"], "value": 0.4}]})
    runner = FakeCommands({"adi": 0.2, "scifact": 0.6})
    (one,) = reproduce_rows([row], places(tmp_path, data), runner)
    assert one.found == pytest.approx(0.4)
    assert [command.split()[1] for command in runner.commands] == [str(data / "adi"), str(data / "beir/scifact")]


def test_a_row_whose_data_or_model_is_absent_says_which_and_what_to_give(tmp_path, data):
    (row,) = rows_of({"a.yaml": [DATA | {"set": ["adi", "nq"], "needs": {"data": "{set}", "model": "v3"}}]})
    (one,) = reproduce_rows([row], places(tmp_path), FakeCommands())
    assert one.verdict == "not run"
    assert "needs the data of adi: give reproduce.data_path=FOLDER that holds adi/" in one.why
    (one,) = reproduce_rows([row], places(tmp_path, data), FakeCommands())
    assert f"needs the data of nq: there is no {data / 'nq'} and no {data / 'beir/nq'}" in one.why
    assert "needs the model v3: give reproduce.models.v3=FOLDER" in one.why
    assert "of adi" not in one.why


def test_what_is_done_is_not_run_again_until_command_data_model_or_version_change(tmp_path, data):
    (tmp_path / "model").mkdir()
    (row,) = rows_of(
        {"a.yaml": [DATA | {"command": "x {data} {model} {set} {out}", "needs": {"data": "adi", "model": "m"}}]}
    )
    runner = FakeCommands({"adi": 0.5})

    def run(row=row, version="1"):
        before = len(runner.commands)
        reproduce_rows([row], places(tmp_path, data, {"m": str(tmp_path / "model")}, version), runner)
        return len(runner.commands) - before

    assert [run(), run()] == [1, 0]
    (data / "adi/corpus.jsonl").write_text("{} ")
    assert [run(), run()] == [1, 0]
    (tmp_path / "model/weights").write_text("w")
    assert [run(), run()] == [1, 0]
    assert [run(version="2"), run(version="2")] == [1, 0]
    assert run(row._replace(commands=("x {data} {set} {out} more",))) == 1
    assert run(row._replace(value=0.1, tolerance=0.0)) == 0  # only the comparison is another


def test_an_interrupted_suite_goes_on_with_the_row_that_was_interrupted(tmp_path, data):
    rows = rows_of({"a.yaml": [DATA, DATA | {"name": "two", "set": "scifact"}]})
    stopped = FakeCommands({"adi": 0.5}, stop_at=2)
    with pytest.raises(KeyboardInterrupt):
        reproduce_rows(rows, places(tmp_path, data), stopped)
    again = FakeCommands({"scifact": 0.5})
    assert [one.verdict for one in reproduce_rows(rows, places(tmp_path, data), again)] == ["matches", "matches"]
    assert again.commands == stopped.commands[1:]  # into the same folder, where the command goes on


def test_a_command_that_fails_is_a_failed_row_with_its_last_words_and_is_tried_again(tmp_path, data):
    rows = rows_of({"a.yaml": [DATA, DATA | {"name": "two", "metric": "map"}]})
    runner = FakeCommands(status=2)
    one, two = reproduce_rows(rows, places(tmp_path, data), runner)
    assert one.verdict == two.verdict == "failed"
    assert one.why.startswith("splade.beir_eval ended with status 2: splade: no such thing (log: ")
    assert len(runner.commands) == 1
    reproduce_rows(rows, places(tmp_path, data), runner)
    assert len(runner.commands) == 2


def test_a_run_without_the_metric_is_a_failed_row(tmp_path, data):
    (row,) = rows_of({"a.yaml": [DATA | {"metric": "map"}]})
    (one,) = reproduce_rows([row], places(tmp_path, data), FakeCommands({"adi": 0.5}))
    assert one.verdict == "failed"
    assert one.why.endswith("perf.json has no map, only mrr_10")


def test_a_printed_value_is_read_from_what_the_command_printed(tmp_path):
    (row,) = rows_of({"a.yaml": [ROW | {"result": "printed"}]})
    (run,) = plan(row, places(tmp_path))
    run.folder.mkdir(parents=True)
    (run.folder / "printed.txt").write_text("map 0.1\nmrr_10 0.505831\n")
    assert value_of(run, "mrr_10") == 0.505831
    with pytest.raises(InputError, match=r"printed.txt has no ndcg_cut_10, only map, mrr_10"):
        value_of(run, "ndcg_cut_10")


def test_the_page_has_for_each_model_and_set_the_commands_the_values_and_the_verdict(tmp_path, data):
    other = DATA | {"name": "two", "set": "nq", "model": "a | b"}
    outcomes = reproduce_rows(rows_of({"a.yaml": [DATA, other]}), places(tmp_path, data), FakeCommands({"adi": 0.5}))
    page = markdown(outcomes, "python -m splade.reproduce reproduce.data_path=D")
    assert "2 rows: 1 matches, 1 not run." in page
    assert "| one | a model | adi | mrr_10 | 0.5000 | 0.5000 | +0.0000 | **matches** |" in page
    assert "| two | a \\| b | nq | mrr_10 | 0.5000 | – | – | **not run** |" in page
    assert "## a model: adi\n" in page
    assert f"```bash\npython -m splade.beir_eval {data / 'adi'} adi {tmp_path / 'out'}" in page
    assert "python -m splade.beir_eval DATA/nq nq" in page
    assert "Not run: needs the data of nq" in page
    assert "This alone: `python -m splade.reproduce reproduce.data_path=D one`" in page
    first, second = json.loads(json.dumps(as_json(outcomes)))
    assert (first["found"], first["verdict"], first["expected"]) == (0.5, "matches", 0.5)
    assert (second["found"], second["verdict"]) == (None, "not run")


def test_a_small_minus_is_shown_as_nought(tmp_path, data):
    rows = rows_of({"a.yaml": [DATA | {"value": 0.500001}]})
    assert "| +0.0000 |" in markdown(reproduce_rows(rows, places(tmp_path, data), FakeCommands({"adi": 0.5})))


def test_rows_of_a_file_keep_its_order_on_the_page(tmp_path):
    rows = rows_of({"a.yaml": [ROW | {"name": "z"}, ROW | {"name": "b", "model": "another"}]})
    page = markdown(reproduce_rows(choose_rows(rows, ["all"]), places(tmp_path), FakeCommands({"adi": 0.5})))
    assert page.index("## a model") < page.index("## another")


def test_a_command_runs_in_a_process_of_its_own_whose_output_is_kept(tmp_path):
    (tmp_path / "qrels").write_text("q 0 d 1\n")
    (tmp_path / "run").write_text("q Q0 d 1 2.0 x\n")
    files = ["--qrel_file_path", str(tmp_path / "qrels"), "--run_file_path", str(tmp_path / "run")]
    assert run_here(["evaluation.eval", *files, "--metric", "mrr_10"], tmp_path) == 0
    assert (tmp_path / "printed.txt").read_text() == "mrr_10 1.000000\n"
    assert "1 judged queries, 1 answered" in (tmp_path / "log.txt").read_text()
