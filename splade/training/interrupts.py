"""Ctrl-C at a moment that can be continued from: between two steps, never inside one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """Training was interrupted and its state is saved; the message says where it continues."""


class Interrupts:
    """While active, the first Ctrl-C inside ``deferred()`` waits for ``pending``; any other one is immediate.

    Signals can only be caught in the main thread; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.pending = False
        self._inside = False

    @contextmanager
    def active(self) -> Iterator[None]:
        """Catch SIGINT until the block ends."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = signal.signal(signal.SIGINT, self._caught)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, former)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A block that the first Ctrl-C lets end."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def _caught(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's form
        if self._inside and not self.pending:
            self.pending = True
        else:
            raise KeyboardInterrupt
