"""The end of a training by a signal, at a moment that can be continued from: between two steps, never inside one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""Ctrl-C; what torchrun, SLURM and container runtimes send first; what SLURM sends when asked to warn of its end."""


class Interrupted(KeyboardInterrupt):
    """Training was interrupted and its state is saved; the message says where it continues."""


class Interrupts:
    """While active, the first of ``SIGNALS`` inside ``deferred()`` waits for ``pending``; any other one is immediate.

    With ``together``, as one of several processes, the first one always waits, because the others may be in a step;
    but not in ``alone()``. ``by`` is the name of the last signal, empty for Ctrl-C. Signals can only be caught in the
    main thread; elsewhere this does nothing.
    """

    def __init__(self, together: bool = False) -> None:
        self.pending, self.repeated, self.by = False, False, ""
        self._inside, self._together = False, together

    @contextmanager
    def active(self) -> Iterator[None]:
        """Catch the signals until the block ends."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self._caught) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """A block that the first signal lets end."""
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block that a signal ends, while other processes wait for what comes of it."""
        together, self._together = self._together, False
        try:
            yield
        finally:
            self._together = together

    def _caught(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's form
        self.by = "" if number == signal.SIGINT else signal.Signals(number).name
        if (self._inside or self._together) and not self.pending:
            self.pending = True
        else:
            self.repeated = self._inside or self._together
            raise KeyboardInterrupt
