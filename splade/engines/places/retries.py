"""Calls to a server that is busy, restarting or slow: again, later, and not for ever."""

import logging
import random
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Retries(NamedTuple):
    """Waits before a call is made again: doubled each time up to ``longest`` seconds, ``attempts`` calls in all.

    A wait is drawn from its upper half, so that many clients do not come back together.
    """

    attempts: int = 8
    first: float = 0.5  # seconds
    longest: float = 30.0
    sleep: Callable[[float], None] = time.sleep

    def call(self, call: Callable[[], Answer], wait_for: Callable[[Exception], float | None], what: str) -> Answer:
        """The answer of ``call``, made again after errors for which ``wait_for`` gives seconds to wait at least.

        ``wait_for`` gives None for an error that no wait mends: it is raised, and so is the last one.
        """
        pause = self.first
        for attempt in range(1, self.attempts + 1):
            try:
                return call()
            except Exception as error:
                asked = wait_for(error)
                if asked is None or attempt == self.attempts:
                    raise
                wait = max(asked, pause * (0.5 + random.random() / 2))
                told = " ".join(str(error).split())[:200]  # some have lines of what a server sent
                logger.warning("%s: %s; again in %.1f s (%d of %d)", what, told, wait, attempt + 1, self.attempts)
                self.sleep(wait)
                pause = min(2 * pause, self.longest)
        raise AssertionError("unreachable: the last attempt returns or raises")
