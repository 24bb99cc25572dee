"""Penalties from ``config.regularizer``: published forms, and every slip an error with an address."""

import pytest
from omegaconf import OmegaConf

from splade.files import InputError
from splade.regularization import FLOPS, L1, QuadraticRamp, TargetController, penalties_from

CATALOG = {
    "FLOPS": "splade.regularization.FLOPS",
    "L1": "splade.regularization.L1",
    "L0": "splade.regularization.L0",
    "sparsity_ratio": "splade.regularization.SparsityRatio",
}
MORE = CATALOG | {
    "masked_FLOPS": "splade.regularization.MaskedFLOPS",
    "DF_FLOPS": "splade.regularization.DocumentFrequencyFLOPS",
}


def weights(penalties, step):
    return {(penalty.name, penalty.side): penalty.weight(step) for penalty in penalties}


def test_the_published_form_gives_one_penalty_per_side():
    settings = {
        "FLOPS": {"lambda_q": 0.5, "lambda_d": 0.4, "targeted_rep": "rep", "reg": "FLOPS", "T": 100},
        "L1": {"lambda_d": 0.1},
    }
    penalties = penalties_from(settings, CATALOG)
    assert [type(penalty.measure) for penalty in penalties] == [FLOPS, FLOPS, L1]
    assert weights(penalties, 50) == {("FLOPS", "query"): 0.125, ("FLOPS", "document"): 0.1, ("L1", "document"): 0.1}


def test_settings_straight_from_omegaconf_are_understood():
    settings = OmegaConf.create({"FLOPS": {"lambda_d": 3e-4, "T": 50000.0}, "L0": "eval_only"})
    penalties = penalties_from(settings, OmegaConf.create(CATALOG))
    assert weights(penalties, 50000) == {("FLOPS", "document"): 3e-4, ("L0", "query"): 0.0, ("L0", "document"): 0.0}


def test_a_name_of_ones_own_takes_its_measure_from_reg():
    (penalty,) = penalties_from({"short_queries": {"reg": "L1", "lambda_q": 1}}, CATALOG)
    assert (penalty.name, penalty.side, type(penalty.measure)) == ("short_queries", "query", L1)


@pytest.mark.parametrize("steps", [None, 0])
def test_no_steps_mean_full_weight_from_the_start(steps):
    (penalty,) = penalties_from({"L1": {"lambda_q": 0.2, "T": steps}}, CATALOG)
    assert [penalty.weight(0), penalty.weight(10)] == [0.2, 0.2]


@pytest.mark.parametrize(("ramp", "half_way"), [("quadratic", 0.25), ("linear", 0.5), ("constant", 1.0)])
def test_the_ramp_is_chosen_by_name(ramp, half_way):
    (penalty,) = penalties_from({"L1": {"lambda_q": 1.0, "T": 10}}, CATALOG, ramp)
    assert penalty.weight(5) == half_way


def test_lambda_zero_watches_and_does_not_fail():
    (penalty,) = penalties_from({"FLOPS": {"lambda_q": 0, "T": 10}}, CATALOG)
    assert penalty.weight(7) == 0.0


def test_eval_only_for_all_watches_the_whole_catalog():
    penalties = penalties_from("eval_only", CATALOG)
    assert {penalty.name for penalty in penalties} == set(CATALOG)
    assert len(penalties) == 2 * len(CATALOG)
    assert all(penalty.weight(10**6) == 0.0 for penalty in penalties)


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_settings_give_no_penalties(nothing):
    assert penalties_from(nothing, CATALOG) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"FLOP": {"lambda_q": 1}}, r"config\.regularizer\.FLOP: unknown regularizer 'FLOP'.*did you mean 'FLOPS'"),
        ({"FLOPS": {"reg": "l1", "lambda_q": 1}}, r"config\.regularizer\.FLOPS\.reg: .*did you mean 'L1'"),
        ({"FLOPS": {"lamda_q": 1}}, r"config\.regularizer\.FLOPS\.lamda_q: unknown key.*did you mean 'lambda_q'"),
        ({"FLOPS": {"lambda_q": 1, "t": 5}}, r"did you mean 'T'"),
        ({"FLOPS": {"lambda_q": -1}}, r"FLOPS\.lambda_q must be a finite number of at least 0, got -1"),
        ({"FLOPS": {"lambda_d": "0.1"}}, r"FLOPS\.lambda_d must be a finite number"),
        ({"FLOPS": {"lambda_d": float("nan")}}, r"FLOPS\.lambda_d must be a finite number"),
        ({"FLOPS": {"lambda_d": True}}, r"FLOPS\.lambda_d must be a finite number"),
        ({"FLOPS": {"lambda_q": 1, "T": -5}}, r"FLOPS\.T must be a whole number"),
        ({"FLOPS": {"lambda_q": 1, "T": 2.5}}, r"FLOPS\.T must be a whole number"),
        ({"FLOPS": {"lambda_q": 1, "T": float("inf")}}, r"FLOPS\.T must be a whole number"),
        ({"FLOPS": {"lambda_q": 1, "targeted_rep": "all"}}, r"targeted_rep must be 'rep', got 'all'"),
        ({"FLOPS": {"T": 5}}, r"neither lambda_q nor lambda_d"),
        ({"FLOPS": None}, r"config\.regularizer\.FLOPS must be a mapping"),
        ({"FLOPS": "eval-only"}, r"or 'eval_only', got 'eval-only'"),
        ("evalonly", r"config\.regularizer must be a mapping"),
        ({"L0": {"lambda_q": 0.1}}, r"L0\.lambda_q is 0\.1, but L0 only counts"),
    ],
)
def test_each_slip_is_an_error_with_its_address(settings, words):
    with pytest.raises(InputError, match=words):
        penalties_from(settings, CATALOG)


