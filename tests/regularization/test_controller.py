"""The controller of λ: its law on a simulated response, and its state."""

import math

import pytest
import torch

from splade.regularization import ConstantRamp, QuadraticRamp, TargetController
from tests.sampled import sampled

WIDTH = 1000


class Response:
    """Vectors whose non-zeros follow λ slowly: towards ``60 · λ^-0.4``, a 30th of the way in each step."""

    def __init__(self, non_zeros=800.0):
        self.log = math.log(non_zeros)
        self.generator = torch.Generator().manual_seed(0)

    def vectors(self, weight):
        self.log += (math.log(60 * max(weight, 1e-6) ** -0.4) - self.log) / 30
        noisy = min(math.exp(self.log), WIDTH) * (1 + 0.1 * torch.randn((), generator=self.generator).item())
        return (torch.arange(WIDTH) < noisy).float()[None]


def run(controller, response, steps, first=0):
    counted = []
    for step in range(first, first + steps):
        vectors = response.vectors(controller(step))
        counted.append(int(vectors.sum()))
        controller.observe(vectors)
        controller.settle(step)
    return counted


@pytest.mark.parametrize("start", sampled([1e-4, 1e-2, 1.0, 100.0], 1e-4, 100.0))
@pytest.mark.parametrize("target", sampled([20, 150]))
def test_the_target_is_reached_from_any_weight_and_kept(start, target):
    counted = run(TargetController(ConstantRamp(start), target, steps=40), Response(), 1500)
    assert sum(counted[-300:]) / 300 == pytest.approx(target, rel=0.03)
    assert min(counted) > 0.3 * min(target, 60 * start**-0.4)


def test_in_the_end_the_weight_does_not_depend_on_where_it_started():
    ends = []
    for start in (1e-4, 1.0):
        controller = TargetController(ConstantRamp(start), 30, steps=40)
        run(controller, Response(), 1500)
        ends.append(math.log(controller(1500)))
    assert ends[0] == pytest.approx(ends[1], abs=0.3)


def test_too_many_non_zeros_raise_the_weight_and_too_few_lower_it():
    weights = []
    for count in (50, 10, 2):
        controller = TargetController(ConstantRamp(0.5), 10, steps=10)
        for step in range(5):
            controller.observe((torch.arange(WIDTH) < count).float()[None])
            controller.settle(step)
        weights.append(controller(5))
    assert weights[0] > weights[1] == 0.5 > weights[2]


def test_the_ramp_comes_first_and_the_controller_goes_on_from_its_full_weight():
    controller, response = TargetController(QuadraticRamp(0.5, 10), 10, steps=10), Response()
    weights = []
    for step in range(12):
        weights.append(controller(step))
        run(controller, response, 1, step)
    assert weights[:11] == [QuadraticRamp(0.5, 10)(step) for step in range(11)]
    assert weights[11] > 0.5


def test_vectors_that_run_empty_lower_the_weight():
    controller = TargetController(ConstantRamp(1.0), 10, steps=10)
    for step in range(20):
        controller.observe(torch.zeros(3, 5))
        controller.settle(step)
    assert controller(20) < 0.2


def test_a_restored_controller_goes_on_as_if_it_had_never_stopped():
    straight, response = TargetController(ConstantRamp(0.1), 30), Response()
    run(straight, response, 40)
    first, second, again = TargetController(ConstantRamp(0.1), 30), TargetController(ConstantRamp(0.1), 30), Response()
    run(first, again, 25)
    second.restore(first.state())
    run(second, again, 15, 25)
    assert second.state() == straight.state()


@pytest.mark.parametrize(("target", "steps"), [(0, 10), (float("inf"), 10), (9, 0)])
def test_targets_and_steps_are_above_zero(target, steps):
    with pytest.raises(ValueError, match="must be"):
        TargetController(ConstantRamp(1.0), target, steps)
