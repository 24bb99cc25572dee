from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.data import Mixed, mixed_from
from splade.data.examples.mixing import places_for
from splade.data.score_files.negatives import write_scores
from splade.files import InputError
from splade.records import Example, Text
from splade.training.distributed.processes import own_share
from splade.training.step.sampling import DOCUMENTS, GlobalBatches, random_stream
from tests.data.writing import tsv

CATALOG = {
    "triplets": "splade.data.Triplets",
    "triplets_with_distil": "splade.data.TripletsWithTeacher",
    "hard_negatives": "splade.data.HardNegatives",
    "pairs": "splade.data.Pairs",
}


class Numbers:
    """Example i of set s has the query ``s:i``, and a document that chance chooses."""

    def __init__(self, name, n, n_documents=2, teacher=True):
        self.name, self.n, self.n_documents, self.has_teacher = name, n, n_documents, teacher

    def __len__(self):
        return self.n

    def example(self, index, rng):
        drawn = Text(str(rng.integers(1000)), "drawn")
        return Example(
            Text(f"{self.name}:{index}", ""), (drawn,) * self.n_documents, (1.0, 0.0) if self.has_teacher else None
        )


def epoch(mixed, number=0, seed=7):
    return [mixed.example(index, random_stream(seed, DOCUMENTS, number, index)).query.id for index in range(len(mixed))]


def test_without_weights_an_epoch_is_every_example_of_every_set_once():
    mixed = Mixed({"a": Numbers("a", 5), "b": Numbers("b", 3)})
    assert sorted(epoch(mixed)) == sorted([*(f"a:{n}" for n in range(5)), *(f"b:{n}" for n in range(3))])


def test_one_set_alone_is_that_set():
    alone = Numbers("a", 9)
    mixed = Mixed({"a": alone}, {"a": 0.3})
    assert len(mixed) == 9
    for index in range(9):
        expected, found = (each.example(index, random_stream(1, DOCUMENTS, 0, index)) for each in (alone, mixed))
        assert found == expected


def test_weights_are_the_shares_of_an_epoch_which_ends_with_the_first_set_that_is_used_up():
    mixed = Mixed({"small": Numbers("s", 30), "large": Numbers("l", 1000)}, {"small": 3, "large": 1})
    assert mixed.places == [30, 10]
    shares = Counter(query[0] for query in epoch(mixed))
    assert shares == {"s": 30, "l": 10}


@given(st.lists(st.tuples(st.integers(1, 60), st.floats(0.05, 20)), min_size=1, max_size=4), st.integers(0, 5))
def test_no_epoch_has_an_example_twice_and_shares_are_within_one_of_the_weights(sets, number):
    sources = {str(place): Numbers(str(place), size) for place, (size, _) in enumerate(sets)}
    weights = {str(place): weight for place, (_, weight) in enumerate(sets)}
    mixed = Mixed(sources, weights)
    ids = epoch(mixed, number)
    assert len(set(ids)) == len(ids) == len(mixed)
    fullest = min(size / weight for size, weight in sets)
    for places, (size, weight) in zip(mixed.places, sets, strict=True):
        assert 1 <= places <= size
        assert abs(places - weight * fullest) <= 1


def test_epochs_go_through_all_of_a_set_that_is_larger_than_its_share():
    mixed = Mixed({"a": Numbers("a", 10), "b": Numbers("b", 35)}, {"a": 1, "b": 1})
    seen = Counter(query for number in range(400) for query in epoch(mixed, number) if query.startswith("b"))
    assert set(seen) == {f"b:{n}" for n in range(35)}
    # A stretch of 3 or 4 examples is drawn from 400 times: 133 or 100 expected, with a standard deviation of 9.
    assert all(60 < count < 175 for count in seen.values())


