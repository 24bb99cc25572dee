"""Texts of many requests, encoded together: one thread takes what waits, up to a number of tokens, again and again.

While a batch is computed others wait, and the next batch is made of them; nobody waits for a batch to fill.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, NamedTuple, TypeVar

from splade.serving.errors import Overloaded

logger = logging.getLogger(__name__)

Work = TypeVar("Work")


class Done(NamedTuple):
    """A result, and the seconds that its text waited and that its batch took."""

    result: Any
    queued: float
    computed: float


class Waiting(Generic[Work]):
    """One text in the queue; ``future`` gets a `Done` or an error."""

    def __init__(self, work: Work, tokens: int, since: float, deadline: float) -> None:
        self.work, self.tokens, self.since, self.deadline = work, tokens, since, deadline
        self.future: Future[Done] = Future()


class Batcher(Generic[Work]):
    """Computes ``run(works)``, a result for each, on a thread of its own.

    A batch has at most ``batch_tokens`` tokens, padding counted, but one text at least, and at most ``batch_size``
    texts. It has no more tokens than are computed in ``batch_seconds``, as far as the last batches tell: on a slow
    machine larger ones gain nothing, and all of their texts wait for the last. Texts go in the order in which they
    came. At most ``queue_size`` texts wait. A text whose deadline has passed, or that was cancelled, is not computed.
    Where ``run`` fails for several texts, each is tried alone, so that one does not fail the others.
    ``batched(n_texts, n_tokens)`` is told of every batch. ``clock`` gives seconds.
    """

    def __init__(
        self,
        run: Callable[[list[Work]], Sequence[Any]],
        *,
        batch_tokens: int = 16384,
        batch_size: int = 512,
        batch_seconds: float = 2.0,
        queue_size: int = 16384,
        batched: Callable[[int, int], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._batched, self._clock = run, batched, clock
        self.batch_tokens, self.batch_size, self.queue_size = batch_tokens, batch_size, queue_size
        self.batch_seconds = batch_seconds
        self._queue: deque[Waiting[Work]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._rate = 0.0  # tokens a second, of late
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
        self._thread.start()

    def submit(self, works: Sequence[tuple[Work, int]], deadline: float = float("inf")) -> list["Future[Done]"]:
        """Queue works, each with its number of tokens, all or none of them; their results come to the futures.

        ``deadline`` is a time of the clock. Overloaded where the queue has no room for all, or is closed.
        """
        with self._changed:
            if self._closed:
                raise Overloaded("the server is stopping", retry_after=1)
            if len(self._queue) + len(works) > self.queue_size:
                raise Overloaded(
                    f"{len(self._queue)} texts wait, and no more than {self.queue_size} may", self._seconds_to_wait()
                )
            now = self._clock()
            entries = [Waiting(work, tokens, now, deadline) for work, tokens in works]
            self._queue.extend(entries)
            self._changed.notify()
        return [entry.future for entry in entries]

    @property
    def n_waiting(self) -> int:
        """The number of texts in the queue."""
        return len(self._queue)

    @property
    def works(self) -> bool:
        """True while the thread that computes is there."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Compute what waits, take nothing more, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _seconds_to_wait(self) -> int:
        """Seconds until what waits is computed, as far as the last batches tell; one at least."""
        waiting = sum(entry.tokens for entry in self._queue)
        return max(1, round(waiting / self._rate)) if self._rate else 1

    def _work(self) -> None:
        while batch := self._next():
            self._compute(batch)

    def _next(self) -> list[Waiting[Work]]:
        """The next batch, waiting for one; empty when all is done and the batcher is closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if batch := self._taken():
                    return batch
                if self._closed and not self._queue:
                    return []

    def _taken(self) -> list[Waiting[Work]]:
        batch: list[Waiting[Work]] = []
        longest, now = 0, self._clock()
        most = min(self.batch_tokens, self._rate * self.batch_seconds) if self._rate else self.batch_tokens
        while self._queue and len(batch) < self.batch_size:
            entry = self._queue[0]
            padded = max(longest, entry.tokens) * (len(batch) + 1)
            if batch and padded > most:
                break
            self._queue.popleft()
            if entry.deadline <= now:
                if entry.future.set_running_or_notify_cancel():
                    entry.future.set_exception(Overloaded("the deadline passed while the text waited", retry_after=1))
            elif entry.future.set_running_or_notify_cancel():
                batch.append(entry)
                longest = max(longest, entry.tokens)
        return batch

    def _compute(self, batch: list[Waiting[Work]]) -> None:
        began, n_tokens = self._clock(), sum(entry.tokens for entry in batch)
        if self._batched is not None:
            self._batched(len(batch), n_tokens)
        try:
            results = self._run([entry.work for entry in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            logger.warning("a batch of %d texts failed (%s); each is tried alone", len(batch), error)
            for entry in batch:
                self._compute([entry])
            return
        seconds = self._clock() - began
        if seconds > 0:
            self._rate = n_tokens / seconds if not self._rate else 0.8 * self._rate + 0.2 * n_tokens / seconds
        for entry, result in zip(batch, results, strict=True):
            entry.future.set_result(Done(result, began - entry.since, seconds))
