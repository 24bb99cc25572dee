"""Items made in a thread: their order, their errors, and that nothing goes on when nobody wants them."""

import threading

import pytest

from splade.encoding.ahead import ahead
from tests.conftest import PATIENCE


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


def gone():
    for thread in workers():
        thread.join(PATIENCE)
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


def test_so_many_are_made_ahead_and_no_more(as_far_ahead_as_it_goes):
    made = []
    items = ahead((made.append(number) or number for number in range(100)), depth=2)
    for used in range(3):
        assert next(items) == used
        as_far_ahead_as_it_goes()
        assert made == list(range(used + 4))  # one is used, two wait, one wants to
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
