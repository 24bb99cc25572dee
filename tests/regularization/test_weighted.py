"""FLOPS with weights of rows and of terms, worked by hand, and what it learns from a training's vectors."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from splade.files import InputError
from splade.regularization import FLOPS, DocumentFrequencyFLOPS, IdfFLOPS, MaskedFLOPS
from splade.regularization.weighted import logistic_weights

VECTORS = torch.tensor([[2.0, 0.0, 4.0], [0.0, 2.0, 0.0]])  # non-zeros 2 and 1


def idf(tmp_path, table, **options):
    (tmp_path / "idf.json").write_text(json.dumps(table))
    measure = IdfFLOPS(str(tmp_path / "idf.json"), **options)
    measure.for_vocabulary({"a": 0, "b": 1, "c": 2}, 3)
    return measure


def learnt(measure, *batches):
    for step, batch in enumerate(batches):
        measure.observe(batch)
        measure.settle(step)
    return measure


def test_rows_under_the_threshold_cost_nothing_and_still_count_in_the_mean():
    assert MaskedFLOPS(1)(VECTORS).item() == 1.0**2 + 2.0**2  # the second row has one non-zero: masked
    assert MaskedFLOPS(2)(VECTORS).item() == 0.0


def test_a_masked_row_gets_no_gradient_and_the_others_that_of_flops():
    masked, plain = VECTORS.clone().requires_grad_(), VECTORS.clone().requires_grad_()
    MaskedFLOPS(1)(masked).backward()
    FLOPS()(plain).backward()
    assert masked.grad[1].tolist() == [0.0, 0.0, 0.0]
    assert torch.equal(masked.grad[0], plain.grad[0])


def test_a_threshold_of_zero_is_flops():
    assert torch.equal(MaskedFLOPS(0)(VECTORS), FLOPS()(VECTORS))


def test_idf_flops_divides_a_terms_mean_by_its_idf(tmp_path):
    # means 1, 1, 2; idf 2, 1, 4
    assert idf(tmp_path, {"a": 2.0, "b": 1.0, "c": 4.0})(VECTORS).item() == pytest.approx(0.25 + 1.0 + 0.25)


def test_terms_without_idf_count_as_rarest_and_the_commonest_no_less_than_the_floor(tmp_path):
    # idf 2; none: 2, the largest; .01: .5, the floor
    measure = idf(tmp_path, {"a": 2.0, "c": 0.01, "elsewhere": 9.0}, floor=0.5)
    assert measure(VECTORS).item() == pytest.approx(0.25 + 0.25 + 16.0)


def test_equal_idfs_are_flops_over_their_square(tmp_path):
    assert idf(tmp_path, dict.fromkeys("abc", 2.0))(VECTORS).item() == pytest.approx(FLOPS()(VECTORS).item() / 4)


@pytest.mark.parametrize(
    ("table", "words"), [({"x": 1.0}, "none of its 1 tokens"), ({"a": "1"}, "finite"), ([], "a list")]
)
def test_a_file_that_gives_no_idf_is_refused(tmp_path, table, words):
    with pytest.raises(InputError, match=words):
        idf(tmp_path, table)


def test_the_logistic_is_a_half_at_alpha_and_runs_from_zero_to_one():
    weights = logistic_weights(torch.tensor([0.0, 0.01, 0.1, 1.0], dtype=torch.float64), alpha=0.1, beta=10.0)
    # x = .01: .01^(log_.1 2) = 2² = 4, so 1 / (1 + 3^10)
    assert weights.tolist() == pytest.approx([0.0, 1 / 59050, 0.5, 1.0])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.floats(0.02, 0.9), st.floats(0.5, 12))
def test_a_more_frequent_term_never_weighs_less(shares, alpha, beta):
    weights = logistic_weights(torch.tensor(sorted(shares), dtype=torch.float64), alpha, beta)
    assert (weights.diff() >= -1e-12).all()
    assert ((weights >= 0) & (weights <= 1)).all()


def test_document_frequencies_weigh_terms_once_they_have_been_measured():
    measure = DocumentFrequencyFLOPS(every=2, alpha=0.5, beta=2.0)
    learnt(measure, VECTORS)
    assert measure(VECTORS).item() == FLOPS()(VECTORS).item()  # one step of two: plain
    learnt(measure, torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    # shares 3/4, 1/4, 1/2; α = 1/2, so 1 / (1 + (1/x - 1)²): 9/10, 1/10, 1/2
    assert measure(VECTORS).item() == pytest.approx(0.9**2 + 0.1**2 + 1.0**2)


def test_document_frequencies_do_not_depend_on_how_documents_are_spread_over_batches():
    documents = torch.rand(12, 5, generator=torch.Generator().manual_seed(0)) > 0.6
    whole = learnt(DocumentFrequencyFLOPS(every=1), documents.float())
    cut = DocumentFrequencyFLOPS(every=1)
    for part in documents.float().split(3):
        cut.observe(part)
    cut.settle(0)
    assert torch.equal(whole._weights, cut._weights)


def test_what_was_observed_in_a_step_that_did_not_end_is_forgotten():
    measure, other = DocumentFrequencyFLOPS(every=1), DocumentFrequencyFLOPS(every=1)
    measure.observe(torch.ones(2, 3))
    measure.forget()
    assert torch.equal(learnt(measure, VECTORS)._weights, learnt(other, VECTORS)._weights)


def test_a_restored_measure_goes_on_as_if_it_had_never_stopped():
    batches = [(torch.rand(4, 3, generator=torch.Generator().manual_seed(n)) > 0.5).float() for n in range(5)]
    straight = learnt(DocumentFrequencyFLOPS(every=2), *batches)
    first, second = learnt(DocumentFrequencyFLOPS(every=2), *batches[:3]), DocumentFrequencyFLOPS(every=2)
    second.restore(first.state())
    learnt(second, *batches[3:])
    assert torch.equal(second._weights, straight._weights)
    assert torch.equal(second._shares, straight._shares)
    assert second._steps == straight._steps == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaskedFLOPS(-1),
        lambda: DocumentFrequencyFLOPS(every=0),
        lambda: DocumentFrequencyFLOPS(alpha=1.0),
        lambda: DocumentFrequencyFLOPS(beta=0.0),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()
