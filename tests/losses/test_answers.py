"""In-batch losses whose batch holds other answers of a query: these are no negatives. Values worked by hand."""

from math import log

import pytest
import torch

from splade import losses
from splade.losses import Scores

# two queries, two documents each; scores are logs, so that the softmax is of whole numbers
GROUP = [[log(2.0), log(3.0)], [log(6.0), 0.0]]
#               d0+       d0-       d1+       d1-
EVERYTHING = [[log(2.0), log(3.0), log(4.0), log(5.0)], [log(4.0), log(2.0), log(6.0), 0.0]]
TEACHER = [[9.0, 1.0], [9.0, 1.0]]
ONLY_OWN = [[True, False, False, False], [False, False, True, False]]
OTHER_POSITIVE = [[True, False, True, False], [False, False, True, False]]  # d1+ answers query 0 too
OTHER_NEGATIVE = [[True, False, False, True], [False, False, True, False]]  # d1- does
OWN_NEGATIVE = [[True, True, False, False], [False, False, True, False]]  # d0- does

IN_BATCH = losses.InBatchPairwiseNLL
NEGATIVES = losses.Contrastive
ALL = lambda: losses.Contrastive(in_batch=True)  # noqa: E731
SCORE_AWARE = losses.ScoreAwareInBatchNLL
MIX = lambda: losses.WeightedSum({"c": losses.Contrastive(in_batch=True)})  # noqa: E731


def scores(answers=None, everything=EVERYTHING):
    everything = torch.tensor(everything) if isinstance(everything, list) else everything
    known = None if answers is None else torch.tensor(answers)
    return Scores(torch.tensor(GROUP), everything, torch.tensor(TEACHER), torch.tensor([[10, 11], [12, 13]]), known)


@pytest.mark.parametrize("make", [IN_BATCH, NEGATIVES, ALL, SCORE_AWARE, MIX])
def test_where_only_own_positives_answer_the_arithmetic_is_the_published_one(make):
    torch.testing.assert_close(make()(scores(ONLY_OWN)), make()(scores()), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("make", "answers", "first", "second"),
    [  # what stands beside the positive's 2 in the first softmax, and beside the positive's 6 in the second
        (IN_BATCH, None, 4 + 3, 4 + 1),
        (IN_BATCH, OTHER_POSITIVE, 3, 4 + 1),
        (IN_BATCH, OTHER_NEGATIVE, 4 + 3, 4 + 1),
        (IN_BATCH, OWN_NEGATIVE, 4, 4 + 1),
        (NEGATIVES, None, 3 + 5, 2 + 1),
        (NEGATIVES, OTHER_NEGATIVE, 3, 2 + 1),
        (NEGATIVES, OTHER_POSITIVE, 3 + 5, 2 + 1),
        (ALL, None, 3 + 4 + 5, 4 + 2 + 1),
        (ALL, OTHER_POSITIVE, 3 + 5, 4 + 2 + 1),
        (ALL, OTHER_NEGATIVE, 3 + 4, 4 + 2 + 1),
        (MIX, OTHER_POSITIVE, 3 + 5, 4 + 2 + 1),
        (SCORE_AWARE, None, 3 + 4 + 5, 4 + 2 + 1),
        (SCORE_AWARE, OTHER_POSITIVE, 3 + 5, 4 + 2 + 1),
        (SCORE_AWARE, OWN_NEGATIVE, 4 + 5, 4 + 2 + 1),
    ],
)
def test_an_answer_is_no_negative(make, answers, first, second):
    expected = (log((2 + first) / 2) + log((6 + second) / 6)) / 2
    assert make()(scores(answers)).item() == pytest.approx(expected)


def test_positives_alone_in_the_batch_are_masked_by_all_documents_answers():
    positives = torch.tensor(EVERYTHING)[:, ::2]
    value = losses.InBatchPairwiseNLL()(scores(OTHER_POSITIVE, positives)).item()
    assert value == pytest.approx((log((2 + 3) / 2) + log((6 + 4 + 1) / 6)) / 2)


@pytest.mark.parametrize("make", [ALL, SCORE_AWARE, MIX])
def test_an_answer_of_another_query_gets_no_gradient(make):
    everything = torch.tensor(EVERYTHING, requires_grad=True)
    make()(scores(OTHER_POSITIVE, everything)).backward()
    assert (everything.grad[0] == 0).tolist() == [False, False, True, False]
    assert torch.isfinite(everything.grad).all()


def test_a_query_whose_batch_holds_nothing_but_answers_costs_nothing():
    assert losses.InBatchPairwiseNLL()(scores([[True] * 4] * 2)).item() == 0


def test_answers_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"InBatchPairwiseNLL: answers must be \[2, 4\], got \(2, 2\)"):
        losses.InBatchPairwiseNLL()(scores([[True, False], [False, True]]))
