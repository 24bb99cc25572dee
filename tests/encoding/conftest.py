"""Waiting for the thread that works ahead by what it does."""

import queue
import threading
from collections.abc import Callable

import pytest

from splade.encoding import ahead as module
from tests.conftest import PATIENCE


@pytest.fixture
def as_far_ahead_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Wait until the thread that works ahead can do no more: it finds the queue full, or has come to the end."""
    still = threading.Event()

    class Watched(queue.Queue):
        ended = False

        def put(self, item, block=True, timeout=None):
            try:
                super().put(item, block, timeout)
            except queue.Full:
                with self.mutex:
                    if self._qsize() >= self.maxsize:
                        still.set()
                raise

        def _put(self, item):
            super()._put(item)
            if isinstance(item, module._End):
                self.ended = True
                still.set()

        def _get(self):
            if not self.ended:
                still.clear()
            return super()._get()

    class Queues:
        Full = queue.Full
        Queue = Watched

    monkeypatch.setattr(module, "queue", Queues)

    def wait() -> None:
        assert still.wait(PATIENCE), "the thread neither fills the queue nor ends"

    return wait
