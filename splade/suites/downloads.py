"""Downloads that go on where they were interrupted, are checked, and show their progress; or no network at all.

ir_datasets downloads what it knows, verifies MD5 sums and goes on after a broken connection, but a process that was
killed begins again. The large archives are therefore fetched here first, into the place where ir_datasets looks for
them: bytes gather in ``NAME.part``, and the file has its name once its checksum is right.
"""

import hashlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from splade.data.text_files.sources import downloading, downloads_allowed, is_of_requests
from splade.files import PART, InputError, digest_of
from splade.progress import progress

logger = logging.getLogger(__name__)

LARGE = 5_000_000  # bytes from which a download is worth going on with
BLOCK = 1 << 20
TRIES = 3  # in a row without a byte


class Archive(NamedTuple):
    """A file that ir_datasets downloads: its address, MD5 sum, headers to ask with, and its place."""

    url: str
    md5: str
    headers: dict[str, str]
    path: Path


def fetch(source: str, group: str, key: str) -> None:
    """Bring the archive of the set ``source`` to its place, if it is large and neither it nor its contents are there.

    ``group`` and ``key`` name it among ir_datasets' downloads; of one that it does not have, nothing is done.
    NotDownloadedError where it cannot be brought; InputError where its checksum is wrong.
    """
    archive = archive_of(group, key)
    if archive is None or not downloads_allowed() or _is_there(archive, source):
        return
    with downloading(source):
        download(archive)


def archive_of(group: str, key: str) -> Archive | None:
    """The archive that ir_datasets has under this name; None where it has none, or a small one."""
    try:
        import ir_datasets

        entry: dict[str, Any] = ir_datasets.util.DownloadConfig.contents()[group][key]
        home = ir_datasets.util.home_path()
    except (ImportError, AttributeError, KeyError):
        return None
    if entry.get("size_hint", 0) < LARGE or not {"url", "expected_md5", "cache_path"} <= entry.keys():
        return None
    headers = dict(entry.get("download_args", {}).get("headers", {}))
    return Archive(entry["url"], entry["expected_md5"], headers, Path(home) / group / entry["cache_path"])


def download(archive: Archive) -> None:
    """Download ``archive``, going on after what ``PATH.part`` has of it.

    Raises requests' errors after ``TRIES`` tries without a byte; InputError, and the bytes are gone, where the
    checksum is wrong.
    """
    part = archive.path.with_name(archive.path.name + PART)
    part.parent.mkdir(parents=True, exist_ok=True)
    failures = 0
    while True:
        before = _size(part)
        try:
            _rest(archive, part)
            break
        except OSError as error:  # requests' errors are of this type
            if not is_of_requests(error):
                raise
            failures = 0 if _size(part) > before else failures + 1
            if failures >= TRIES:
                raise
            logger.info("%s: %s; going on after %d bytes", archive.url, error, _size(part))
    found = _md5(part)
    if found != archive.md5:
        part.unlink()
        raise InputError(
            f"{archive.url}: the checksum of what came is {found}, expected {archive.md5}; it is removed. The same "
            "command downloads it anew"
        )
    part.replace(archive.path)


def _rest(archive: Archive, part: Path) -> None:
    """Append to ``part`` what is missing of it; a server that cannot begin in the middle sends all again."""
    import requests

    done = _size(part)
    headers = archive.headers | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(archive.url, headers=headers, stream=True, timeout=15) as response:
        if done and response.status_code == 416:  # nothing is missing, as the checksum will tell
            return
        response.raise_for_status()
        goes_on = response.status_code == 206
        done = done if goes_on else 0
        left = response.headers.get("content-length")
        total = None if left is None else done + int(left)
        with (
            part.open("ab" if goes_on else "wb") as stream,
            progress(desc=archive.path.parent.name, unit="B", unit_scale=True, initial=done, total=total) as bar,
        ):
            for octets in response.iter_content(BLOCK):
                stream.write(octets)
                bar.update(len(octets))
    if total is not None and _size(part) < total:
        raise requests.exceptions.ConnectionError(f"the connection ended {total - _size(part)} bytes early")


def _is_there(archive: Archive, source: str) -> bool:
    """True where ir_datasets has the archive, or has made its own files of the documents."""
    import ir_datasets

    by_hand = Path(ir_datasets.util.home_path()) / "downloads" / archive.md5
    if archive.path.exists() or by_hand.exists():
        return True
    dataset = ir_datasets.load(source.removeprefix("irds:"))
    return bool(dataset.docs_store().built())


def _md5(path: Path) -> str:
    return digest_of(path, hashlib.md5(usedforsecurity=False))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def hub_offline(offline: bool) -> Iterator[None]:
    """Have huggingface_hub and transformers use no network inside the block, if ``offline``."""
    if not offline:
        yield
        return
    before = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
    os.environ.update(dict.fromkeys(before, "1"))  # for what is imported from here on
    constants: Any = sys.modules.get("huggingface_hub.constants")  # which has read the environment already
    was = getattr(constants, "HF_HUB_OFFLINE", None)
    if constants is not None:
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if constants is not None:
            constants.HF_HUB_OFFLINE = was
