import numpy as np
import pytest

from splade.data.examples.examples import HardNegatives
from splade.data.score_files.negatives import write_scores
from splade.files import InputError
from tests.data.writing import put, tsv

CANDIDATES = {"q1": {"a": 9.0, "b": 8.0, "c": 3.0, "d": 2.0, "e": 1.0}, "q2": {"b": 5.0, "e": 4.5}}
QRELS = "q1 0 a 1\nq1 0 b 2\nq1 0 c 0\nq2 0 e 1\n"


@pytest.fixture
def world(tmp_path):
    tsv(tmp_path / "q/raw.tsv", [(f"q{n}", f"query {n}") for n in range(4)])
    tsv(tmp_path / "d/raw.tsv", [(id, f"text {id}") for id in "abcdefg"])
    put(tmp_path / "qrels.txt", QRELS)
    write_scores(tmp_path / "scores.jsonl", CANDIDATES)
    return tmp_path


def build(world, *, qrels="qrels.txt", **options):
    return HardNegatives(world, world / "q", world / "d", qrels and world / qrels, **options)


def drawn(source, index, times=200):
    return [source.example(index, np.random.default_rng(seed)) for seed in range(times)]


def test_the_first_document_is_judged_and_the_others_are_not(world):
    source = build(world, n_negatives=2)
    assert (len(source), source.n_documents, source.has_teacher) == (2, 3, True)
    examples = drawn(source, 0)
    assert {example.query for example in examples} == {("q1", "query 1")}
    assert {example.documents[0].id for example in examples} == {"a", "b"}
    assert {document.id for example in examples for document in example.documents[1:]} == {"c", "d", "e"}
    for example in examples:
        assert len({document.id for document in example.documents}) == 3
        assert example.teacher == tuple(CANDIDATES["q1"][document.id] for document in example.documents)
        assert all(document.text == f"text {document.id}" for document in example.documents)


def test_every_negative_is_as_likely_as_another(world):
    counts = {"c": 0, "d": 0, "e": 0}
    for example in drawn(build(world), 0, 900):
        counts[example.documents[1].id] += 1
    # 300 expected each, with a standard deviation of 14.
    assert all(230 < count < 370 for count in counts.values())


def test_an_example_depends_on_the_index_and_the_generator_only(world):
    source, again = build(world, n_negatives=3), build(world, n_negatives=3)
    for seed in range(20):
        assert source.example(0, np.random.default_rng(seed)) == again.example(0, np.random.default_rng(seed))
    assert source.example(1, np.random.default_rng(0)).query.id == "q2"
    with pytest.raises(IndexError):
        source.example(2, np.random.default_rng(0))


def test_too_few_negatives_are_all_drawn_before_any_is_drawn_again(world, caplog):
    source = build(world, n_negatives=4)
    assert "2 queries with fewer than 4 negatives, some drawn again (as 'q1')" in caplog.text
    for example in drawn(source, 0, 30):
        assert {document.id for document in example.documents[1:]} == {"c", "d", "e"}
        assert len(example.documents) == 5


def test_without_a_teacher_positives_need_no_score_and_examples_have_none(world):
    put(world / "more.txt", QRELS + "q1 0 g 1\nq3 0 a 1\n")
    write_scores(world / "scores.jsonl", CANDIDATES | {"q3": {"f": 1.0}})
    with_teacher = build(world, qrels="more.txt")
    assert len(with_teacher) == 2
    assert {example.documents[0].id for example in drawn(with_teacher, 0)} == {"a", "b"}
    source = build(world, qrels="more.txt", with_teacher=False)
    assert len(source) == 3
    assert not source.has_teacher
    assert {example.documents[0].id for example in drawn(source, 0)} == {"a", "b", "g"}
    assert all(example.teacher is None for example in drawn(source, 0))
    assert [document.id for document in source.example(2, np.random.default_rng(0)).documents] == ["a", "f"]


def test_a_positive_first_file_needs_no_qrels(world):
    source = build(world, qrels=None, positive_first=True)
    assert {example.documents[0].id for example in drawn(source, 0)} == {"a"}
    assert {example.documents[1].id for example in drawn(source, 0)} == {"b", "c", "d", "e"}
    for options in ({"qrels": None}, {"positive_first": True}):
        with pytest.raises(InputError, match=r"either qrels \(data\.TRAIN\.QREL_PATH\) or positive_first"):
            build(world, **options)


def test_what_is_unknown_is_counted_in_one_warning(world, caplog):
    write_scores(
        world / "scores.jsonl",
        {
            "q1": {"a": 1.0, "ghost": 2.0, "c": 1.0, "phantom": 1.0},
            "nobody": {"a": 1.0, "b": 1.0},
            "q2": {"e": 1.0},
            "q3": {"c": 1.0},
        },
    )
    source = build(world)
    assert len(source) == 1
    assert {document.id for example in drawn(source, 0) for document in example.documents} == {"a", "c"}
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{world}: 2 unknown documents (as 'ghost'), 1 unknown queries (as 'nobody'), "
        "1 queries without a negative (as 'q2'), 1 queries without a scored positive (as 'q3'); 1 queries are used"
    )


def test_nothing_left_is_an_error_that_says_why(world):
    write_scores(world / "scores.jsonl", {"nobody": {"a": 1.0}, "q1": {"ghost": 1.0}})
    with pytest.raises(InputError, match=r"no query can be trained on: .*1 unknown queries \(as 'nobody'\)"):
        build(world)


def test_at_least_one_negative_is_asked_for(world):
    with pytest.raises(ValueError, match="n_negatives must be at least 1, got 0"):
        build(world, n_negatives=0)
