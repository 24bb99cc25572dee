"""Comparisons of values on four queries, worked by hand, and of two published runs."""

import json
import math

import pytest
from scipy import stats

from splade.comparing.comparison import Settings, averages, compare
from splade.comparing.json_values import as_json
from splade.comparing.latex import as_latex
from splade.comparing.markdown import as_markdown
from splade.comparing.moves import moves
from splade.comparing.plots import comparison_figure
from splade.comparing.systems import System, read_systems
from splade.comparing.writing import write_comparison
from splade.files import InputError
from tests.comparing.fixtures import DL19, GOOD, POOR, files


def system(name, *values, dataset="DEV", metric="mrr_10", **costs):
    return System(name, dataset, "nowhere", {metric: {f"q{n}": float(v) for n, v in enumerate(values, 1)}}, costs, None)


A, B, C = system("A", 1, 1, 0.5, 0), system("B", 0.5, 1, 0.75, 0), system("C", 1, 1, 1, 1)


def test_a_pair_is_the_first_minus_the_second_query_by_query():
    (pair,) = compare({"DEV": [A, B]}).pairs
    assert (pair.first, pair.second, pair.n_queries) == ("A", "B", 4)
    assert (pair.wins, pair.losses, pair.ties) == (1, 1, 2)
    assert pair.difference == pytest.approx(0.0625)
    assert pair.effect == pytest.approx(0.0625 / stats.tstd([0.5, 0, -0.25, 0]))
    assert pair.p_t == pytest.approx(stats.ttest_rel([1, 1, 0.5, 0], [0.5, 1, 0.75, 0]).pvalue)
    assert (pair.p_randomisation, pair.exact) == (1.0, True)  # of ±.5 ± .25 all are at least .25 from 0
    assert pair.low < pair.difference < pair.high


def test_all_pairs_are_tested_or_each_system_against_a_baseline():
    def pairs(baseline):
        found = compare({"DEV": [A, B, C]}, Settings(baseline))
        return [(pair.first, pair.second) for pair in found.pairs], found.family

    assert pairs(None) == ([("A", "B"), ("A", "C"), ("B", "C")], "3 tests (3 pairs of systems × 1 metric)")
    assert pairs("B") == ([("A", "B"), ("C", "B")], "2 tests (2 pairs of systems × 1 metric)")
    with pytest.raises(InputError, match=r"compare\.baseline=D: no such system on DEV; there are A, B, C"):
        pairs("D")


def test_holms_family_is_every_pair_metric_and_query_set():
    values = [[0.1, 0.2, 0.3, 0.4, 0.5], [0.3, 0.42, 0.5, 0.63, 0.7], [0.8, 0.9, 0.95, 1, 1]]
    sets = {
        dataset: [system(f"s{n}", *row, dataset=dataset) for n, row in enumerate(values)] for dataset in ("DEV", "DL")
    }
    found = compare(sets)
    assert found.family == "6 tests (3 pairs of systems × 1 metric × 2 query sets)"
    raw = [pair.p_t for pair in found.pairs]
    assert min(pair.p_t_holm for pair in found.pairs) == pytest.approx(6 * min(raw))


def test_the_average_counts_every_query_set_once_and_leaves_out_systems_that_lack_one():
    sets = {"DEV": [A, B], "DL": [system("A", 0, 0), system("B", 1, 1), C]}
    found = averages(compare(sets))["mrr_10"]
    assert {name: mean.value for name, mean in found.items()} == {"A": 0.3125, "B": pytest.approx(0.78125)}


def test_identical_systems_have_p_1_and_nothing_that_is_no_number(tmp_path):
    twin = A._replace(name="twin")
    found = compare({"DEV": [A, twin]})
    (pair,) = found.pairs
    assert (pair.p_t, pair.p_randomisation, pair.p_t_holm, pair.difference, pair.ties) == (1.0, 1.0, 1.0, 0.0, 4)
    told = json.dumps(as_json(found), allow_nan=False)
    assert "twin" in told
    one = compare({"DEV": [system("A", 1), system("B", 0)]})
    assert as_json(one)["means"]["DEV"]["mrr_10"]["A"] == {"value": 1.0, "low": None, "high": None}
    assert math.isnan(one.pairs[0].effect)
    assert "nan" not in as_markdown(one)


