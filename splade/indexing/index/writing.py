"""The sole right to write an index: builders, appenders, deletions, merges and saving all ask for it."""

import shutil
from pathlib import Path
from types import TracebackType

from splade.files import PART, make_folder, place_of
from splade.indexing.index.calibrated import CALIBRATION
from splade.indexing.index.update_list import BASE, FOLDER
from splade.locks import Lock

LOCK = "lock"


class Writing:
    """Keeps all other writers away from the index at ``path`` until `release`; as a context, until its end.

    InputError where another writer has it, in another process or in this one. What a killed writer left half
    written is removed.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path / FOLDER
        self._lock = Lock(self._folder / LOCK, "Wait for it")
        base = place_of(path / BASE)
        halves = (*base.parent.glob(f".{base.name}.*{PART}"), *path.glob(f".{CALIBRATION}.*{PART}"))
        for leftover in (unfinished(path), *halves, *_parts(self._folder)):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)

    def __enter__(self) -> "Writing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let others write; a folder of updates that holds none goes."""
        if self._lock.is_there and [entry.name for entry in self._folder.iterdir()] == [LOCK]:
            (self._folder / LOCK).unlink()
            self._folder.rmdir()
        self._lock.release()


def unfinished(path: Path) -> Path:
    """Return the folder for the arrays of a new index until they are whole: on the disk where they will stay."""
    base = place_of(path / BASE)
    return base.with_name(f".{base.name}.unfinished")


def make_unfinished(path: Path) -> Path:
    """An empty folder at `unfinished`."""
    folder = unfinished(path)
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    return folder


def _parts(folder: Path) -> list[Path]:
    return list(folder.glob(f".*{PART}"))
