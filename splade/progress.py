"""Progress of long work: a bar on a terminal; elsewhere, in a batch job's log for instance, a line a minute."""

import io
import logging
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

logger = logging.getLogger(__name__)

LOGGED_EVERY_S = 60.0
_LINE = "{desc}: {n_fmt} of {total_fmt}, {rate_fmt}, {elapsed} so far, {remaining} remaining{postfix}"


class LoggedProgress(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
    """tqdm that logs where it stands every ``LOGGED_EVERY_S`` seconds of work; work that is done before is silent."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:  # noqa: ARG002 - tqdm's signature
        """Log the line, in place of a bar that is drawn over itself."""
        if msg != "":  # asked to wipe the bar
            logger.info(msg or str(self))


def progress(iterable: Iterable[Any] | None = None, *, silent: bool = False, **options: Any) -> "tqdm[Any]":
    """tqdm's bar over ``iterable``, or to ``update``; logged where standard error is no terminal.

    ``options`` are tqdm's: desc, unit in the singular, total, initial. ``silent``: no word, as other processes than
    the first one want it.
    """
    if sys.stderr.isatty():
        return tqdm(iterable, disable=silent, **options)
    every = LOGGED_EVERY_S
    timing = {"delay": every, "mininterval": every, "maxinterval": every}
    # tqdm ends its bar's line in its file, and here there is none
    return LoggedProgress(iterable, disable=silent, bar_format=_LINE, file=io.StringIO(), **timing, **options)
