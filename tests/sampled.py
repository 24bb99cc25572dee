"""Cases of which some run in every run, and all of them when there is time."""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], *fast: Any) -> list[Any]:
    """``cases`` for ``parametrize``, those not among ``fast`` marked ``slow``. Without ``fast``, the first one is.

    Of cases that differ in degree alone, one a kind tells of a fault as soon as all do. A case that is a tuple is given
    as the values of several arguments.
    """
    all_cases = list(cases)
    quick = list(fast) or all_cases[:1]
    absent = [case for case in quick if case not in all_cases]
    assert not absent, f"no such cases: {absent}"
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=[pytest.mark.slow] * (case not in quick))
        for case in all_cases
    ]