def test_json_has_means_differences_costs_and_the_value_of_every_query():
    told = as_json(compare({"DEV": [A._replace(costs={"flops": 2.0}), B]}, Settings(seed=5)))
    assert told["systems"] == ["A", "B"]
    assert told["means"]["DEV"]["mrr_10"]["A"]["value"] == 0.625
    assert told["differences"][0]["p_randomisation_holm"] == 1.0
    assert told["costs"] == {"DEV": {"A": {"flops": 2.0}}}
    assert told["per_query"]["DEV"]["mrr_10"]["B"]["q3"] == 0.75
    assert (told["tests"]["correction"], told["tests"]["seed"]) == ("Holm", 5)


def test_markdown_shows_the_best_in_bold_and_names_without_marks():
    page = as_markdown(compare({"D|V": [A._replace(name="a|b*"), C._replace(costs={"index_bytes": 2.5e6})]}))
    assert "| a\\|b\\* | 0.6250 [" in page
    assert "| C | **1.0000** [1.000, 1.000] | 2.5 |" in page
    assert "## D\\|V" in page


def test_latex_is_escaped_and_its_letters_name_the_systems_that_are_beaten():
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    better = system("50%_a&b", *[value + 0.1 + value / 50 for value in values])
    table = as_latex(compare({"DEV": [better, system("B{}", *values)]}))
    assert r"$a$ & 50\%\_a\&b & \textbf{0.5590}$^{b}$ \\" in table
    assert r"$b$ & B\{\} & 0.4500 \\" in table
    assert table.count(r"\toprule") == table.count(r"\bottomrule") == 1
    assert r"mrr\_10" in table


def test_the_queries_that_moved_come_with_their_text_document_and_terms(tmp_path):
    ours, theirs, qrels = files(tmp_path)
    found = compare(read_systems([ours, theirs], qrels=qrels, metrics=["mrr_10"]))
    products = {
        ("ours", "q1", "d1"): {"sun": 3.0, "sea": 1.0},
        ("theirs", "q1", "d1"): {"sun": 0.5},
        ("theirs", "q4", "d4"): {"sky": 1.0},
        ("theirs", "q4", "x0"): {"sky": 0.5, "sun": 2.0},
    }
    (pair,) = moves(found, 3, query_text={"q1": "heat"}.get, products=lambda *asked: products.get(asked))
    assert [(query.query_id, query.difference, query.text) for query in pair.won] == [("q1", 0.5, "heat")]
    assert [query.query_id for query in pair.lost] == ["q3", "q4"]
    document = pair.won[0].document
    assert (document.doc_id, document.grade, document.ranks) == ("d1", 1, (1, 2))
    assert [(term.term, term.difference) for term in document.explained.terms] == [("sun", 2.5), ("sea", 1.0)]
    assert document.explained.scores == (4.0, 0.5)
    # One system's vectors alone: beside the best document that is not relevant.
    explained = pair.lost[1].document.explained
    assert (explained.first, explained.second) == ("d4 by theirs", "x0 by theirs")
    assert [(term.term, term.difference) for term in explained.terms] == [("sun", -2.0), ("sky", 0.5)]
    assert pair.lost[0].document.explained is None
    page = as_markdown(found, [pair])
    assert "| q1 | heat | 1.0000 | 0.5000 | +0.5000 | d1 (grade 1) | 1 and 2 |" in page
    assert "| sun | 3.000 | 0.500 | +2.500 |" in page
    assert "| q4 |  | 0.0000 | 0.2500 | -0.2500 | d4 (grade 1) | none and 4 |" in page
    assert as_json(found, [pair])["queries"][0]["won"][0]["document"]["explained"]["terms"][0]["difference"] == 2.5


