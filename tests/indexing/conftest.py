"""A disk that fills up."""

import errno
import os

import pytest

from splade.indexing.format.storage import ArrayWriter


@pytest.fixture
def full_disk(monkeypatch):
    """``full_disk(after=n)``: array bytes from the n-th on find no room; ``full_disk(after=None)`` makes room again."""
    room = {"left": None}
    write = ArrayWriter.write

    def limited(writer, array):
        if room["left"] is not None:
            room["left"] -= array.nbytes
            if room["left"] < 0:
                write(writer, array[: len(array) // 2])  # a part may still have been written
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(writer, array)

    def fill(*, after):
        room["left"] = after
        monkeypatch.setattr(ArrayWriter, "write", limited)

    return fill
