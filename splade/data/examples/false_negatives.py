"""Negatives that a teacher holds to be as good as the answer."""

from collections.abc import Collection, Mapping


class FalseNegatives:
    """Tells false negatives by a teacher's scores, relative to those of the positives (arXiv 2407.15831).

    A negative is false that scores above ``positive - margin``, or above ``share`` of the positive's score (of a
    negative score s: above ``s - (1 - share) * |s|``). Where both are given either suffices; of several positives
    the one that the teacher likes least counts. None: that rule is off.
    """

    def __init__(self, margin: float | None = None, share: float | None = None) -> None:
        if margin is not None and margin < 0:
            raise ValueError(f"margin must be at least 0, got {margin}")
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, got {share}")
        self.margin, self.share = margin, share

    def __bool__(self) -> bool:
        return self.margin is not None or self.share is not None

    def limit(self, positive: float) -> float:
        """The highest score that a negative may have beside a positive with this one."""
        limits = [float("inf")]
        if self.margin is not None:
            limits.append(positive - self.margin)
        if self.share is not None:
            limits.append(positive - (1 - self.share) * abs(positive))
        return min(limits)

    def among(self, scores: Mapping[str, float], positives: Collection[str]) -> set[str]:
        """The false negatives among the scored documents of a query; none where no positive is scored."""
        known = [scores[id] for id in positives if id in scores and scores[id] == scores[id]]  # a NaN is no score
        if not known:
            return set()
        limit = self.limit(min(known))
        return {id for id, score in scores.items() if score > limit and id not in positives}