def test_figures_are_drawn_with_and_without_costs_for_each_query_set(tmp_path, monkeypatch):
    plain = write_comparison(tmp_path / "plain", compare({"DEV": [A, B]}))
    assert [path.name for path in plain] == [
        "compare.json", "compare.md", "compare.tex", "compare.png", "compare-queries.png"]  # fmt: skip
    dear = [A._replace(costs={"flops": 1.0, "latency_ms": 20.0}), B._replace(costs={"flops": 0.0}), C]
    comparison_figure(compare({"DEV": dear}), tmp_path / "dear.png", "DEV")
    drawn = [plain[3], plain[4], tmp_path / "dear.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    widths = [int.from_bytes(path.read_bytes()[16:20], "big") for path in drawn]
    assert widths[2] == 3 * widths[0]  # two costs, two panels more
    monkeypatch.setattr("splade.comparing.writing.comparison_figure", lambda found, path, name=None: path.touch())
    monkeypatch.setattr("splade.comparing.writing.queries_figure", lambda found, path, name: path.touch())
    several = write_comparison(tmp_path / "several", compare({"DEV": dear, "a/b": [A, B]}))
    assert [path.name for path in several[3:]] == [
        "compare.png", "compare-DEV.png", "compare-queries-DEV.png", "compare-a-b.png", "compare-queries-a-b.png",
    ]  # fmt: skip


@pytest.mark.skipif(not GOOD.is_file(), reason="the runs of ../shared/data are not there")
def test_published_runs_have_their_published_values_and_scipys_p_values():
    ir_measures = pytest.importorskip("ir_measures", reason="the oracle ir_measures is not installed")
    found = compare(read_systems([GOOD, POOR], qrels=str(DL19), metrics=["ndcg_cut_10"]))
    means = found.means["dl19-passage.full"]["ndcg_cut_10"]
    assert [round(mean.value, 4) for mean in means.values()] == [0.7308, 0.5058]
    qrels = list(ir_measures.read_trec_qrels(str(DL19)))
    good, poor = (
        {each.query_id: each.value for each in ir_measures.iter_calc([ir_measures.nDCG @ 10], qrels, run)}
        for run in map(ir_measures.read_trec_run, map(str, (GOOD, POOR)))
    )
    assert found.sets["dl19-passage.full"][0].per_query["ndcg_cut_10"] == pytest.approx(good, abs=1e-9)
    expected = stats.ttest_rel([good[query] for query in good], [poor[query] for query in good])
    assert found.pairs[0].p_t == pytest.approx(expected.pvalue, rel=1e-6)


@pytest.mark.slow  # ranx compiles for a minute
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaTypeSafetyWarning")  # of its kernels
@pytest.mark.skipif(not GOOD.is_file(), reason="the runs of ../shared/data are not there")
def test_two_runs_that_differ_little_have_the_p_values_of_ranx():
    ranx = pytest.importorskip("ranx", reason="the oracle ranx is not installed")
    qrels = ranx.Qrels.from_file(str(DL19), kind="trec")
    runs = [ranx.Run.from_file(str(path), kind="trec") for path in (GOOD, POOR)]
    for run, name in zip(runs, ("good", "poor"), strict=True):
        run.name = name
    report = ranx.compare(qrels, runs, ["ndcg@10"], stat_test="student")
    found = compare(read_systems([GOOD, POOR], qrels=str(DL19), metrics=["ndcg_cut_10"])).pairs[0]
    assert found.p_t == pytest.approx(report.comparisons[("good", "poor")]["ndcg@10"]["p_value"], rel=1e-3)
    expected = [report.results[name]["ndcg@10"] for name in ("good", "poor")]
    assert found.difference == pytest.approx(expected[0] - expected[1])
