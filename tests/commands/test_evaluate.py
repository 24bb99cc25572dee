"""``evaluate`` on runs that lie in ``out_dir``."""

import json

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy.sparse import csr_matrix

from splade.evaluate import evaluate
from splade.files import InputError, write_json
from splade.indexing import InvertedIndex


@pytest.fixture
def cfg(tmp_path):
    write_json(tmp_path / "qrels.json", {"q1": {"a": 1}, "q2": {"b": 2}})
    write_json(tmp_path / "out" / "DEV" / "run.json", {"q1": {"x": 2.0, "a": 1.0}})
    return OmegaConf.create(
        {
            "retrieve": {
                "out_dir": str(tmp_path / "out"),
                "names": ["DEV"],
                "qrels": [str(tmp_path / "qrels.json")],
                "metrics": [["mrr_10", "recall@2"]],
            },
            "index": {"dir": str(tmp_path / "index")},
        }
    )


def stored(tmp_path, name):
    return json.loads((tmp_path / "out" / name).read_text())


def test_metrics_are_returned_written_and_printed(cfg, tmp_path, capsys):
    expected = {"mrr_10": 0.25, "recall@2": 0.5}  # q2 is judged and has no results: 0
    assert evaluate(cfg) == {"DEV": expected}
    assert stored(tmp_path, "DEV/perf.json") == expected
    assert stored(tmp_path, "perf_all_datasets.json") == {"DEV": expected}
    printed = capsys.readouterr().out
    assert "DEV: 2 judged queries, 1 answered, 1 without results" in printed
    assert "mrr_10    0.2500" in printed


def test_running_again_leaves_the_same_valid_json(cfg, tmp_path):
    evaluate(cfg)
    before = (tmp_path / "out" / "DEV" / "perf.json").read_bytes()
    evaluate(cfg)
    assert (tmp_path / "out" / "DEV" / "perf.json").read_bytes() == before


def test_details_hold_the_counts_and_what_the_search_left(cfg, tmp_path):
    write_json(tmp_path / "out" / "DEV" / "stats" / "q_stats.json", {"L0_q": 7.5})
    evaluate(cfg)
    details = stored(tmp_path, "DEV/details.json")
    assert details["queries"]["judged"] == 2
    assert details["queries"]["absent"] == 1
    assert details["q_stats"] == {"L0_q": 7.5}
    assert details["judged_documents_not_in_index"] is None


@pytest.mark.parametrize("qrels", [[None], None])
def test_a_set_without_qrels_is_skipped_with_a_line_that_says_so(cfg, tmp_path, capsys, qrels):
    cfg.retrieve.qrels = qrels
    assert evaluate(cfg) == {}
    assert "DEV: no qrels" in capsys.readouterr().out
    assert not (tmp_path / "out" / "DEV" / "perf.json").exists()
    assert stored(tmp_path, "perf_all_datasets.json") == {}


def test_several_sets_have_metrics_of_their_own(cfg, tmp_path):
    write_json(tmp_path / "out" / "TEST" / "run.json", {"q2": {"b": 1.0}})
    cfg.retrieve.names = ["DEV", "NONE", "TEST"]
    cfg.retrieve.qrels = [cfg.retrieve.qrels[0], None, cfg.retrieve.qrels[0]]
    cfg.retrieve.metrics = [["map"], None, ["P_1"]]
    assert evaluate(cfg) == {"DEV": {"map": 0.25}, "TEST": {"P_1": 0.5}}


def test_qrels_of_other_queries_are_refused_by_the_name_of_the_set(cfg, tmp_path):
    write_json(tmp_path / "qrels.json", {"other": {"a": 1}})
    with pytest.raises(InputError, match=r"DEV \(.*qrels\.json\): the run and the qrels share no query"):
        evaluate(cfg)
    assert not (tmp_path / "out" / "DEV" / "perf.json").exists()


def test_missing_qrels_and_missing_runs_are_errors_in_words(cfg, tmp_path):
    (tmp_path / "qrels.json").unlink()
    with pytest.raises(InputError, match=r"qrels\.json"):
        evaluate(cfg)
    cfg.retrieve.out_dir = str(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"no such run. Retrieve first \(python -m splade.retrieve\)"):
        evaluate(cfg)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": [["mmr_10"]]}, "config.eval_metric, entry of DEV: unknown metric 'mmr_10'; did you mean mrr_10"),
        ({"metrics": []}, "config.retrieval_name has 1 entries, data.EVAL_QREL_PATH 1, config.eval_metric 0"),
        ({"names": ["A", "A"], "qrels": None, "metrics": [[], []]}, "a name of its own"),
    ],
)
def test_lists_that_do_not_fit_are_refused_before_any_file_is_read(cfg, tmp_path, change, said):
    (tmp_path / "qrels.json").unlink()
    cfg.retrieve.update(change)
    with pytest.raises(InputError, match=said):
        evaluate(cfg)


def test_judged_documents_that_the_index_lacks_are_counted_and_said(cfg, tmp_path, caplog):
    matrix = csr_matrix(np.array([[1.0, 0.0], [0.0, 2.0]], np.float32))
    InvertedIndex.from_csr(matrix, ["a", "x"]).save(tmp_path / "index")
    evaluate(cfg)
    assert stored(tmp_path, "DEV/details.json")["judged_documents_not_in_index"] == 1
    assert "1 judged documents are not in the index" in caplog.text
    assert "'b'" in caplog.text


def test_runs_are_evaluated_without_any_index_in_the_config(cfg):
    cfg.index.dir = "${config.index_dir}"
    assert set(evaluate(cfg)) == {"DEV"}


def test_a_damaged_index_does_not_stop_the_evaluation_of_a_run(cfg, tmp_path, caplog):
    (tmp_path / "index").mkdir()
    evaluate(cfg)
    assert stored(tmp_path, "DEV/details.json")["judged_documents_not_in_index"] is None
    assert "not looked up in the index" in caplog.text


def test_it_starts_without_torch(run_python):
    assert run_python("import sys, splade.evaluate; print('torch' in sys.modules)").strip() == "False"
