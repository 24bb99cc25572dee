"""Laws of the losses: invariances, minima, dtypes, and what they say of their needs."""

import pytest
import torch

from splade import losses
from splade.losses import Scores

OF_A_GROUP = [losses.PairwiseNLL, losses.PairwiseBPR, losses.BCE]
OF_A_BATCH = [losses.InBatchPairwiseNLL, losses.Contrastive, lambda: losses.Contrastive(in_batch=True)]
OF_A_TEACHER = [
    losses.DistilMarginMSE, losses.MarginMSEAllPairs, losses.KlDiv, lambda: losses.KlDiv(3.0),
    losses.kldiv_mse_margin_with_weights,
]  # fmt: skip
IN_A_TEACHERS_ORDER = [losses.RankNet, losses.ListNet, losses.ApproxNDCG]
SCORE_AWARE = [losses.ScoreAwareInBatchNLL, lambda: losses.ScoreAwareInBatchNLL(0.0)]
MIXED = [losses.kldiv_contrastive_with_weights, losses.kldiv_contrastive_without_weights]
ALL = OF_A_GROUP + OF_A_BATCH + OF_A_TEACHER + IN_A_TEACHERS_ORDER + SCORE_AWARE + MIXED
SHIFT_FREE = [loss for loss in ALL if loss is not losses.BCE]


def random_scores(seed=0, n_queries=4, n_documents=3, dtype=torch.float32):
    """Consistent scores: the group is the block diagonal of all documents' scores."""
    generator = torch.Generator().manual_seed(seed)
    everything = (3 * torch.randn(n_queries, n_queries * n_documents, generator=generator)).to(dtype)
    everything = everything.requires_grad_()
    rows = torch.arange(n_queries)
    group = everything.view(n_queries, n_queries, n_documents)[rows, rows]
    teacher = 3 * torch.randn(n_queries, n_documents, generator=generator)
    return Scores(group, everything, teacher, torch.arange(n_queries * n_documents).view(n_queries, n_documents))


