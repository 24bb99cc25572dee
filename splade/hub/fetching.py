"""Files of one commit, fetched into a folder: each is checked, and one that is whole is not fetched again."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from huggingface_hub import HfApi

from splade.files import InputError
from splade.hub.client import in_words, is_passing, without_bars
from splade.hub.contents import REPO_TYPES, Kind, blob_of, sha256_of
from splade.progress import progress

logger = logging.getLogger(__name__)

WAITS = (1.0, 4.0, 16.0)
"""Seconds before a file is asked for again that the hub did not give."""


class Wanted(NamedTuple):
    """A file of the repository: its bytes, and a checksum by SHA-256 or, where that is unknown, git's name for it."""

    size: int
    sha256: str | None
    blob: str

    def is_at(self, path: Path) -> bool:
        """True where ``path`` holds exactly this file."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        return sha256_of(path) == self.sha256 if self.sha256 else blob_of(path) == self.blob


class Fetching(NamedTuple):
    """Fetches files of one commit into ``partial``."""

    api: HfApi
    repo: str
    kind: Kind
    commit: str
    partial: Path
    waits: Sequence[float]
    sleep: Callable[[float], None]

    def listed(self) -> dict[str, Wanted]:
        """The files of the commit by name; InputError for a name that leads out of the folder."""
        tree: Any = self.api.list_repo_tree(
            self.repo, repo_type=REPO_TYPES[self.kind], revision=self.commit, recursive=True
        )
        files = [each for each in tree if hasattr(each, "blob_id")]
        for each in files:
            if PurePosixPath(each.path).is_absolute() or ".." in PurePosixPath(each.path).parts or "\\" in each.path:
                raise InputError(
                    f"{self.repo}: the name {each.path!r} leads out of the folder, and nothing of it is fetched"
                )
        return {each.path: Wanted(each.size, each.lfs.sha256 if each.lfs else None, each.blob_id) for each in files}

    def one(self, name: str, wanted: Wanted) -> Path:
        """The file ``name``, fetched unless it is there; asked for again after `waits` where the hub is busy."""
        path = self.partial / name
        if wanted.is_at(path):
            return path
        path.unlink(missing_ok=True)  # it may share its bytes with a folder that stands
        for wait in (*self.waits, None):
            try:
                self.api.hf_hub_download(
                    self.repo, name, repo_type=REPO_TYPES[self.kind], revision=self.commit, local_dir=self.partial
                )
                break
            except Exception as error:
                if wait is None or not is_passing(error):
                    raise
                logger.info("%s: %s; asked for again", name, str(error).splitlines()[0])
                self.sleep(wait)
        if not wanted.is_at(path):
            path.unlink(missing_ok=True)
            raise InputError(
                f"{self.repo}: {name} came with another checksum than was pushed, and is removed. Run the same command "
                "again; if it comes so once more, the repository is damaged: push again"
            )
        return path

    def all_of(self, wanted: dict[str, Wanted]) -> None:
        """All of ``wanted``; a bar shows the bytes."""
        total = sum(each.size for each in wanted.values())
        with (
            in_words(self.repo, self.kind, self.commit),
            without_bars(True),
            progress(desc=f"pull {self.repo}", unit="B", unit_scale=True, total=total) as bar,
        ):
            for name, each in wanted.items():
                self.one(name, each)
                bar.update(each.size)
