"""Several teachers' scores: normalised, averaged, rescored."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.data import TeacherScores, write_scores
from splade.data.score_files.teachers import min_max, z_score
from splade.files import InputError
from tests.data.examples.test_hard_negatives import build, world  # noqa: F401 - a fixture

ONE = {"q1": {"a": 10.0, "b": 5.0, "c": 0.0}, "q2": {"a": 3.0, "d": 1.0}}
TWO = {"q1": {"a": 0.0, "b": 1.0, "c": 1.0}, "q2": {"a": 8.0, "d": 4.0}}


def files(folder, *tables):
    paths = [folder / f"{number}.jsonl" for number in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        write_scores(path, table)
    return paths


def test_one_file_is_read_as_it_is(tmp_path):
    (path,) = files(tmp_path, ONE)
    assert dict(TeacherScores().read(path)) == dict(TeacherScores().read([path])) == ONE


def test_two_files_are_averaged_by_query_and_document(tmp_path):
    averaged = dict(TeacherScores().read(files(tmp_path, ONE, TWO)))
    assert averaged == {"q1": {"a": 5.0, "b": 3.0, "c": 0.5}, "q2": {"a": 5.5, "d": 2.5}}


def test_weights_weigh_the_files(tmp_path):
    averaged = dict(TeacherScores(weights=[3, 1]).read(files(tmp_path, ONE, TWO)))
    assert averaged["q2"] == {"a": (3 * 3 + 8) / 4, "d": (3 * 1 + 4) / 4}


def test_scores_are_brought_to_one_scale_before_they_are_averaged(tmp_path):
    # by query: 10, 5, 0 -> 1, .5, 0 and 0, 1, 1 as it is; q2: 3, 1 and 8, 4 -> 1, 0 both
    averaged = dict(TeacherScores("min_max").read(files(tmp_path, ONE, TWO)))
    assert averaged == {"q1": {"a": 0.5, "b": 0.75, "c": 0.5}, "q2": {"a": 1.0, "d": 0.0}}


def test_queries_may_come_in_another_order(tmp_path):
    turned = {query: TWO[query] for query in reversed(TWO)}
    read = list(TeacherScores().read(files(tmp_path, ONE, turned)))
    assert [query for query, _ in read] == ["q1", "q2"]
    assert dict(read) == dict(TeacherScores().read([tmp_path / "0.jsonl", *files(tmp_path / "again", TWO)]))


def test_what_only_some_teachers_score_is_left_out_and_told(tmp_path, caplog):
    fewer = {"q1": {"a": 0.0, "z": 5.0}}
    with caplog.at_level(logging.WARNING):
        assert dict(TeacherScores().read(files(tmp_path, ONE, fewer))) == {"q1": {"a": 5.0}}
    assert "4 of 5 scores of the first file are not in all others" in caplog.text


def test_files_that_have_nothing_in_common_are_refused(tmp_path):
    with pytest.raises(InputError, match="do they belong together"):
        list(TeacherScores().read(files(tmp_path, ONE, {"q9": {"a": 1.0}})))


def test_training_scores_get_the_reference_mean_and_deviation():
    scores = np.array([1.0, 2.0, np.nan, 6.0], np.float32)
    rescored = TeacherScores(rescore_mean=-2.0, rescore_std=0.5).rescore(scores)
    assert np.nanmean(rescored) == pytest.approx(-2.0)
    assert np.nanstd(rescored) == pytest.approx(0.5)
    assert np.isnan(rescored[2])
    assert (rescored[3] - rescored[1]) / (rescored[1] - rescored[0]) == pytest.approx(4.0)


def test_examples_carry_averaged_and_rescored_scores(world):  # noqa: F811
    source = build(world, teacher=TeacherScores(rescore_mean=0.0, rescore_std=1.0))
    mine, theirs = (each.example(0, np.random.default_rng(1)).teacher for each in (source, build(world)))
    used = np.array([9.0, 8.0, 3.0, 2.0, 1.0, 4.5, 5.0])  # all candidates of both queries
    assert mine == pytest.approx((np.array(theirs) - used.mean()) / used.std(), rel=1e-5)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=8), st.floats(0.5, 9), st.floats(-9, 9))
def test_normalisation_forgets_shift_and_scale_and_keeps_order(scores, scale, shift):
    values = np.array(scores)
    for normalise in (min_max, z_score):
        found = normalise(values)
        if np.ptp(values) > 1e-2:
            np.testing.assert_allclose(normalise(values * scale + shift), found, atol=1e-6)
        assert (np.diff(found[np.argsort(values, kind="stable")]) >= 0).all()
        assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: TeacherScores("minmax"), r"config\.teacher\.normalize=minmax: accepted are none, min_max, z_score"),
        (lambda: TeacherScores(weights=[1, 0]), r"config\.teacher\.weights must be finite numbers above 0"),
        (lambda: TeacherScores(rescore_std=0.0), r"config\.teacher\.rescore_std must be above 0"),
        (lambda: list(TeacherScores(weights=[1, 2]).read("x")), r"2 numbers for 1 files"),
        (lambda: TeacherScores(rescore_std=1.0).rescore(np.ones(3, np.float32)), "all teacher scores are the same"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, told):
    with pytest.raises(InputError, match=told):
        make()
