"""Penalties and monitors: hand-worked values and laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from splade.regularization import FLOPS, L0, L1, AntiCollapse, SparsityRatio

VECTORS = [[1.0, 0.0, 3.0, 0.0], [3.0, 0.0, 0.0, 0.5]]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        (FLOPS(), 2.0**2 + 1.5**2 + 0.25**2),  # column means 2, 0, 1.5, 0.25
        (L1(), (4.0 + 3.5) / 2),
        (L0(), 2.0),
        (SparsityRatio(), 0.5),
        (AntiCollapse(floor=0.5), (1 / 4.5**2 + 1 / 4.0**2) / 2),
    ],
)
def test_values_of_two_vectors(measure, expected):
    assert measure(torch.tensor(VECTORS)).item() == pytest.approx(expected)


def test_flops_of_one_row_is_its_squared_length():
    assert FLOPS()(torch.tensor([[1.0, 2.0, 2.0]])).item() == pytest.approx(9.0)


def test_flops_prefers_evenly_used_terms_to_one_term_used_by_all():
    same = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    spread = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert FLOPS()(same).item() == pytest.approx(1.0)
    assert FLOPS()(spread).item() == pytest.approx(0.5)
    assert L1()(same) == L1()(spread)


@given(st.integers(1, 5), st.integers(0, 10**6), st.floats(0.1, 10.0))
def test_scaling_repeating_and_reordering(n_rows, seed, factor):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.rand(n_rows, 6, generator=generator)
    torch.testing.assert_close(FLOPS()(factor * vectors), factor**2 * FLOPS()(vectors))
    torch.testing.assert_close(L1()(factor * vectors), factor * L1()(vectors))
    for measure in (FLOPS(), L1(), L0(), SparsityRatio(), AntiCollapse()):
        torch.testing.assert_close(measure(torch.cat([vectors, vectors])), measure(vectors))
        torch.testing.assert_close(measure(vectors.flip(0)), measure(vectors))
        torch.testing.assert_close(measure(vectors.flip(1)), measure(vectors))


def test_flops_depends_on_the_whole_batch_and_not_on_the_mean_of_its_halves():
    halves = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    whole = FLOPS()(torch.cat(halves)).item()
    assert whole == pytest.approx(0.5)
    assert (FLOPS()(halves[0]).item() + FLOPS()(halves[1]).item()) / 2 == pytest.approx(1.0)


def test_flops_is_measured_over_the_last_term_too():
    vectors = torch.zeros(2, 1000)
    vectors[:, -1] = 2.0
    assert FLOPS()(vectors).item() == pytest.approx(4.0)


def test_anti_collapse_sees_one_empty_vector_among_full_ones():
    full = torch.full((9, 4), 5.0)
    one_empty = full.clone()
    one_empty[3] = 0.0
    assert AntiCollapse()(one_empty) > 100 * AntiCollapse()(full)


def test_anti_collapse_pulls_an_empty_vector_up_with_a_finite_gradient():
    empty = torch.zeros(1, 4, requires_grad=True)
    AntiCollapse()(empty).backward()
    assert (empty.grad < 0).all()
    assert torch.isfinite(empty.grad).all()


def test_anti_collapse_needs_a_floor():
    with pytest.raises(ValueError, match="floor"):
        AntiCollapse(0.0)


@pytest.mark.parametrize("measure", [FLOPS(), L1(), AntiCollapse()])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_vectors_are_measured_in_float32(measure, dtype):
    vectors = torch.full((4, 3000), 60.0, dtype=dtype, requires_grad=True)  # Σ is 180000: too much for float16
    value = measure(vectors)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value)
    assert torch.isfinite(vectors.grad).all()


@pytest.mark.parametrize("measure", [L0(), SparsityRatio()])
def test_monitors_count_and_take_no_gradient(measure):
    assert not measure(torch.ones(1, 2, requires_grad=True)).requires_grad
