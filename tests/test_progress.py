"""Long work without a terminal tells how far it is, in lines; short work and other processes say nothing."""

import logging
import sys

import pytest
from tqdm import tqdm

from splade import progress as module
from splade.progress import LoggedProgress, progress


@pytest.fixture
def _at_once(monkeypatch):
    monkeypatch.setattr(module, "LOGGED_EVERY_S", 0.0)


@pytest.mark.usefixtures("_at_once")
def test_lines_tell_count_total_rate_and_time_left(caplog, capsys):
    with caplog.at_level(logging.INFO):
        for _ in progress(range(3), desc="index", unit="doc"):
            pass
    lines = caplog.messages
    assert lines[-1].startswith("index: 3 of 3, ")
    assert "doc/s" in lines[-1]
    assert lines[-1].endswith("remaining")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_at_once")
def test_what_was_done_before_counts_and_a_postfix_is_told(caplog):
    with caplog.at_level(logging.INFO), progress(desc="train", unit="step", total=10, initial=4) as bar:
        bar.set_postfix(loss="0.5", refresh=False)
        bar.update(2)
    assert caplog.messages[-1].startswith("train: 6 of 10, ")
    assert caplog.messages[-1].endswith("loss=0.5")


@pytest.mark.usefixtures("_at_once")
def test_a_total_that_is_not_known_is_a_question_mark(caplog):
    with caplog.at_level(logging.INFO), progress(desc="score", unit="pair") as bar:
        bar.update(5)
    assert caplog.messages[-1].startswith("score: 5 of ?, ")


def test_work_that_is_done_within_a_minute_is_silent(caplog, capsys):
    with caplog.at_level(logging.INFO):
        assert list(progress(range(1000), desc="index", unit="doc")) == list(range(1000))
    assert caplog.messages == []
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_at_once")
def test_another_process_is_silent(caplog):
    with caplog.at_level(logging.INFO):
        list(progress(range(3), desc="train", silent=True))
    assert caplog.messages == []


def test_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = progress(range(3))
    assert isinstance(bar, tqdm)
    assert not isinstance(bar, LoggedProgress)
    bar.close()
