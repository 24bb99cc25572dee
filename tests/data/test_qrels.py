import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.data.qrels import read_qrels
from splade.files import InputError
from tests.data.writing import put, tsv
from tests.shared import shared_data

EXPECTED = {"q1": {"d1": 2, "d2": 0}, "7": {"007": 1}}
BEIR = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n7\t007\t1\n"
KINDS = {
    "qrels.json": json.dumps({"q1": {"d1": 2, "d2": 0.0}, "7": {"007": 1}}),
    "qrels.txt": "q1 0 d1 2\nq1 Q0  d2 0\n7 0 007 1\n",
    "qrels.dev.tsv": "q1\t0\td1\t2\nq1\t0\td2\t0\n7\t0\t007\t1\n",
    "test.tsv": BEIR,
    "plain.tsv": BEIR.partition("\n")[2],
    "marked.tsv": f"\ufeff{BEIR}",
    "windows.tsv": BEIR.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_says_the_same(tmp_path, name, suffix):
    assert read_qrels(put(tmp_path / f"{name}{suffix}", KINDS[name])) == EXPECTED


WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="\ufeff"), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(WORD, st.dictionaries(WORD, st.integers(-2, 4), min_size=1, max_size=4), min_size=1, max_size=5))
def test_any_judgements_come_back(tmp_path_factory, qrels):
    folder = tmp_path_factory.mktemp("qrels")
    rows = [(query, document, grade) for query, grades in qrels.items() for document, grade in grades.items()]
    assert read_qrels(tsv(folder / "a.tsv", [("query-id", "corpus-id", "score"), *rows])) == qrels
    assert read_qrels(put(folder / "a.trec", "".join(f"{q} 0 {d} {g}\n" for q, d, g in rows))) == qrels
    assert read_qrels(put(folder / "a.json", json.dumps(qrels))) == qrels


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("q 0 d 1\n\nq 0 e 1\n", 2, "a blank line"),
        ("q 0 d 1\nq 0 d\n", 2, "3 fields"),
        ("q 0 d 1\nq 0 e one\n", 2, "whole number, got 'one'"),
        ("q 0 d 1\nq 0 e .5\n", 2, "whole number, got '.5'"),
        ("q\td\t1\nq\t\t1\n", 2, "empty query or document id"),
        ("q 0 d 1\nq 0 d 2\n", 2, "'d' is judged 2 for query 'q', but 1 before"),
        (b"q 0 d 1\nq 0 \xff 1\n", 2, "not UTF-8"),
        ("just words\n", 1, "2 fields where a judgement is expected"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, line, problem):
    path = put(tmp_path / "qrels.tsv", content)
    with pytest.raises(InputError) as error:
        read_qrels(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object"),
        ("{}", "at least one query"),
        ('{"q": ["d"]}', "query 'q' must be an object"),
        ('{"q": {"d": "1"}}', "document 'd' for query 'q' must be a whole number, got '1'"),
        ('{"q": {"d": 0.5}}', "got 0.5"),
        ('{"q": {"d": true}}', "got True"),
        ('{"q": {"d": NaN}}', "got nan"),
    ],
)
def test_bad_json_is_named(tmp_path, content, problem):
    with pytest.raises(InputError, match=r"qrels\.json.*") as error:
        read_qrels(put(tmp_path / "qrels.json", content))
    assert problem in str(error.value)


def test_an_empty_file_and_a_missing_one_are_errors(tmp_path):
    with pytest.raises(InputError, match="holds no judgements"):
        read_qrels(put(tmp_path / "qrels.txt", ""))
    with pytest.raises(InputError, match=r"holds no judgements"):
        read_qrels(put(tmp_path / "head.tsv", "query-id\tcorpus-id\tscore\n"))
    with pytest.raises(InputError, match=r"absent\.json: no such file.*TREC lines"):
        read_qrels(tmp_path / "absent.json")


def test_a_judgement_given_twice_alike_is_a_warning(tmp_path, caplog):
    assert read_qrels(put(tmp_path / "q.txt", "q 0 d 1\nq 0 d 1\nq 0 e 1\n")) == {"q": {"d": 1, "e": 1}}
    assert "1 judgements are there twice" in caplog.text


def test_a_folder_is_read_by_its_split(tmp_path):
    put(tmp_path / "qrels/test.tsv", BEIR)
    assert read_qrels(tmp_path) == EXPECTED
    put(tmp_path / "qrels/dev.tsv.gz", "query-id\tcorpus-id\tscore\nq\td\t1\n")
    assert read_qrels(tmp_path, split="test") == read_qrels(f"{tmp_path}:test") == EXPECTED
    assert read_qrels(f"{tmp_path}:dev") == {"q": {"d": 1}}
    with pytest.raises(InputError, match="say which split, as FOLDER:test; the splits in its qrels folder: dev, test"):
        read_qrels(tmp_path)
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path))}:train: no qrels/train"):
        read_qrels(f"{tmp_path}:train")
    with pytest.raises(InputError, match=r"not a folder with a qrels/dev\.tsv"):
        read_qrels(tmp_path / "qrels/test.tsv", split="dev")


def test_real_judgements_have_their_published_counts():
    assert len(read_qrels(shared_data("scifact"), split="test")) == 300
    assert len(read_qrels(f"{shared_data('squad')}:train")) == 11877
    graded = read_qrels(shared_data("fixtures") / "qrels.dl19-passage.full.txt")
    assert {grade for grades in graded.values() for grade in grades.values()} == {0, 1, 2, 3}
