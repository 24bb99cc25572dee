"""Texts of many requests in one batch: what waits together is computed together, and nobody waits for nothing."""

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splade.serving.batching import Batcher
from splade.serving.errors import Overloaded

FIRST = ("first", 1)


class Held:
    """A function for a batcher, whose first batch waits until it is let go; it remembers the batches."""

    def __init__(self):
        self.entered, self.let_go, self.batches = threading.Event(), threading.Event(), []

    def __call__(self, works):
        self.batches.append(list(works))
        if len(self.batches) == 1:
            self.entered.set()
            self.let_go.wait()
        return [f"{work}!" for work in works]


@pytest.fixture
def held():
    return Held()


def waiting(held, works, **options):
    """A batcher whose first batch is held, and the futures of ``works`` that wait behind it."""
    batcher = Batcher(held, **({"clock": lambda: 0.0} | options))  # no time passes, and no batch ends because of it
    batcher.submit([FIRST])
    held.entered.wait()
    futures = [batcher.submit([work])[0] for work in works]
    return batcher, futures


def test_what_came_while_a_batch_was_computed_is_the_next_batch(held):
    batcher, futures = waiting(held, [("a", 3), ("b", 1), ("c", 2)])
    held.let_go.set()
    assert [future.result().result for future in futures] == ["a!", "b!", "c!"]
    assert held.batches == [["first"], ["a", "b", "c"]]
    batcher.close()


def test_a_batch_ends_where_its_tokens_with_padding_would_be_too_many(held):
    # a, b: 2 texts of at most 4 tokens, 8; with c 3 texts of 4, 12, are above 10; c, d: 2 of 5 are 10
    batcher, futures = waiting(held, [("a", 4), ("b", 2), ("c", 3), ("d", 5)], batch_tokens=10)
    held.let_go.set()
    futures[-1].result()
    assert held.batches[1:] == [["a", "b"], ["c", "d"]]
    batcher.close()


def test_a_slow_machine_computes_batches_of_few_seconds(held):
    now = [0.0]

    def run(works):
        now[0] += 4.0  # for every batch: the first has 8 tokens, 2 a second
        return held(works)

    batcher = Batcher(run, clock=lambda: now[0], batch_seconds=3.0)
    batcher.submit([("first", 8)])
    held.entered.wait()
    futures = [batcher.submit([(name, 3)])[0] for name in "abc"]
    held.let_go.set()
    futures[-1].result()
    assert held.batches[1:] == [["a", "b"], ["c"]]  # 6 tokens in 3 seconds, then less than 6 at the rate since
    batcher.close()


def test_a_text_that_is_above_the_bound_goes_alone(held):
    batcher, futures = waiting(held, [("a", 1), ("long", 99), ("b", 1)], batch_tokens=10)
    held.let_go.set()
    futures[-1].result()
    assert held.batches[1:] == [["a"], ["long"], ["b"]]
    batcher.close()


def test_a_request_that_has_no_room_in_the_queue_is_refused_whole(held):
    batcher, _ = waiting(held, [("a", 1), ("b", 1)], queue_size=3)
    with pytest.raises(Overloaded) as refused:
        batcher.submit([("c", 1), ("d", 1)])
    assert int(refused.value.headers["Retry-After"]) >= 1
    assert batcher.n_waiting == 2
    batcher.submit([("c", 1)])
    held.let_go.set()
    batcher.close()
    assert held.batches[1:] == [["a", "b", "c"]]


def test_a_text_whose_deadline_passes_in_the_queue_is_not_computed(held):
    now = [0.0]
    batcher = Batcher(held, clock=lambda: now[0])
    batcher.submit([FIRST])
    held.entered.wait()
    late, timely = batcher.submit([("late", 1)], 5.0)[0], batcher.submit([("timely", 1)], 15.0)[0]
    now[0] = 10.0
    held.let_go.set()
    assert timely.result().result == "timely!"
    assert timely.result().queued == 10.0
    with pytest.raises(Overloaded, match="deadline"):
        late.result()
    assert held.batches[1:] == [["timely"]]
    batcher.close()


def test_a_text_that_nobody_waits_for_any_more_is_not_computed(held):
    batcher, (gone, other) = waiting(held, [("gone", 1), ("other", 1)])
    assert gone.cancel()
    held.let_go.set()
    assert other.result().result == "other!"
    assert held.batches[1:] == [["other"]]
    batcher.close()


def test_a_text_that_fails_does_not_fail_those_beside_it(held):
    def run(works):
        held(works)
        if "bad" in works:
            raise ValueError("no such text")
        return [f"{work}!" for work in works]

    batcher = Batcher(run)
    batcher.submit([FIRST])
    held.entered.wait()
    good, bad, better = batcher.submit([("good", 1), ("bad", 1), ("better", 1)])
    held.let_go.set()
    assert (good.result().result, better.result().result) == ("good!", "better!")
    with pytest.raises(ValueError, match="no such text"):
        bad.result()
    batcher.close()


def test_a_batcher_that_is_closed_computes_what_waits_and_takes_nothing_more(held):
    batcher, futures = waiting(held, [("a", 1), ("b", 1)])
    closing = threading.Thread(target=batcher.close)
    closing.start()
    held.let_go.set()
    closing.join()
    assert [future.result().result for future in futures] == ["a!", "b!"]
    with pytest.raises(Overloaded, match="stopping"):
        batcher.submit([("c", 1)])


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 60), st.integers(1, 7))
def test_every_text_is_computed_once_and_in_order_within_the_bounds(sizes, batch_tokens, batch_size):
    held = Held()
    works = list(enumerate(sizes))
    batcher, futures = waiting(held, works, batch_tokens=batch_tokens, batch_size=batch_size)
    held.let_go.set()
    batcher.close()
    assert [future.result().result for future in futures] == [f"{number}!" for number in range(len(sizes))]
    batches = held.batches[1:]
    assert [number for batch in batches for number in batch] == list(range(len(sizes)))
    for batch in batches:
        padded = max(sizes[number] for number in batch) * len(batch)
        assert len(batch) == 1 or (padded <= batch_tokens and len(batch) <= batch_size)
    for batch, following in itertools.pairwise(batches):  # none ends before it has to
        longer = [*batch, following[0]]
        assert len(batch) == batch_size or max(sizes[n] for n in longer) * len(longer) > batch_tokens