@pytest.mark.parametrize("make", SHIFT_FREE)
def test_a_constant_added_to_a_querys_scores_changes_nothing(make):
    plain = random_scores()
    shift = torch.tensor([[-7.0], [0.0], [2.0], [11.0]])
    shifted = plain._replace(
        group=plain.group + shift, in_batch=plain.in_batch + shift, teacher=plain.teacher - 2 * shift
    )
    torch.testing.assert_close(make()(shifted), make()(plain), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", ALL)
def test_the_order_of_queries_and_of_negatives_changes_nothing(make):
    plain = random_scores()
    queries, documents = torch.tensor([2, 0, 3, 1]), torch.tensor([0, 2, 1])
    everything = plain.in_batch.view(4, 4, 3)[queries][:, queries][:, :, documents].reshape(4, 12)
    moved = Scores(
        plain.group[queries][:, documents],
        everything,
        plain.teacher[queries][:, documents],
        plain.document_keys[queries][:, documents],
    )
    torch.testing.assert_close(make()(moved), make()(plain))


@pytest.mark.parametrize("make", OF_A_TEACHER)
def test_a_student_that_equals_its_teacher_costs_nothing_and_does_not_move(make):
    group = random_scores().group.detach().requires_grad_()
    value = make()(Scores(group, teacher=group.detach()))
    value.backward()
    torch.testing.assert_close(value, torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(group.grad, torch.zeros_like(group), atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", OF_A_GROUP + OF_A_BATCH)
def test_raising_the_positive_and_lowering_a_negative_both_help(make):
    plain = random_scores()
    make()(plain).backward()
    own = torch.arange(4)
    gradient = plain.in_batch.grad.view(4, 4, 3)[own, own]
    assert (gradient[:, 0] < 0).all()
    assert (gradient[:, 1:] > 0).all()


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_scores_give_a_float32_loss_and_a_finite_gradient(make, dtype):
    half = random_scores(dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = make()(half)
    value.backward()
    exact = make()(half._replace(group=half.group.detach().float(), in_batch=half.in_batch.detach().float()))
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.detach(), exact, rtol=0, atol=0)
    assert torch.isfinite(half.in_batch.grad).all()
    assert half.in_batch.grad.abs().sum() > 0


@pytest.mark.parametrize("make", ALL)
def test_large_half_precision_scores_keep_the_gradient_finite(make):
    group = torch.tensor([[-3e4, 3e4, 1.0]], dtype=torch.float16, requires_grad=True)
    value = make()(Scores(group, group, torch.tensor([[2.0, 1.0, 0.0]]), torch.arange(3)[None]))
    value.backward()
    assert torch.isfinite(value)


@pytest.mark.parametrize("make", OF_A_TEACHER + IN_A_TEACHERS_ORDER + SCORE_AWARE)
def test_the_teacher_takes_no_gradient(make):
    teacher = torch.tensor([[2.0, 1.0]], requires_grad=True)
    group = torch.tensor([[0.0, 1.0]], requires_grad=True)
    make()(Scores(group, group, teacher, torch.tensor([[0, 1]]))).backward()
    assert teacher.grad is None


def test_two_documents_make_pairwise_nll_and_bpr_one_loss():
    pair = random_scores(n_documents=2)
    torch.testing.assert_close(losses.PairwiseNLL()(pair), losses.PairwiseBPR()(pair))


def test_two_documents_make_both_margin_losses_one_loss():
    pair = random_scores(n_documents=2)
    torch.testing.assert_close(losses.MarginMSEAllPairs()(pair), losses.DistilMarginMSE()(pair))


def test_more_queries_in_the_batch_make_the_in_batch_loss_harder():
    whole = random_scores(n_documents=2)
    first = Scores(whole.group[:1], whole.in_batch.view(4, 4, 2)[:1, :1].reshape(1, 2))
    three = Scores(whole.group[:3], whole.in_batch.view(4, 4, 2)[:3, :3].reshape(3, 6))
    alone = losses.PairwiseNLL()(first)
    torch.testing.assert_close(losses.InBatchPairwiseNLL()(first), alone)
    per_query_alone = losses.PairwiseNLL()(three)
    assert losses.InBatchPairwiseNLL()(three) > per_query_alone
    assert losses.Contrastive(in_batch=True)(three) > losses.Contrastive()(three)


def test_losses_say_what_they_need():
    assert (losses.KlDiv.needs_teacher, losses.KlDiv.needs_in_batch) == (True, False)
    assert (losses.InBatchPairwiseNLL.needs_teacher, losses.InBatchPairwiseNLL.needs_in_batch) == (False, True)
    mix = losses.kldiv_contrastive_with_weights()
    assert (mix.needs_teacher, mix.needs_in_batch, mix.in_batch_documents) == (True, True, "all")


@pytest.mark.parametrize(
    ("make", "given", "words"),
    [
        (losses.KlDiv, Scores(torch.zeros(2, 2)), "needs teacher scores"),
        (losses.InBatchPairwiseNLL, Scores(torch.zeros(2, 2)), "augment_pairs=in_batch_negatives"),
        (losses.PairwiseNLL, Scores(torch.zeros(2, 1)), "at least 2 documents per query"),
        (losses.PairwiseNLL, Scores(torch.zeros(2)), r"\[queries, documents\]"),
        (losses.KlDiv, Scores(torch.zeros(2, 2), teacher=torch.zeros(2, 3)), "teacher has shape"),
        (
            losses.InBatchPairwiseNLL,
            Scores(torch.zeros(2, 2), torch.zeros(2, 3)),
            r"in_batch must be \[2, 2\] or \[2, 4\]",
        ),
        (losses.Contrastive, Scores(torch.zeros(2, 2), torch.zeros(2, 2)), "all 4 documents"),
    ],
)
def test_missing_or_misshapen_scores_are_refused_in_words(make, given, words):
    with pytest.raises(ValueError, match=words):
        make()(given)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_must_be_a_positive_number(temperature):
    with pytest.raises(ValueError, match="temperature"):
        losses.KlDiv(temperature)


@pytest.mark.parametrize("weights", [{"nll": 1.0, "kl": 1.0}, {"nll": -1.0}, {"nll": float("nan")}])
def test_weights_must_name_the_losses_and_be_finite(weights):
    with pytest.raises(ValueError, match="weight"):
        losses.WeightedSum({"nll": losses.PairwiseNLL()}, weights)


def test_a_sum_of_no_losses_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        losses.WeightedSum({})
