"""Losses of the teacher's order: values worked by hand, and the laws of orders."""

from math import log, log2

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from splade.losses import ApproxNDCG, KlDiv, ListNet, RankNet, Scores

RANKING = [RankNet, ListNet, ApproxNDCG]


def scores(group, teacher):
    return Scores(torch.tensor(group, requires_grad=True), teacher=torch.tensor(teacher))


def test_ranknet_averages_the_pairs_that_the_teacher_orders():
    # teacher: first over second over third. Differences ln 3, ln 3 + ln 2, ln 2 -> odds 3 : 1, 6 : 1, 2 : 1
    value = RankNet()(scores([[log(6.0), log(2.0), 0.0]], [[9.0, 5.0, 1.0]])).item()
    assert value == pytest.approx((log(4 / 3) + log(7 / 6) + log(3 / 2)) / 3)


def test_ranknet_leaves_ties_of_the_teacher_out_and_a_query_of_ties_counts_as_nothing():
    # only (1st, 2nd) and (1st, 3rd) are ordered, odds 3 : 1 each; the second query has no ordered pair
    value = RankNet()(scores([[log(3.0), 0.0, 0.0], [5.0, 0.0, 1.0]], [[2.0, 1.0, 1.0], [4.0, 4.0, 4.0]])).item()
    assert value == pytest.approx(log(4 / 3) / 2)


def test_listnet_is_the_cross_entropy_of_the_teachers_first_place():
    # teacher 3/4, 1/4; student 1/4, 3/4
    value = ListNet()(scores([[0.0, log(3.0)]], [[log(3.0), 0.0]])).item()
    assert value == pytest.approx(0.75 * log(4) + 0.25 * log(4 / 3))


def test_listnet_has_the_gradient_of_kl():
    both = [scores([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], [[0.3, 1.0, -1.0], [2.0, 2.0, 0.0]]) for _ in range(2)]
    for loss, each in zip((ListNet(), KlDiv()), both, strict=True):
        loss(each).backward()
    torch.testing.assert_close(both[0].group.grad, both[1].group.grad)


def test_approx_ndcg_of_scores_far_apart_is_ndcg():
    # grades 4, 2, 0 of teacher 3, 2, 1: gains 15, 3, 0. The student ranks them 2nd, 1st, 3rd
    ideal = 15 / log2(2) + 3 / log2(3)
    value = ApproxNDCG()(scores([[100.0, 200.0, 0.0]], [[3.0, 2.0, 1.0]])).item()
    assert value == pytest.approx(1 - (15 / log2(3) + 3 / log2(2)) / ideal)


def test_approx_ndcg_takes_half_a_rank_for_a_tie():
    # one pair, tied: both at rank 1.5; gains 15 and 0
    assert ApproxNDCG()(scores([[1.0, 1.0]], [[1.0, 0.0]])).item() == pytest.approx(1 - 1 / log2(2.5))


def test_approx_ndcg_scales_the_teacher_to_grades_so_its_unit_does_not_matter():
    group = [[0.3, 1.0, -0.4]]
    plain = ApproxNDCG()(scores(group, [[3.0, 2.0, 1.0]]))
    torch.testing.assert_close(ApproxNDCG()(scores(group, [[70.0, 40.0, 10.0]])), plain)


@pytest.mark.parametrize("loss", RANKING)
def test_a_teacher_that_ties_all_documents_gives_no_direction_to_equal_scores(loss):
    tied = scores([[2.0, 2.0, 2.0]], [[1.0, 1.0, 1.0]])
    loss()(tied).backward()
    torch.testing.assert_close(tied.group.grad, torch.zeros(1, 3))


@pytest.mark.parametrize("loss", RANKING)
def test_a_higher_temperature_is_the_same_as_smaller_scores(loss):
    group, teacher = torch.tensor([[3.0, 1.0, 4.0]]), torch.tensor([[1.0, 5.0, 9.0]])
    warm = loss(temperature=2.0)(Scores(group, teacher=teacher))
    torch.testing.assert_close(warm, loss()(Scores(group / 2, teacher=teacher / 2)))


@pytest.mark.parametrize("loss", RANKING)
@given(order=st.permutations([0, 1, 2, 3]))
def test_the_teachers_order_costs_least(loss, order):
    teacher = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    in_order = loss()(Scores(2 * teacher, teacher=teacher))
    assert in_order <= loss()(Scores(2 * teacher[:, list(order)], teacher=teacher)) + 1e-6


@pytest.mark.parametrize("loss", RANKING)
def test_the_gradient_raises_the_teachers_best_and_lowers_its_worst(loss):
    flat = scores([[1.0, 1.0, 1.0]], [[3.0, 2.0, 1.0]])
    loss()(flat).backward()
    assert flat.group.grad[0, 0] < 0 < flat.group.grad[0, 2]


@pytest.mark.parametrize(
    "make",
    [lambda: RankNet(0.0), lambda: ListNet(-1.0), lambda: ApproxNDCG(float("nan")), lambda: ApproxNDCG(1.0, 0.0)],
)
def test_temperatures_and_grades_are_above_zero(make):
    with pytest.raises(ValueError, match="above 0"):
        make()
