"""Queries that are hard or differ, terms that make a difference, systems on the Pareto front."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.comparing import (
    hardest,
    most_moved,
    pareto_front,
    risen_document,
    term_products,
    terms_of_difference,
)
from splade.indexing import InvertedIndex
from splade.records import SparseBatch, SparseRows


def batch(ids, vectors, width):
    rows = [sorted(vector.items()) for vector in vectors]
    return SparseBatch(
        tuple(ids),
        SparseRows(
            np.cumsum([0, *map(len, rows)]).astype(np.int64),
            np.array([term for row in rows for term, _ in row], np.int32),
            np.array([weight for row in rows for _, weight in row], np.float32),
        ),
        width,
    )


def test_the_hardest_queries_have_the_lowest_mean_over_the_systems():
    systems = [{"a": 1.0, "b": 0.0, "c": 0.5}, {"a": 0.0, "b": 0.0, "c": 0.5}]
    assert hardest(systems, 2) == [("b", 0.0), ("a", 0.5)]
    assert hardest(systems[:1]) == [("b", 0.0), ("c", 0.5), ("a", 1.0)]
    assert hardest([]) == []


def test_queries_are_won_and_lost_by_their_difference_and_ties_are_neither():
    first = {"a": 1.0, "b": 0.25, "c": 0.5, "d": 1.0, "e": 0.0}
    won, lost = most_moved(first, {"a": 0.5, "b": 1.0, "c": 0.5, "d": 0.0, "e": 0.25}, 5)
    assert [(one.query_id, one.difference) for one in won] == [("d", 1.0), ("a", 0.5)]
    assert [(one.query_id, one.difference) for one in lost] == [("b", -0.75), ("e", -0.25)]
    assert most_moved(first, first) == ([], [])


def test_the_risen_document_is_relevant_and_rose_most_in_grade_times_reciprocal_rank():
    first, second = {"x": 3.0, "r": 2.0, "s": 1.0}, {"s": 3.0, "y": 2.0, "r": 1.0}
    assert risen_document(first, second, {"r": 1, "s": 1, "x": 0}) == ("r", 2, 3)
    assert risen_document(second, first, {"r": 1, "s": 1, "y": -1}) == ("s", 1, 3)
    assert risen_document(first, {}, {"r": 1}) == ("r", 2, None)
    assert risen_document({}, first, {"r": 1}) is None
    assert risen_document(first, first, {"r": 1}) is None
    assert risen_document(first, second, {}) is None
    # a rises from rank 3 to 2, b from 4 to 3: 1/6 against three times 1/12.
    after, before = dict.fromkeys("xaby", 1.0), dict.fromkeys("xyab", 1.0)
    assert risen_document(after, before, {"a": 1, "b": 3}) == ("b", 3, 4)
    assert risen_document(after, before, {"a": 2, "b": 3}) == ("a", 2, 3)


@pytest.fixture
def index():
    return InvertedIndex.from_csr(
        batch(["d0", "d1"], [{0: 1.0, 2: 2.0}, {1: 4.0}], 3), vocabulary=["sea", "sun", "sky"]
    )


def test_products_by_term_sum_to_the_score(index):
    queries = batch(["q0", "q1"], [{1: 1.0}, {0: 0.5, 1: 3.0, 2: 0.25}], 3)
    assert term_products(queries, "q1", index, "d0") == {"sea": 0.5, "sky": 0.5}
    assert term_products(queries, "q1", index, "d1") == {"sun": 12.0}
    assert term_products(queries, "q0", index, "d0") == {}
    assert term_products(queries, "q2", index, "d0") is None
    assert term_products(queries, "q1", index, "d2") is None


def test_terms_without_names_are_called_by_their_numbers():
    index = InvertedIndex.from_csr(batch(["d"], [{1: 2.0}], 3))
    assert term_products(batch(["q"], [{1: 3.0}], 3), "q", index, "d") == {"1": 6.0}


def test_the_terms_of_a_difference_are_ordered_by_its_size_and_sum_to_it():
    first, second = {"a": 1.0, "b": 2.0, "c": 0.5}, {"b": 5.0, "d": 1.0}
    found = terms_of_difference(first, second)
    assert [(one.term, one.difference) for one in found] == [("b", -3.0), ("a", 1.0), ("d", -1.0), ("c", 0.5)]
    assert sum(one.difference for one in found) == sum(first.values()) - sum(second.values())
    assert len(terms_of_difference(first, second, 2)) == 2


def test_the_front_leaves_out_what_costs_more_and_is_worth_no_more():
    points = [(2.0, 0.4), (1.0, 0.3), (3.0, 0.4), (1.0, 0.2), (4.0, 0.9), (1.0, 0.3)]
    assert pareto_front(points) == [1, 5, 0, 4]
    assert pareto_front([]) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_front_is_all_that_nothing_dominates(points):
    def dominated(point):
        return any(each != point and each[0] <= point[0] and each[1] >= point[1] for each in points)

    front = pareto_front(points)
    assert sorted(front) == [number for number, point in enumerate(points) if not dominated(point)]
    assert [points[number][0] for number in front] == sorted(points[number][0] for number in front)
