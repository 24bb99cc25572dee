"""The line of the trainer worth framing, worked by hand."""

import pytest
import torch

from splade.losses import BCE, Contrastive, DistilMarginMSE, InBatchPairwiseNLL
from splade.regularization import FLOPS, L1, ConstantRamp, Penalty, QuadraticRamp
from splade.training.step.objective import Objective, sparsity

QUERIES = torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]])  # [2, 3]
DOCUMENTS = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]], [[0.0, 3.0, 0.0], [1.0, 1.0, 0.0]]])  # [2, 2, 3]
TEACHER = torch.tensor([[5.0, 1.0], [4.0, 3.0]])


def objective(loss, *penalties, in_batch=False, penalty_documents="slot"):
    return Objective(loss, penalties, in_batch=in_batch, penalty_documents=penalty_documents)


def test_scores_are_dot_products_of_each_query_with_its_own_documents():
    group, in_batch, teacher, *_ = objective(BCE()).scores(QUERIES, DOCUMENTS, TEACHER)
    assert group.tolist() == [[3.0, 0.0], [3.0, 1.0]]
    assert in_batch is None
    assert teacher is TEACHER


def test_in_batch_scores_are_with_everyones_positives_or_with_all_documents():
    positives = objective(InBatchPairwiseNLL(), in_batch=True).scores(QUERIES, DOCUMENTS, None).in_batch
    assert positives.tolist() == [[3.0, 0.0], [0.0, 3.0]]
    everything = objective(Contrastive(), in_batch=True).scores(QUERIES, DOCUMENTS, None).in_batch
    assert everything.tolist() == [[3.0, 0.0, 0.0, 1.0], [0.0, 2.0, 3.0, 1.0]]


def test_the_total_is_the_loss_and_each_penalty_once():
    ramp = QuadraticRamp(0.4, 10)
    parts = [Penalty("FLOPS", "query", FLOPS(), ramp), Penalty("FLOPS", "document", FLOPS(), ConstantRamp(0.1))]
    total, logged = objective(DistilMarginMSE(), *parts)(QUERIES, DOCUMENTS, TEACHER, step=5)
    # margins 3 and 2, the teacher's 4 and 1: ((3-4)² + (2-1)²) / 2 = 1
    # R(q) = .5² + .5² + 1² = 1.5; R(d+) = .5² + 1.5² + .5² = 2.75; R(d-) = .5² + 1.5² = 2.5; mean 2.625
    assert logged["loss"] == pytest.approx(1.0)
    assert logged["FLOPS_query"] == pytest.approx(1.5)
    assert logged["FLOPS_document"] == pytest.approx(2.625)
    assert logged["lambda_FLOPS_query"] == pytest.approx(0.1)  # .4 · (5/10)²
    assert total.item() == pytest.approx(1.0 + 0.1 * 1.5 + 0.1 * 2.625) == logged["total"]


def test_pooled_documents_are_measured_together():
    part = Penalty("FLOPS", "document", FLOPS(), ConstantRamp(1.0))
    logged = objective(BCE(), part, penalty_documents="pooled")(QUERIES, DOCUMENTS, None, 0).logged
    assert logged["FLOPS_document"] == pytest.approx(0.5**2 + 1.5**2 + 0.25**2)


def test_a_weight_of_zero_measures_and_leaves_the_gradient_alone():
    def gradient(*parts):
        queries = QUERIES.clone().requires_grad_()
        outcome = objective(BCE(), *parts)(queries, DOCUMENTS, None, 0)
        outcome.total.backward()
        return queries.grad, outcome.logged

    watched, logged = gradient(Penalty("L1", "query", L1(), ConstantRamp(0.0)))
    assert torch.equal(watched, gradient()[0])
    assert logged["L1_query"] == pytest.approx(2.0)


def test_sparsity_counts_terms_empty_vectors_and_shared_postings():
    documents = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = sparsity(QUERIES, documents)
    assert found == pytest.approx(
        {"L0_q": 1.5, "L0_d": 1.0, "dead_q": 0.0, "dead_d": 0.25, "flops": 0.5 * 0.25 + 0.5 * 0.75}
    )


def test_the_columns_name_everything_that_is_logged():
    parts = [Penalty("L1", "query", L1(), ConstantRamp(0.0))]
    made = objective(BCE(), *parts)
    assert set(made(QUERIES, DOCUMENTS, None, 0).logged) == set(made.columns())


def test_another_way_to_measure_documents_is_refused():
    with pytest.raises(ValueError, match="'slot' or 'pooled', got 'mean'"):
        objective(BCE(), penalty_documents="mean")


def test_the_teachers_temperature_divides_its_scores_and_not_the_students():
    warm = Objective(DistilMarginMSE(), [], in_batch=False, penalty_documents="slot", teacher_temperature=2.0)
    # margins 3 and 2, the teacher's 4 / 2 and 1 / 2: ((3 - 2)² + (2 - .5)²) / 2
    assert warm(QUERIES, DOCUMENTS, TEACHER, 0).logged["loss"] == pytest.approx((1 + 2.25) / 2)
