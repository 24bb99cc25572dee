"""Items made in a thread: their order, their errors, and that nothing goes on when nobody wants them."""

import threading
import time

import pytest

from splade.encoding.ahead import ahead


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def gone(within=2.0):
    end = time.monotonic() + within
    while workers() and time.monotonic() < end:
        time.sleep(0.01)
    return not workers()


def test_all_items_come_in_order():
    assert list(ahead(range(1000), depth=3)) == list(range(1000))
    assert list(ahead([])) == []
    assert gone()


def test_an_error_comes_after_the_items_before_it_with_its_own_traceback():
    def items():
        yield 1
        raise KeyError("here")

    made = ahead(items())
    assert next(made) == 1
    with pytest.raises(KeyError, match="here") as caught:
        next(made)
    assert "items" in [entry.name for entry in caught.traceback]
    assert gone()


def test_an_interrupt_among_the_items_comes_through():
    def items():
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(ahead(items()))


def test_so_many_are_made_ahead_and_no_more():
    made = []
    items = ahead((made.append(number) or number for number in range(100)), depth=2)
    assert next(items) == 0
    time.sleep(0.2)
    assert made == [0, 1, 2, 3]  # one is used, two wait, one wants to
    items.close()


def test_the_thread_stops_when_the_user_does():
    made = []
    items = ahead(made.append(number) for number in range(10**9))
    next(items)
    items.close()
    assert gone()
    assert len(made) < 10


def test_the_thread_stops_when_the_user_is_interrupted():
    def use():
        for number in ahead(iter(int, 1)):
            assert number == 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert gone()
