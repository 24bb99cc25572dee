"""Ramps, penalties and their sum."""

import pytest
import torch

from splade.regularization import FLOPS, L0, L1, ConstantRamp, LinearRamp, Penalty, QuadraticRamp, penalty_sum

VECTORS = {
    "query": [torch.tensor([[2.0, 0.0]])],
    "document": [torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, 3.0]])],
}


@pytest.mark.parametrize(
    ("ramp", "weights"),
    [
        (QuadraticRamp(8.0, 4), [0.0, 0.5, 2.0, 4.5, 8.0, 8.0]),
        (LinearRamp(8.0, 4), [0.0, 2.0, 4.0, 6.0, 8.0, 8.0]),
        (ConstantRamp(8.0, 4), [8.0] * 6),
    ],
)
def test_ramps_grow_to_their_target_and_stay(ramp, weights):
    assert [ramp(step) for step in range(6)] == weights


def test_a_weight_is_a_function_of_the_step_alone():
    ramp = QuadraticRamp(1.0, 10)
    assert [ramp(7), ramp(2), ramp(7)] == [ramp(7), ramp(2), QuadraticRamp(1.0, 10)(7)]


@pytest.mark.parametrize("make", [lambda: QuadraticRamp(1.0, 0), lambda: LinearRamp(1.0, -1)])
def test_a_ramp_of_no_steps_is_refused(make):
    with pytest.raises(ValueError, match="steps must be at least 1"):
        make()


@pytest.mark.parametrize("target", [-0.1, float("nan"), float("inf")])
def test_a_target_must_be_a_finite_weight(target):
    with pytest.raises(ValueError, match="target"):
        ConstantRamp(target)


def test_the_sum_weighs_each_penalty_once_and_averages_document_slots():
    penalties = [
        Penalty("FLOPS", "query", FLOPS(), ConstantRamp(0.5)),
        Penalty("FLOPS", "document", FLOPS(), ConstantRamp(0.25)),
        Penalty("L1", "document", L1(), ConstantRamp(2.0)),
    ]
    total, measured = penalty_sum(penalties, 0, VECTORS)
    # queries 4; documents (2 + 9) / 2 = 5.5; L1 of documents (2 + 3) / 2 = 2.5
    assert measured == {"FLOPS_query": 4.0, "FLOPS_document": 5.5, "L1_document": 2.5}
    assert total.item() == pytest.approx(0.5 * 4.0 + 0.25 * 5.5 + 2.0 * 2.5)


def test_documents_pooled_in_one_slot_are_one_batch():
    pooled = {"document": [torch.cat(VECTORS["document"])]}
    total, _ = penalty_sum([Penalty("FLOPS", "document", FLOPS(), ConstantRamp(1.0))], 0, pooled)
    assert total.item() == pytest.approx(0.5**2 + 2.0**2)


def test_another_regularizer_adds_only_its_own_part():
    flops = Penalty("FLOPS", "query", FLOPS(), ConstantRamp(1.0))
    others = [Penalty("L1", "query", L1(), ConstantRamp(0.0)), Penalty("L0", "query", L0(), ConstantRamp(0.0))]
    alone, _ = penalty_sum([flops], 0, VECTORS)
    beside, measured = penalty_sum([flops, *others], 0, VECTORS)
    assert alone == beside
    assert measured == {"FLOPS_query": 4.0, "L1_query": 2.0, "L0_query": 1.0}


def test_weight_zero_measures_without_a_gradient_and_without_an_error():
    vectors = {"query": [torch.tensor([[2.0, 0.0]], requires_grad=True)]}
    total, measured = penalty_sum([Penalty("FLOPS", "query", FLOPS(), QuadraticRamp(0.0, 5))], 3, vectors)
    assert total.item() == 0.0
    assert not total.requires_grad
    assert measured == {"FLOPS_query": 4.0}


def test_the_gradient_is_the_weighted_gradient_of_the_measure():
    rows = torch.tensor([[2.0, 1.0]], requires_grad=True)
    total, _ = penalty_sum([Penalty("FLOPS", "query", FLOPS(), LinearRamp(1.0, 2))], 1, {"query": [rows]})
    total.backward()
    torch.testing.assert_close(rows.grad, 0.5 * torch.tensor([[4.0, 2.0]]))
