"""The command splade.compare on run files, on result folders, and with vectors that explain its differences."""

import json

import pytest

from splade.engines import Bm25, Documents, Inverted
from splade.engines.protocol import Texts
from splade.files import read_json
from splade.indexing import Vocabulary
from tests.comparing.fixtures import DL19, GOOD, POOR, files, result
from tests.comparing.test_single_queries import batch

WRITTEN = {"compare.json", "compare.md", "compare.tex", "compare.png", "compare-queries.png"}


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


@pytest.fixture
def drawn_quickly(monkeypatch):
    """Figures, which a test of their own draws, are files with their dataset."""
    for name in ("comparison_figure", "queries_figure"):
        monkeypatch.setattr(f"splade.comparing.writing.{name}", lambda found, path, dataset=None: path.touch())


@pytest.mark.skipif(not GOOD.is_file(), reason="the runs of ../shared/data are not there")
def test_two_runs_and_their_qrels_are_compared_in_one_line(splade, tmp_path):
    splade("compare", f"compare.runs=[{GOOD},{POOR}]", f"compare.qrels={DL19}", "compare.metrics=[ndcg_cut_10]",
           f"compare.out_dir={tmp_path / 'out'}", cwd=tmp_path)  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == WRITTEN
    told = read_json(tmp_path / "out" / "compare.json")
    means = told["means"]["dl19-passage.full"]["ndcg_cut_10"]
    assert [round(mean["value"], 4) for mean in means.values()] == [0.7308, 0.5058]
    (row,) = told["differences"]
    assert {"p_t", "p_t_holm", "p_randomisation", "p_randomisation_holm"} <= row.keys()
    assert round(row["difference"], 4) == 0.2250
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_result_folders_are_compared_as_they_are(splade, tmp_path, drawn_quickly, capsys):
    for name, values in (("a", [1.0, 0.0, 0.5]), ("b", [1.0, 1.0, 1.0])):
        result(tmp_path / name / "DEV", {"mrr_10": {f"q{n}": value for n, value in enumerate(values)}}, system=name)
    splade("compare", "compare.runs=[a,b]", "compare.baseline=a", "compare.out_dir=out", cwd=tmp_path)
    printed = capsys.readouterr().out
    assert "| b | **1.0000** [1.000, 1.000] |" in printed
    assert "| b | a | mrr_10 | +0.5000" in printed
    assert read_json(tmp_path / "out" / "compare.json")["baseline"] == "a"


def test_the_terms_of_a_difference_come_from_index_and_query_vectors(splade, tmp_path, drawn_quickly):
    ours, theirs, qrels = files(tmp_path)
    ids = ["d1", "d2", "d3", "d4", "x0", "x1"]
    texts = Texts(tuple(ids), ("sun and sea", "sky", "sea", "sky and sun", "sea", "moon"))
    vectors = batch(ids, [{0: 2.0, 1: 1.0}, {2: 1.0}, {1: 1.0}, {2: 1.0, 0: 1.0}, {1: 0.5}, {3: 1.0}], 4)
    words = Vocabulary(["sun", "sea", "sky", "moon"])
    Inverted(tmp_path / "index").build(Documents(lambda _: [vectors], 4, words, "", {"vector_keys": "tokens"}))
    Bm25(tmp_path / "bm25").build(Documents(lambda _: [texts], None, None, "", {}))
    (tmp_path / "queries.tsv").write_text("q1\tsun at sea\nq2\tsky\nq3\tsea\nq4\tsky\n")
    lines = [{"id": "q1", "vector": {"sun": 3.0, "sea": 1.0}}, {"id": "q4", "vector": {"sky": 1.0}}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = [f"compare.runs=[{ours},{theirs}]", f"compare.qrels={qrels}", "compare.metrics=[mrr_10]"]
    splade("compare", *asked, "compare.index_dir=[index,bm25]", "compare.queries_vectors=[q.jsonl,null]",
           "compare.queries=queries.tsv", "compare.out_dir=out", cwd=tmp_path)  # fmt: skip
    (pair,) = read_json(tmp_path / "out" / "compare.json")["queries"]
    won = pair["won"][0]
    assert (won["query_id"], won["text"]) == ("q1", "sun at sea")
    explained = won["document"]["explained"]
    assert explained["scores"][0] == 7.0
    assert {term["term"]: term["first"] for term in explained["terms"]} == {"sun": 6.0, "sea": 1.0}
    assert all(term["second"] > 0 for term in explained["terms"])
    assert "| all terms | 7.000 |" in (tmp_path / "out" / "compare.md").read_text()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["compare.baseline=X"], "compare.baseline=X: no such system on qrels; there are ours, theirs"),
        slow(["compare.level=95"], "compare.level must be a number > 0 and < 1, got 95"),
        (["compare.index_dir=[index]"], "compare.index_dir has 1 entries, and there are 2 systems: ours, theirs"),
        slow(["compare.queries_vectors=[q.jsonl,null]"], "q.jsonl (ours): name the index that they search"),
    ],
)
def test_what_cannot_be_compared_is_told_in_words_and_writes_nothing(
    splade, tmp_path, drawn_quickly, capsys, given, told
):
    files(tmp_path)
    asked = ["compare.runs=[ours.trec,theirs.json]", "compare.qrels=qrels.json", "compare.metrics=[mrr_10]"]
    with pytest.raises(SystemExit) as refused:
        splade("compare", *asked, "compare.out_dir=out", *given, cwd=tmp_path)
    assert refused.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