@pytest.mark.parametrize("n_processes", [2, 3])
def test_any_number_of_processes_trains_on_the_same_examples(monkeypatch, n_processes):
    mixed = Mixed({"a": Numbers("a", 20), "b": Numbers("b", 50)}, {"a": 2, "b": 1})
    batches = GlobalBatches(np.arange(len(mixed)), 7, seed=3)

    def share(rank, n, batch):
        monkeypatch.setattr("splade.training.distributed.processes.world", lambda: (rank, n))
        draws = batches[batch]
        first, end = own_share(len(draws))
        return [
            mixed.example(draw.index, random_stream(3, DOCUMENTS, draw.epoch, draw.index)) for draw in draws[first:end]
        ]

    for batch in range(12):  # some epochs
        together = [example for rank in range(n_processes) for example in share(rank, n_processes, batch)]
        assert together == share(0, 1, batch)


def test_teacher_scores_are_there_where_all_sets_have_them():
    assert Mixed({"a": Numbers("a", 2), "b": Numbers("b", 2)}).has_teacher
    mixed = Mixed({"a": Numbers("a", 2), "b": Numbers("b", 2, teacher=False)})
    assert not mixed.has_teacher
    assert all(mixed.example(index, np.random.default_rng(0)).teacher is None for index in range(4))


def test_sets_of_different_group_sizes_are_refused():
    with pytest.raises(InputError, match=r"documents per query differ \(a 2, b 3\)"):
        Mixed({"a": Numbers("a", 2), "b": Numbers("b", 2, n_documents=3)})


def test_places_by_hand():
    assert places_for([100, 100], [1, 1]) == [100, 100]
    assert places_for([100, 10], [1, 1]) == [10, 10]
    assert places_for([100, 10], [1, 0.5]) == [20, 10]
    assert places_for([3, 1000], [1000, 1]) == [3, 1]


@pytest.fixture
def sets(tmp_path):
    tsv(tmp_path / "t/raw.tsv", [(f"q{n}", f"plus{n}", f"minus{n}", 2, 1) for n in range(6)])
    tsv(tmp_path / "q/raw.tsv", [("1", "one"), ("2", "two")])
    tsv(tmp_path / "d/raw.tsv", [(id, f"text {id}") for id in "abc"])
    write_scores(tmp_path / "s.jsonl", {"1": {"a": 3.0, "b": 1.0}, "2": {"c": 3.0, "b": 1.0}})
    triplets = {"type": "triplets_with_distil", "TRAIN_DATA_DIR": str(tmp_path / "t")}
    negatives = {
        "type": "hard_negatives", "DATASET_PATH": str(tmp_path / "s.jsonl"), "Q_COLLECTION_PATH": str(tmp_path / "q"),
        "D_COLLECTION_PATH": str(tmp_path / "d"), "positive_first": True,
    }  # fmt: skip
    return {"triplets": triplets, "negatives": negatives}


def test_sets_are_made_from_settings(sets):
    mixed = mixed_from(sets, CATALOG)
    assert (len(mixed), mixed.n_documents, mixed.has_teacher) == (8, 2, True)
    example = mixed.example(7, np.random.default_rng(0))
    assert [document.text for document in example.documents] == ["text c", "text b"]
    assert example.teacher == (3.0, 1.0)
    sets["triplets"]["weight"], sets["negatives"]["weight"] = 2, 1
    assert mixed_from(sets, CATALOG).places == [4, 2]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"type": "triples"}, r"data\.SETS\.triplets\.type must be one of triplets, "),
        ({"QREL_PATH": "x"}, r"data\.SETS\.triplets\.QREL_PATH: data of type triplets_with_distil take TRAIN_DATA_DIR"),
        ({"TRAIN_DATA_DIR": None}, r"data\.SETS\.triplets\.TRAIN_DATA_DIR is needed"),
        ({"weight": 1}, r"data\.SETS\.negatives\.weight is not set, and others are"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_their_address(sets, change, problem):
    sets["triplets"].update(change)
    with pytest.raises(InputError, match=problem):
        mixed_from(sets, CATALOG)
