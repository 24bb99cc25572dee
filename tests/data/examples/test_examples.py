import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.data.examples.examples import Pairs, Texts, Triplets, TripletsWithTeacher
from splade.files import InputError
from splade.records import Answers, Example, Text
from tests.data.writing import put, tsv
from tests.shared import shared_data

RNG = np.random.default_rng(0)
FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\ufeff"), min_size=1, max_size=20)
SCORE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD, SCORE, SCORE), min_size=1, max_size=8),
    name=st.sampled_from(["raw.tsv", "raw.tsv.gz"]),
)
def test_any_triplets_come_back_with_their_scores(tmp_path_factory, rows, name):
    folder = tmp_path_factory.mktemp("triplets")
    tsv(folder / name, rows)
    examples = TripletsWithTeacher(folder)
    assert len(examples) == len(rows)
    for index, (query, positive, negative, *scores) in enumerate(rows):
        example = examples.example(index, RNG)
        assert example.query.text == query
        assert [document.text for document in example.documents] == [positive, negative]
        assert example.teacher == tuple(scores)


def test_triplets_are_read_from_a_folder_or_a_file_in_any_order(tmp_path):
    path = put(tmp_path / "raw.tsv", "q1\ta\tb\r\nq2\tc\td")
    for source in (tmp_path, path, str(tmp_path)):
        examples = Triplets(source)
        assert examples.example(1, RNG) == Example(Text("2", "q2"), (Text("2+", "c"), Text("2-", "d")))
        assert examples.example(0, RNG).documents[1].text == "b"
        assert (examples.has_teacher, examples.n_documents, len(examples)) == (False, 2, 2)
        with pytest.raises(IndexError):
            examples.example(2, RNG)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("kind", "content", "line", "problem"),
    [
        (Triplets, "q\ta\tb\nq\ta\n", 2, "2 fields where 3 are expected: query<TAB>positive<TAB>negative"),
        (Triplets, "q\ta\tb\nq\ta\tb\t1\t2\n", 2, "5 fields where 3"),
        (Triplets, "q\ta\tb\n\nq\ta\tb\n", 2, "a blank line"),
        (Triplets, b"q\ta\tb\nq\t\xff\tb\n", 2, "not UTF-8"),
        (TripletsWithTeacher, "q\ta\tb\n", 1, "3 fields where 5"),
        (TripletsWithTeacher, "q\ta\tb\t1\t2\nq\ta\tb\t1\thigh\n", 2, "finite number, got 'high'"),
        (TripletsWithTeacher, "q\ta\tb\tnan\t2\n", 1, "finite number, got 'nan'"),
        (TripletsWithTeacher, "q\ta\tb\t1\t\n", 1, "finite number, got ''"),
    ],
)
def test_a_bad_triplet_is_named_when_the_source_is_made(tmp_path, kind, content, line, problem, suffix):
    path = put(tmp_path / f"raw.tsv{suffix}", content)
    with pytest.raises(InputError) as error:
        kind(tmp_path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert problem in str(error.value)


def test_missing_and_empty_triplets_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"no lines of .* in this folder; looked for raw\.tsv"):
        Triplets(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        Triplets(tmp_path / "absent")
    with pytest.raises(InputError, match="holds no examples"):
        Triplets(put(tmp_path / "raw.tsv", ""))


def test_empty_texts_of_triplets_are_counted(tmp_path, caplog):
    examples = Triplets(put(tmp_path / "raw.tsv", "q\ta\tb\n\ta\tb\nq\ta\t\n"))
    assert len(examples) == 3
    assert f"{tmp_path / 'raw.tsv'}:2: an empty text, the first of 2 such lines among 3" in caplog.text


@pytest.fixture
def world(tmp_path):
    tsv(tmp_path / "q/raw.tsv", [("q1", "query one"), ("q2", "query two")])
    tsv(tmp_path / "d/raw.tsv", [("a", "text a"), ("b", "text b"), ("c", "text c")])
    return tmp_path


def test_pairs_are_the_positive_judgements(world, caplog):
    qrels = put(world / "qrels.txt", "q2 0 c 1\nq1 0 a 0\nq1 0 b 2\nq1 0 zzz 1\nnobody 0 a 1\n")
    pairs = Pairs(world / "q", world / "d", qrels)
    source = pairs.documents.source
    assert [pairs.example(index, RNG) for index in range(len(pairs))] == [
        Example(Text("q2", "query two"), (Text("c", "text c"),), None, Answers(source, (2,), (2,))),
        Example(Text("q1", "query one"), (Text("b", "text b"),), None, Answers(source, (1,), (1,))),
    ]
    assert (pairs.has_teacher, pairs.n_documents) == (False, 1)
    assert "2 of 4 positive judgements name an unknown query or document, as ('q1', 'zzz')" in caplog.text


def test_pairs_without_any_known_judgement_are_an_error(world):
    qrels = put(world / "qrels.txt", "q1 0 zzz 1\n")
    with pytest.raises(InputError, match="none of its 1 positive judgements"):
        Pairs(world / "q", world / "d", qrels)
    qrels = put(world / "zero.txt", "q1 0 a 0\n")
    with pytest.raises(InputError, match="none of its 0 positive judgements"):
        Pairs(world / "q", world / "d", qrels)


def test_squad_gives_one_pair_a_training_question():
    squad = shared_data("squad")
    pairs = Pairs(squad, squad, f"{squad}:train")
    assert len(pairs) == 11877
    first = pairs.example(0, RNG)
    assert first.query.text == "To whom did the Virgin Mary allegedly appear in 1858 in Lourdes France?"
    assert first.documents[0].id == "p0"
    assert first.documents[0].text.startswith("University of Notre Dame Architecturally, the school has")


def test_every_text_of_a_collection_is_a_query_and_its_only_document(tmp_path):
    examples = Texts(put(tmp_path / "raw.tsv", "a\tone two\nb\tthree\n"))
    assert [examples.example(index, RNG) for index in range(len(examples))] == [
        Example(text, (text,)) for text in (Text("a", "one two"), Text("b", "three"))
    ]
    assert (examples.has_teacher, examples.n_documents) == (False, 1)


def test_a_collection_of_texts_is_checked_when_the_source_is_made(tmp_path):
    with pytest.raises(InputError, match=r"raw\.tsv:2: .*already that of line 1"):
        Texts(put(tmp_path / "raw.tsv", "a\tone\na\ttwo\n"))