def test_a_regularizer_cannot_be_counted_twice_on_one_side():
    settings = {"FLOPS": {"lambda_d": 1}, "more": {"reg": "FLOPS", "lambda_d": 1}}
    with pytest.raises(InputError, match="both put FLOPS on the document side"):
        penalties_from(settings, CATALOG)


def test_one_measure_may_stand_on_each_side_under_its_own_name():
    settings = {"queries": {"reg": "L1", "lambda_q": 1}, "documents": {"reg": "L1", "lambda_d": 1}}
    assert len(penalties_from(settings, CATALOG)) == 2


def test_an_unknown_ramp_is_an_error_with_its_address():
    with pytest.raises(InputError, match=r"config\.ramp: unknown ramp 'quadratc'.*did you mean 'quadratic'"):
        penalties_from({}, CATALOG, "quadratc")


def test_a_catalog_line_that_does_not_import_is_named():
    with pytest.raises(InputError, match=r"catalog\.regularizer\.mine"):
        penalties_from({"mine": {"lambda_q": 1}}, {"mine": "splade.nowhere.Mine"})


def test_arguments_of_a_measure_stand_beside_its_weights():
    (masked,) = penalties_from({"masked_FLOPS": {"lambda_d": 1, "threshold": 200}}, MORE)
    assert masked.measure.threshold == 200
    query, document = penalties_from({"DF_FLOPS": {"lambda_q": 1, "lambda_d": 1, "every": 7, "alpha": 0.2}}, MORE)
    assert (document.measure.every, document.measure.alpha) == (7, 0.2)
    assert query.measure is not document.measure  # each side learns its own frequencies


def test_a_target_makes_the_weight_a_controller_that_starts_from_lambda():
    settings = {"FLOPS": {"lambda_q": 0.1, "lambda_d": 0.2, "T": 10, "target_d": 150, "target_steps": 30}}
    query, document = penalties_from(settings, CATALOG)
    assert isinstance(query.ramp, QuadraticRamp)
    assert isinstance(document.ramp, TargetController)
    assert (document.ramp.target, document.ramp.steps, document.weight(5)) == (150.0, 30, 0.05)


def test_eval_only_leaves_out_measures_that_need_arguments():
    names = {penalty.name for penalty in penalties_from("eval_only", MORE)}
    assert names == {*CATALOG, "DF_FLOPS"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"masked_FLOPS": {"lambda_d": 1}}, r"masked_FLOPS\.threshold is needed by MaskedFLOPS"),
        ({"masked_FLOPS": {"lambda_d": 1, "treshold": 3}}, r"masked_FLOPS\.treshold: .*did you mean 'threshold'"),
        ({"FLOPS": {"lambda_d": 1, "every": 3}}, r"FLOPS\.every: unknown key 'every'"),
        ({"DF_FLOPS": {"lambda_d": 1, "alpha": 2.0}}, r"config\.regularizer\.DF_FLOPS: alpha must be between 0 and 1"),
        ({"FLOPS": {"lambda_q": 1, "target_d": 5}}, r"FLOPS\.target_d needs config\.regularizer\.FLOPS\.lambda_d"),
        ({"FLOPS": {"lambda_q": 0, "target_q": 5}}, r"set config\.regularizer\.FLOPS\.lambda_q above 0"),
        ({"FLOPS": {"lambda_q": 1, "target_q": -5}}, r"FLOPS\.target_q: target must be a finite number"),
    ],
)
def test_arguments_and_targets_are_as_strict(settings, words):
    with pytest.raises(InputError, match=words):
        penalties_from(settings, MORE)
