"""Rows of expected values: what a file may hold, and which rows a name chooses."""

import pytest

from splade.expectations import choose_rows, rows_of
from splade.files import InputError
from splade.workflow.reporting.expected import expected_rows

ROW = {
    "name": "one",
    "model": "a model",
    "set": "adi",
    "command": "beir_eval +beir.dataset={set} config.out_dir={out}",
    "metric": "mrr_10",
    "value": 0.5,
    "tolerance": 0.01,
    "source": "a paper",
}


def names(rows):
    return [row.name for row in rows]


def test_every_shipped_row_says_all_that_a_reader_needs():
    rows = expected_rows()
    assert {row.file for row in rows} == {"toy", "bm25", "runs", "splade"}
    for row in rows:
        assert row.model
        assert row.source
        assert 0 < row.value < 1
        assert 0 < row.tolerance <= 0.05


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bm25-scifact", 0.679), ("run-splade-pp-ed", 0.7308), ("run-bm25", 0.5058), ("splade-v3-mrr", 0.402),
        ("splade-v3-beir13", 0.517), ("splade-v3-distilbert-dl19", 0.752), ("splade-v3-lexical-dl20", 0.736),
        ("splade-v3-doc-beir13", 0.470), ("splade-v3-nfcorpus", 0.357), ("splade-pp-sd-recall", 0.985),
        ("splade-pp-ed-mrr", 0.383), ("splade-max-dl19", 0.684), ("efficient-v-large-mrr", 0.388),
        ("efficient-vi-bt-large-beir13", 0.445), ("inference-free-beir13", 0.504), ("bm25-msmarco", 0.184),
    ],
)  # fmt: skip
def test_published_values_are_there(name, value):
    (row,) = choose_rows(expected_rows(), [name])
    assert row.value == value


def test_beir_13_is_the_mean_of_its_thirteen_sets():
    (row,) = choose_rows(expected_rows(), ["splade-v3-beir13"])
    assert len(set(row.sets)) == 13
    assert "cqadupstack" not in row.sets
    assert row.set_name == "mean of 13 sets"


def test_a_name_chooses_a_row_a_file_a_pattern_or_all_in_the_order_of_the_files():
    rows = rows_of({"a.yaml": [ROW, ROW | {"name": "two"}], "b.yaml": [ROW | {"name": "other"}]})
    assert names(choose_rows(rows, ["two"])) == ["two"]
    assert names(choose_rows(rows, ["a"])) == ["one", "two"]
    assert names(choose_rows(rows, ["o*"])) == ["one", "other"]
    assert names(choose_rows(rows, ["other", "one", "one"])) == ["one", "other"]
    assert names(choose_rows(rows, ["all"])) == ["one", "two", "other"]


def test_a_name_that_no_row_has_is_told_the_nearest():
    with pytest.raises(InputError, match=r"^reproduce.name=tow: .*; did you mean two\?\nthere are: a, one, two$"):
        choose_rows(rows_of({"a.yaml": [ROW, ROW | {"name": "two"}]}), ["tow"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": None}, "value missing"),
        ({"tolerence": 1}, "there is no key tolerence, did you mean tolerance?"),
        ({"value": "high"}, "value must be a number, got 'high'"),
        ({"value": True}, "value must be a number, got True"),
        ({"tolerance": -1}, "tolerance must be at least 0"),
        ({"metric": "quality"}, "quality"),
        ({"name": "a b"}, "name 'a b' may have letters"),
        ({"set": 3}, "set must be a text or a list of texts, got 3"),
        ({"command": "index {model}"}, "{model} stands for nothing: use {set}, {out}, {index}"),
        ({"needs": {"disk": "big"}}, "needs.disk: a need is data, or begins with model"),
        ({"needs": "data"}, "needs must be {data or model: name}, got 'data'"),
        ({"set": ["a", "b"], "command": "index"}, "several sets, and the command has no {set}"),
        ({"name": "all"}, "the name all stands for every row already"),
        ({"name": "a"}, "the name a stands for the file a.yaml already"),
        ({"model": ["x"]}, "model must be a text, got ['x']"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_fault(change, said):
    with pytest.raises(InputError, match=r"^a\.yaml") as refused:
        rows_of({"a.yaml": [ROW | change]})
    assert said in str(refused.value)


def test_two_rows_of_one_name_and_files_of_something_else_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"b.yaml: the name one stands for a row of a.yaml already"):
        rows_of({"a.yaml": [ROW], "b.yaml": [ROW]})
    with pytest.raises(InputError, match="expected a list of rows, got dict"):
        rows_of({"a.yaml": {"one": ROW}})
    with pytest.raises(InputError, match="there are no files of expected values"):
        expected_rows(tmp_path)
    (tmp_path / "x.yaml").write_text("- {name: [}")
    with pytest.raises(InputError, match=r"x.yaml: not a YAML file that can be read"):
        expected_rows(tmp_path)
