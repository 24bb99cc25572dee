"""In-batch cross-entropy without likely false negatives."""

from math import log

import pytest
import torch

from splade.losses import Contrastive, ScoreAwareInBatchNLL, Scores

# two queries, two documents each; scores are logs, so that the softmax is of whole numbers
GROUP = [[log(2.0), log(3.0)], [log(6.0), 0.0]]
EVERYTHING = [[log(2.0), log(3.0), log(4.0), log(5.0)], [log(4.0), log(2.0), log(6.0), 0.0]]
DIFFERENT = [[10, 11], [12, 13]]


def scores(teacher, keys=DIFFERENT):
    return Scores(torch.tensor(GROUP), torch.tensor(EVERYTHING), torch.tensor(teacher), torch.tensor(keys))


def test_all_documents_count_where_the_teacher_sees_none_close_to_a_positive():
    value = ScoreAwareInBatchNLL()(scores([[9.0, 1.0], [9.0, 6.0]])).item()
    assert value == pytest.approx((log((2 + 3 + 4 + 5) / 2) + log((4 + 2 + 6 + 1) / 6)) / 2)


def test_own_negatives_that_the_teacher_scores_close_to_the_positive_or_above_it_are_left_out():
    # differences 2 and -1, less than 3: both own negatives go
    value = ScoreAwareInBatchNLL(3.0)(scores([[9.0, 7.0], [4.0, 5.0]])).item()
    assert value == pytest.approx((log((2 + 4 + 5) / 2) + log((4 + 2 + 6) / 6)) / 2)


def test_a_text_that_the_query_lists_itself_is_no_other_querys_document():
    # the second query's negative is the first one's positive: out of the first row
    # the first query's negative is the second one's negative: counted once in the second row, as its own
    keys = [[10, 11], [12, 10]]
    value = ScoreAwareInBatchNLL()(scores([[9.0, 1.0], [9.0, 1.0]], keys)).item()
    assert value == pytest.approx((log((2 + 3 + 4) / 2) + log((2 + 6 + 1) / 6)) / 2)


def test_a_false_negative_gets_no_gradient():
    everything = torch.tensor(EVERYTHING, requires_grad=True)
    given = scores([[9.0, 8.0], [9.0, 1.0]], [[10, 11], [12, 10]])._replace(in_batch=everything)
    ScoreAwareInBatchNLL()(given).backward()
    assert (everything.grad[0] == 0).tolist() == [False, True, False, True]


def test_without_a_threshold_and_with_different_texts_it_is_the_contrastive_loss():
    given = scores([[5.0, 5.0], [5.0, 5.0]])
    torch.testing.assert_close(ScoreAwareInBatchNLL(-1.0)(given), Contrastive(in_batch=True)(given))


def test_a_larger_threshold_never_makes_the_loss_larger():
    given = scores([[9.0, 6.5], [9.0, 8.0]])
    values = [ScoreAwareInBatchNLL(difference)(given).item() for difference in (0.0, 2.0, 4.0)]
    assert values[0] > values[1] > values[2]


def test_what_is_missing_is_told():
    with pytest.raises(ValueError, match="needs document_keys"):
        ScoreAwareInBatchNLL()(scores([[9.0, 1.0], [9.0, 1.0]])._replace(document_keys=None))
    with pytest.raises(ValueError, match="min_difference must be a finite number"):
        ScoreAwareInBatchNLL(float("nan"))
