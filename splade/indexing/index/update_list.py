"""The list of the updates that an index has: the one file that decides what a reader finds.

Beside ``inverted_index/``, the base, in the folder of an index stands ``updates/``:

- ``updates.json``: the appended indexes in order, and the deleted documents; replaced whole by each
  change, so that a reader sees the state before it or the state after it.
- ``00001/``, …: an appended index. ``deleted-00002/``, …: a table of deleted documents' numbers.

What ``updates.json`` does not list is not there. It names the base by its checksum: a base that is built anew
has no updates.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError, read_json, write_json
from splade.indexing.format.storage import FORMAT_VERSION, HEADER, CorruptIndexError, read_table

FOLDER, LIST = "updates", "updates.json"
BASE = "inverted_index"  # the folder beside it


class Updates(NamedTuple):
    """The state of an index's folder; ``made`` counts the updates ever made, so that no name is used twice."""

    base: int  # checksum of its header
    segments: tuple[str, ...] = ()
    deleted: str | None = None
    made: int = 0


def read_updates(path: Path, base: Path) -> Updates:
    """The updates of the index at ``path``, whose base is in the folder ``base``; no list means no updates."""
    checksum = int(read_json(base / HEADER)["checksum"])
    try:
        found: dict[str, Any] = read_json(path / FOLDER / LIST)
        version = found.pop("format_version")
        updates = Updates(**found)._replace(segments=tuple(found["segments"]))
    except FileNotFoundError:
        return Updates(checksum)
    except (InputError, AttributeError, KeyError, TypeError) as error:
        raise CorruptIndexError(
            f"{path / FOLDER / LIST}: damaged ({error}). Restore it; or remove {path / FOLDER} to search "
            "the index as it was before documents were appended or deleted"
        ) from error
    if version != FORMAT_VERSION:
        raise CorruptIndexError(f"{path / FOLDER / LIST}: format {version}, this version reads {FORMAT_VERSION}")
    return updates if updates.base == checksum else Updates(checksum)


def write_updates(path: Path, updates: Updates) -> None:
    """Make ``updates`` the state of the index at ``path``, in one step."""
    write_json(path / FOLDER / LIST, {"format_version": FORMAT_VERSION, **updates._asdict()})


def deleted_docs(path: Path, updates: Updates, *, verify: bool) -> NDArray[np.int32]:
    """The numbers of the deleted documents, increasing."""
    if updates.deleted is None:
        return np.empty(0, np.int32)
    return read_table(path / FOLDER / updates.deleted, "deleted", verify=verify).arrays["docs"]


def forget_updates(path: Path) -> None:
    """Remove the updates of the index at ``path``: its base has been built anew."""
    shutil.rmtree(path / FOLDER, ignore_errors=True)
