"""Each loss against values worked by hand."""

from math import exp, log

import pytest
import torch

from splade import losses
from splade.losses import Scores


def scores(group, teacher=None, in_batch=None):
    def tensor(rows):
        return None if rows is None else torch.tensor(rows)

    return Scores(tensor(group), tensor(in_batch), tensor(teacher))


# e^(ln 3) : e^0 = 3 : 1, so the positive holds 3/4 of the softmax, 1/4 where the roles are exchanged.
THREE_TO_ONE = [[log(3.0), 0.0], [0.0, log(3.0)]]


def test_pairwise_nll_of_odds_three_to_one_and_one_to_three():
    assert losses.PairwiseNLL()(scores(THREE_TO_ONE)).item() == pytest.approx((log(4 / 3) + log(4)) / 2)


def test_pairwise_bpr_is_the_log_odds_of_the_positive_winning():
    assert losses.PairwiseBPR()(scores(THREE_TO_ONE)).item() == pytest.approx((log(4 / 3) + log(4)) / 2)


def test_bce_labels_the_positive_one_and_negatives_zero():
    # sigmoid(ln 3) = 3/4 for the positive; sigmoid(0) = 1/2 for each negative
    value = losses.BCE()(scores([[log(3.0), 0.0, 0.0]])).item()
    assert value == pytest.approx((log(4 / 3) + log(2) + log(2)) / 3)


def test_in_batch_loss_puts_own_negative_beside_every_positive():
    # query 0: positives 2 : 1, own negative 1 -> 2/4; query 1: positives 1 : 6, own negative 1 -> 6/8
    in_batch = [[log(2.0), 0.0], [0.0, log(6.0)]]
    group = [[log(2.0), 0.0], [log(6.0), 0.0]]
    assert losses.InBatchPairwiseNLL()(scores(group, in_batch=in_batch)).item() == pytest.approx(
        (log(2) + log(4 / 3)) / 2
    )


def test_in_batch_loss_without_negatives_is_plain_cross_entropy():
    in_batch = [[log(3.0), 0.0], [log(3.0), 0.0]]  # 3/4 for the first query, 1/4 for the second
    value = losses.InBatchPairwiseNLL()(scores([[log(3.0)], [0.0]], in_batch=in_batch)).item()
    assert value == pytest.approx((log(4 / 3) + log(4)) / 2)


def test_in_batch_loss_takes_only_positives_from_all_documents_of_the_batch():
    group = [[log(2.0), 0.0], [log(6.0), 0.0]]
    everything = [[log(2.0), 0.0, 0.0, 50.0], [0.0, 50.0, log(6.0), 0.0]]  # 50: the other query's negative
    value = losses.InBatchPairwiseNLL()(scores(group, in_batch=everything)).item()
    assert value == pytest.approx((log(2) + log(4 / 3)) / 2)


def test_contrastive_counts_all_negatives_of_the_batch_and_other_positives_on_request():
    group = [[log(2.0), 0.0], [log(6.0), 0.0]]
    #            d0+       d0-       d1+       d1-
    everything = [[log(2.0), 0.0, log(4.0), log(1.0)], [log(4.0), log(2.0), log(6.0), 0.0]]
    without = losses.Contrastive()(scores(group, in_batch=everything)).item()
    assert without == pytest.approx((log((2 + 1 + 1) / 2) + log((2 + 6 + 1) / 6)) / 2)
    including = losses.Contrastive(in_batch=True)(scores(group, in_batch=everything)).item()
    assert including == pytest.approx((log((2 + 1 + 4 + 1) / 2) + log((4 + 2 + 6 + 1) / 6)) / 2)


def test_margin_mse_squares_the_difference_of_margins():
    # margins 3 and 1 against 1 and 1: errors 2 and 0
    value = losses.DistilMarginMSE()(scores([[5.0, 2.0], [1.0, 0.0]], teacher=[[2.0, 1.0], [9.0, 8.0]])).item()
    assert value == pytest.approx((2.0**2 + 0.0) / 2)


def test_margin_mse_of_all_pairs_averages_the_six_ordered_pairs_of_three_documents():
    # student minus teacher: 0, 1, 3; squared differences 1, 9, 4, each in both orders
    value = losses.MarginMSEAllPairs()(scores([[4.0, 3.0, 3.0]], teacher=[[4.0, 2.0, 0.0]])).item()
    assert value == pytest.approx((1 + 9 + 4) * 2 / 6)


def test_kl_is_the_teacher_against_the_student():
    # teacher 3/4, 1/4; student 1/2, 1/2
    expected = 0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.5)
    assert losses.KlDiv()(scores([[1.0, 1.0]], teacher=[[log(3.0), 0.0]])).item() == pytest.approx(expected)


def test_kl_temperature_divides_both_sides():
    warm = losses.KlDiv(temperature=2.0)(scores([[1.0, 1.0]], teacher=[[2 * log(3.0), 0.0]])).item()
    assert warm == pytest.approx(0.75 * log(1.5) + 0.25 * log(0.5))


def test_published_mixes_weigh_their_parts():
    # group 1 : 1, teacher 3 : 1, so KL as above and a margin error of ln 3
    kl, mse = 0.75 * log(1.5) + 0.25 * log(0.5), log(3.0) ** 2
    one = scores([[1.0, 1.0]], teacher=[[log(3.0), 0.0]], in_batch=[[1.0, 1.0]])
    all_documents = one._replace(in_batch=torch.ones(1, 2))
    assert losses.kldiv_mse_margin_with_weights()(one._replace(in_batch=None)).item() == pytest.approx(
        0.99 * kl + 0.05 * mse
    )
    assert losses.kldiv_mse_margin_without_weights()(one._replace(in_batch=None)).item() == pytest.approx(kl + mse)
    with_weights = losses.kldiv_contrastive_with_weights()(all_documents).item()
    assert with_weights == pytest.approx(0.99 * kl + 0.01 * log(2))
    assert losses.kldiv_contrastive_without_weights()(all_documents).item() == pytest.approx(kl + log(2))


def test_extreme_scores_stay_finite():
    far = scores([[0.0, 300.0]], teacher=[[300.0, 0.0]])
    assert losses.PairwiseNLL()(far).item() == pytest.approx(300.0)
    assert losses.PairwiseBPR()(far).item() == pytest.approx(300.0)
    assert losses.BCE()(far).item() == pytest.approx((log(2) + 300.0) / 2)
    assert losses.KlDiv()(far).item() == pytest.approx(300.0 * (1 - exp(-300.0)))
