"""``python -m splade.evaluation.eval``."""

import pytest

from splade.evaluation.eval import main


@pytest.fixture
def files(tmp_path):
    (tmp_path / "qrels.json").write_text('{"q1": {"a": 1}, "q2": {"a": 1}}')
    (tmp_path / "run.json").write_text('{"q1": {"x": 2, "a": 1}}')
    return ["--qrel_file_path", str(tmp_path / "qrels.json"), "--run_file_path", str(tmp_path / "run.json")]


def test_the_figure_is_printed_and_the_coverage_beside_it(files, capsys):
    assert main([*files, "--metric", "mrr_10"]) == 0
    out, err = capsys.readouterr()
    assert out == "mrr_10 0.250000\n"
    assert "2 judged queries, 1 answered" in err


def test_several_metrics_and_options_are_taken(files, capsys):
    assert main([*files, "--metric", "mrr_10", "recall@2", "--answered_only"]) == 0
    assert capsys.readouterr().out.splitlines() == ["mrr_10 0.500000", "recall@2 1.000000"]


@pytest.mark.parametrize(
    ("change", "said"),
    [(["--metric", "mmr_10"], "did you mean mrr_10"), (["--run_file_path", "absent.json"], "no such run file")],
)
def test_input_that_cannot_be_used_is_said_in_words(files, change, said, capsys):
    assert main([*files, *change]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_it_starts_without_torch(run_python):
    assert run_python("import sys, splade.evaluation.eval; print('torch' in sys.modules)").strip() == "False"
