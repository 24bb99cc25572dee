"""Sets on disk: their folders, layouts, splits and titles; and those that are not here."""

import os

import pytest

from splade.files import InputError
from splade.suites import folder_of, index_name, missing_sets, parts_of, sets_of
from tests.suites.trees import DOCUMENTS, QRELS, beir, hub, judged


def one_of(name, split=None):
    (one,) = sets_of(name, split)
    return one


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("fiqa", "fiqa"),
        ("cqadupstack/gis", "cqadupstack/gis"),
        ("cqadupstack/gis", "gis"),
        ("cqadupstack/gis", "cqadupstack-gis"),
        ("nanobeir/fiqa", "nanobeir/fiqa"),
        ("nanobeir/fiqa", "nano-beir/NanoFiQA2018"),
        ("nanobeir/fiqa", "NanoFiQA2018"),
        ("trec-dl-2019", "trec-dl-2019"),
    ],
)
def test_a_set_is_found_by_each_of_its_names(tmp_path, name, place):
    beir(tmp_path / place)
    assert folder_of(one_of(name), str(tmp_path)) == (tmp_path / place, name)


def test_the_folder_itself_is_the_set_if_it_is_asked_for_alone_or_has_its_name(tmp_path):
    beir(tmp_path / "fiqa")
    path = str(tmp_path / "fiqa")
    assert folder_of(one_of("other"), path) == (tmp_path / "fiqa", "other")
    assert folder_of(one_of("other"), path, alone=False) is None
    assert folder_of(one_of("fiqa"), path, alone=False) == (tmp_path / "fiqa", "fiqa")


def test_a_whole_set_is_not_taken_for_its_sample(tmp_path):
    beir(tmp_path / "beir/fiqa")
    assert folder_of(one_of("nanobeir/fiqa"), str(tmp_path / "beir")) is None
    beir(tmp_path / "my-nano/fiqa")
    assert folder_of(one_of("nanobeir/fiqa"), str(tmp_path / "my-nano")) is not None


@pytest.mark.parametrize("make", [beir, hub])
def test_a_sample_is_read_without_titles_in_both_of_its_layouts(tmp_path, make):
    if make is hub:
        pytest.importorskip("pyarrow")
    make(tmp_path / "NanoFiQA2018")
    parts = parts_of(one_of("nanobeir/fiqa"), str(tmp_path))
    assert {text.id: text.text for text in parts.documents} == {id: text for id, (_, text) in DOCUMENTS.items()}
    assert [text.id for text in parts.queries] == list(QRELS)
    assert {query: set(grades) for query, grades in parts.qrels.items()} == {q: set(g) for q, g in QRELS.items()}
    assert parts.documents.titles == "text"


def test_a_sample_has_its_only_split_whatever_that_is_called(tmp_path):
    beir(tmp_path / "nanobeir/fiqa", "train")
    assert parts_of(one_of("nanobeir/fiqa"), str(tmp_path)).qrels == QRELS


def test_titles_are_read_or_not_as_the_setting_says(tmp_path):
    beir(tmp_path / "fiqa")
    for titles, text in {"title_text": "Sun the heat of the sun on the sea", "text": DOCUMENTS["d1"][1]}.items():
        assert parts_of(one_of("fiqa"), str(tmp_path), titles=titles).documents["d1"] == text


def test_sets_of_one_collection_are_read_from_one_folder_and_share_its_index(tmp_path):
    folder = judged(beir(tmp_path / "msmarco", "dev"), "trec-dl-2019", {"q1": {"d1": 3}})
    parts = parts_of(one_of("trec-dl-2019"), str(tmp_path), alone=False)
    assert (parts.qrels, parts.stored_as) == ({"q1": {"d1": 3}}, "msmarco")
    assert index_name(one_of("msmarco"), str(tmp_path), alone=False) == "msmarco"
    assert folder_of(one_of("trec-dl-2020"), str(tmp_path), alone=False) is None
    assert folder_of(one_of("trec-dl-2020"), str(folder), alone=False) is None


def test_the_state_of_a_set_changes_with_its_queries_and_judgements(tmp_path):
    folder = beir(tmp_path / "fiqa")
    before = parts_of(one_of("fiqa"), str(tmp_path)).state
    assert parts_of(one_of("fiqa"), str(tmp_path)).state == before
    for file in ("queries.jsonl", "qrels/test.tsv"):
        os.utime(folder / file, ns=(1, 1))
        after = parts_of(one_of("fiqa"), str(tmp_path)).state
        assert after != before
        before = after


def test_sets_that_are_not_here_are_all_told_with_the_reason(tmp_path):
    beir(tmp_path / "fiqa", "dev")
    problems = missing_sets(sets_of(["fiqa", "sciflact", "nfcorpus"]), str(tmp_path), open_all=False)
    assert set(problems) == {"fiqa", "sciflact"}  # nfcorpus can be downloaded
    assert "+beir.split=test: there are no such qrels" in problems["fiqa"]
    assert f"no folder of this name in {tmp_path}" in problems["sciflact"]
    assert "did you mean scifact" in problems["sciflact"]
    beir(tmp_path / "our-set")
    assert "did you mean our-set" in missing_sets(sets_of(["our-sett"]), str(tmp_path), open_all=False)["our-sett"]


def test_parquet_that_is_something_else_is_told_with_its_file(tmp_path):
    pytest.importorskip("pyarrow")
    folder = hub(tmp_path / "NanoFiQA2018")
    file = folder / "qrels/train-00000-of-00001.parquet"
    file.write_bytes((folder / "queries/train-00000-of-00001.parquet").read_bytes())
    with pytest.raises(InputError, match=r"qrels.*parquet: has no column 'query-id', only _id, text"):
        parts_of(one_of("nanobeir/fiqa"), str(tmp_path))
    file.write_bytes(b"not Parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        parts_of(one_of("nanobeir/fiqa"), str(tmp_path))
    (folder / "qrels/another.parquet").write_bytes(b"")
    with pytest.raises(InputError, match="2 Parquet files where one is expected"):
        parts_of(one_of("nanobeir/fiqa"), str(tmp_path))
