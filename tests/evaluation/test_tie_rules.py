"""Equal scores: in the order written, or as trec_eval orders them."""

import numpy as np
import pytest
import pytrec_eval

from splade.evaluation.coverage import coverage
from splade.evaluation.eval import main
from splade.evaluation.metrics import evaluate, evaluate_per_query, ordered

NAMES = {"ndcg_cut_10": "ndcg_cut_10", "recall_5": "recall_5", "map": "map", "P_10": "P_10", "mrr": "recip_rank"}


def tied(rng, ids, levels):
    """A run full of ties: few levels, some of them equal only in single precision."""
    scores = rng.choice(levels, len(ids))
    return dict(zip(rng.permutation(ids).tolist(), scores.tolist(), strict=True))


def runs(seed):
    rng = np.random.default_rng(seed)
    ids = [f"d{number}" for number in range(60)] + ["é1", "z", "Z", "doc-9", "doc-10", "文", "\U00010400", "�"]
    levels = [1.0, 1.0 + 1e-9, 2.0, 2.0 - 1e-10, 0.0, -3.0, 1e30, 16777216.0, 16777217.0]
    run = {f"q{number}": tied(rng, ids, levels) for number in range(20)}
    qrels = {query: {doc: int(rng.integers(0, 3)) for doc in rng.permutation(ids)[:15].tolist()} for query in run}
    return run, {query: grades | {ids[0]: 1} for query, grades in qrels.items()}


@pytest.mark.parametrize("seed", range(4))
def test_trec_evals_rule_gives_what_pytrec_eval_makes_of_the_scores(seed):
    run, qrels = runs(seed)
    wanted = {"ndcg_cut.10", "recall.5", "map", "P.10", "recip_rank"}
    oracle = pytrec_eval.RelevanceEvaluator(qrels, wanted).evaluate(run)
    found = evaluate_per_query(run, qrels, list(NAMES), ties="trec_eval")
    assert found == {name: {query: oracle[query][theirs] for query in qrels} for name, theirs in NAMES.items()}
    assert found != evaluate_per_query(run, qrels, list(NAMES))


def test_ties_go_by_document_id_the_last_one_first_and_scores_are_compared_in_single_precision():
    results = {"b": 1.0, "c": 1.0, "a": 1.0 + 1e-9, "d": 0.5}
    assert ordered(results, "trec_eval") == ["c", "b", "a", "d"]
    assert ordered(results) == ["a", "b", "c", "d"]


def test_scores_beyond_single_precision_are_ties_at_infinity():
    assert ordered({"a": 1e300, "b": 1e200, "c": 1.0}, "trec_eval") == ["b", "a", "c"]


def test_the_share_of_judged_results_follows_the_rule():
    run, qrels = {"q": {f"d{n:02}": 1.0 for n in range(20)}}, {"q": {"d19": 1}}
    assert coverage(run, qrels).judged_at_10 == 0.0
    assert coverage(run, qrels, "trec_eval").judged_at_10 == 0.1


def test_another_rule_is_refused_with_the_accepted_ones():
    with pytest.raises(ValueError, match="ties must be one of ours, trec_eval, got 'theirs'"):
        evaluate({"q": {"a": 1.0}}, {"q": {"a": 1}}, ["mrr_10"], ties="theirs")


def test_the_command_of_one_run_takes_the_rule(tmp_path, capsys):
    (tmp_path / "qrels.json").write_text('{"q": {"b": 1}}')
    (tmp_path / "run.json").write_text('{"q": {"a": 1, "b": 1}}')
    asked = ["--qrel_file_path", str(tmp_path / "qrels.json"), "--run_file_path", str(tmp_path / "run.json")]
    for rule, figure in {"ours": "0.500000", "trec_eval": "1.000000"}.items():
        assert main([*asked, "--metric", "mrr_10", "--ties", rule]) == 0
        assert capsys.readouterr().out == f"mrr_10 {figure}\n"
