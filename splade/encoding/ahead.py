"""Doing the next thing in a thread while the present one is used."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
MOMENT = 0.1  # seconds between two looks at what else there is: a signal, nobody who wants the next item


class _End:
    """The mark after the last item, with the error that ended the items, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterable[Item], depth: int = 1) -> Iterator[Item]:
    """``items`` in order, made in a thread that is at most ``depth`` + 1 of them ahead of their use.

    An error among them is raised where its item would have come. Where the user stops (an error, Ctrl-C, a closed
    generator) the thread stops after the item it is at.
    """
    waiting: queue.Queue[Item | _End] = queue.Queue(depth)
    stopped = threading.Event()
    worker = threading.Thread(target=_make, args=(items, waiting, stopped), name="ahead", daemon=True)
    worker.start()
    try:
        while not isinstance(item := _taken(waiting), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()


def _taken(waiting: "queue.Queue[Item | _End]") -> Item | _End:
    """The next item. A signal that another thread has met wakes nobody who waits for good, so waits are short."""
    while True:
        try:
            return waiting.get(timeout=MOMENT)
        except queue.Empty:
            continue


def _make(items: Iterable[Item], waiting: "queue.Queue[Item | _End]", stopped: threading.Event) -> None:
    end = _End(None)
    try:
        for item in items:
            if not _handed_over(item, waiting, stopped):
                return
    except BaseException as error:  # told to the user, in whose thread it is raised
        end.error = error
    _handed_over(end, waiting, stopped)


def _handed_over(item: Item | _End, waiting: "queue.Queue[Item | _End]", stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=MOMENT)
        except queue.Full:
            continue
        return True
    return False
