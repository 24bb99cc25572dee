"""Losses that bring the student's scores ``s`` to a teacher's ``t``."""

from torch import Tensor
from torch.nn import functional

from splade.losses.scores import Loss, Scores, above_zero, teacher_of


class DistilMarginMSE(Loss):
    """Mean of ``((s+ - s-) - (t+ - t-))²`` over queries and their negatives. arXiv 2010.02666."""

    needs_teacher = True

    def value(self, scores: Scores) -> Tensor:
        """The loss of positive-to-negative margins, in float32."""
        error = scores.group - teacher_of(scores)  # [B, n]
        return (error[:, :1] - error[:, 1:]).square().mean()


class MarginMSEAllPairs(Loss):
    """Mean of ``((s_a - s_b) - (t_a - t_b))²`` over all ordered pairs a ≠ b of a group, mean over queries.

    With two documents it is ``DistilMarginMSE``.
    """

    needs_teacher = True

    def value(self, scores: Scores) -> Tensor:
        """The loss of every margin, in float32: twice the sample variance of s - t, without the n² pairs."""
        error = scores.group - teacher_of(scores)  # [B, n]
        return 2.0 * error.var(dim=1, correction=1).mean()


class KlDiv(Loss):
    """``KL(softmax(t / τ) ‖ softmax(s / τ))`` over the listed documents, mean over queries.

    The temperature τ divides both sides; the value is not multiplied by τ².
    """

    needs_teacher = True

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = above_zero("temperature", temperature)

    def value(self, scores: Scores) -> Tensor:
        """The divergence of the listed documents, in float32 and in nats."""
        student = functional.log_softmax(scores.group / self.temperature, dim=1)
        teacher = functional.log_softmax(teacher_of(scores) / self.temperature, dim=1)
        return functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
