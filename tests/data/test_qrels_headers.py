"""A header of qrels is only what a known layout calls its columns; anything else is judged as a judgement."""

import pytest

from splade.data.qrels import read_qrels
from splade.evaluation.eval import main
from splade.files import InputError
from tests.data.writing import put


@pytest.mark.parametrize(
    "header",
    [
        "query-id\tcorpus-id\tscore",
        "query_id\tdoc_id\trelevance",
        "qid\tpid\tlabel",
        "Query-ID\tCorpus-ID\tScore",
        "query id\tdocument id\tgrade",
        "query-id\titeration\tdoc-id\trelevance",
        "qid Q0 docno rel",
    ],
)
def test_a_known_header_is_no_judgement(tmp_path, header):
    line = "q\td\t1" if header.count("\t") == 2 else "q 0 d 1"
    assert read_qrels(put(tmp_path / "qrels.tsv", f"{header}\n{line}\n")) == {"q": {"d": 1}}


@pytest.mark.parametrize(
    ("first", "grade"),
    [
        ("q1\ta\t0.5", "0.5"),
        ("q1 0 a 1.5", "1.5"),
        ("q1\ta\tnan", "nan"),
        ("q1\ta\tinf", "inf"),
        ("q1\ta\t1,0", "1,0"),
        ("q1\ta\tscore", "score"),
        ("query-id\ta\thigh", "high"),
    ],
)
def test_a_bad_grade_in_the_first_line_is_named_not_taken_for_a_header(tmp_path, first, grade):
    path = put(tmp_path / "qrels.tsv", f"{first}\n" + ("q1\tb\t1\n" if "\t" in first else "q1 0 b 1\n"))
    with pytest.raises(InputError) as error:
        read_qrels(path)
    assert str(error.value).startswith(f"{path}:1: the grade must be a whole number, got {grade!r}; a header names")


def test_the_command_ends_with_2_and_names_the_first_line(tmp_path, capsys):
    qrels, run = put(tmp_path / "qrels.tsv", "q1\ta\t0.5\nq1\tb\t1\n"), put(tmp_path / "run.json", '{"q1": {"a": 1}}')
    assert main(["--qrel_file_path", str(qrels), "--run_file_path", str(run)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{qrels}:1: the grade must be a whole number" in err


@pytest.mark.parametrize("written", ["9007199254740993", "1e300", str(2**80)])
def test_a_grade_that_no_float_holds_is_named_by_its_line(tmp_path, written):
    path = put(tmp_path / "qrels.txt", f"q 0 a 1\nq 0 b {written}\n")
    with pytest.raises(InputError, match=rf"qrels\.txt:2: the grade must be at most 9007199254740992, got '{written}'"):
        read_qrels(path)
    with pytest.raises(InputError, match="document 'b' for query 'q' must be at most 9007199254740992"):
        read_qrels(put(tmp_path / "qrels.json", f'{{"q": {{"b": {written}}}}}'))


def test_the_largest_grade_is_read_digit_by_digit(tmp_path):
    text = "q 0 a 9007199254740991\nq 0 b 9007199254740992\n"
    assert read_qrels(put(tmp_path / "qrels.txt", text)) == {"q": {"a": 2**53 - 1, "b": 2**53}}
