"""Logs that survive a kill, and warnings that are heard once."""

import csv
import json
import logging

import pytest

from splade.training.monitoring import Health, TrainingLog
from splade.training.step.window import Window


def table(folder):
    with (folder / "training_log.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_a_row_is_in_both_files_and_missing_values_stay_empty(tmp_path):
    log = TrainingLog(tmp_path, ["loss", "MRR@10"], tensorboard=False)
    log.write(2, {"loss": 0.5})
    log.write(4, {"MRR@10": 0.25})
    assert table(tmp_path) == [
        {"step": "2", "loss": "0.5", "MRR@10": ""},
        {"step": "4", "loss": "", "MRR@10": "0.25"},
    ]
    lines = (tmp_path / "training_log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 2, "loss": 0.5}, {"step": 4, "MRR@10": 0.25}]


def test_continuing_drops_rows_after_the_checkpoint_and_a_line_cut_short(tmp_path):
    log = TrainingLog(tmp_path, ["loss"], tensorboard=False)
    for step in (2, 4, 6):
        log.write(step, {"loss": step / 2})
    with (tmp_path / "training_log.jsonl").open("a") as stream:
        stream.write('{"step": 8, "lo')
    TrainingLog(tmp_path, ["loss"], step=4, tensorboard=False).write(6, {"loss": 9.0})
    assert [(row["step"], row["loss"]) for row in table(tmp_path)] == [("2", "1.0"), ("4", "2.0"), ("6", "9.0")]
    assert len((tmp_path / "training_log.jsonl").read_text().splitlines()) == 3


def test_tensorboard_gets_every_value(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TrainingLog(tmp_path, ["loss"])
    log.write(3, {"loss": 0.5})
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(3, 0.5)]


def test_a_window_has_the_mean_since_it_was_cleared_and_its_state_continues_it():
    window, other = Window(), Window()
    window.add({"loss": 1.0})
    other.restore(json.loads(json.dumps(window.state())))
    other.add({"loss": 4.0})
    assert other.means() == {"loss": 2.5}
    other.clear()
    assert other.means() == {}


def test_collapse_is_said_once_per_side_until_it_is_over(caplog):
    health = Health(vocab_size=1000, ramped=10)
    with caplog.at_level(logging.WARNING):
        for dead in (0.0, 0.04, 0.06, 0.5, 0.0, 0.06):
            health.check(1, {"dead_d": dead, "dead_q": 0.0})
    assert [record.getMessage().split("%")[0] for record in caplog.records] == ["step 1: VECTORS COLLAPSE: 6.0"] * 2
    assert "lambda_d" in caplog.text


def test_dense_vectors_count_only_once_penalties_had_their_time(caplog):
    health = Health(vocab_size=30_000, ramped=10)
    with caplog.at_level(logging.WARNING):
        health.check(9, {"L0_q": 9000.0})
        assert caplog.text == ""
        health.check(10, {"L0_q": 1400.0})
        assert caplog.text == ""
        health.check(11, {"L0_q": 1600.0})
    assert "VECTORS STAY DENSE: 1600 terms per query, more than 1500" in caplog.text
