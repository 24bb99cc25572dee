"""Find the data that a name in a config points to: a file, a folder of a known layout, or a set of ``ir_datasets``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from splade.files import InputError

PREFIX = "irds:"
_switched_off: list[bool] = []  # one for each `no_downloads` that is open


class SwitchedOffError(OSError):
    """A download that was refused."""


class NotDownloadedError(InputError):
    """A set of ir_datasets whose files are not on this machine and could not be downloaded."""


def find_file(source: str | Path, names: tuple[str, ...], what: str) -> Path | None:
    """The file that ``source`` is, or the first of ``names`` in the folder that it is; None if it is neither.

    Raises InputError for a folder without any of them.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        return None
    for name in names:
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path}: no {what} in this folder; looked for {', '.join(names)}")


def needed_file(source: str | Path, names: tuple[str, ...], what: str) -> Path:
    """As ``find_file``, with an InputError where there is neither a file nor a folder."""
    path = find_file(source, names, what)
    if path is None:
        raise InputError(
            f"{source}: no such file or folder; expected {what}: a file, or a folder with {' or '.join(names)} "
            f"(relative paths start at {Path.cwd()})"
        )
    return path


def split_of(source: str | Path) -> tuple[str, str | None]:
    """``FOLDER:split`` as its two parts; anything else whole, and None."""
    folder, colon, split = str(source).rpartition(":")
    if colon and split and not Path(source).expanduser().exists() and Path(folder).expanduser().is_dir():
        return folder, split
    return str(source), None


def ir_dataset(source: str, what: str, looked_for: str) -> Any:
    """The ir_datasets set ``source`` names (``irds:`` may stand before it), checked to hold ``what``.

    ``what`` is ``docs``, ``queries`` or ``qrels``. Raises InputError where there is none, saying what
    else was looked for.
    """
    name = source.removeprefix(PREFIX)
    missing = f"{source}: no such file or folder (relative paths start at {Path.cwd()})"
    if name.startswith(("/", ".", "~")) or not name:
        raise InputError(f"{missing}; looked for {looked_for}")
    try:
        import ir_datasets
    except ImportError as error:
        raise InputError(f"{missing}, and ir_datasets is not installed to look it up there") from error
    try:
        dataset = ir_datasets.load(name)
    except KeyError as error:
        raise InputError(f"{missing} and no id that ir_datasets knows; looked for {looked_for}") from error
    if not dataset.has(what):
        offered = [kind for kind in ("docs", "queries", "qrels") if dataset.has(kind)]
        raise InputError(f"{source}: this ir_datasets set has no {what}, only {', '.join(offered) or 'nothing'}")
    return dataset


def is_known(source: str) -> bool:
    """True where ir_datasets is installed and has a set of this name (``irds:`` may stand before it)."""
    try:
        import ir_datasets

        ir_datasets.load(source.removeprefix(PREFIX))
    except (ImportError, KeyError):
        return False
    return True


@contextmanager
def no_downloads(switched_off: bool = True) -> Iterator[None]:
    """Let ir_datasets read what is on this machine and download nothing inside the block, if ``switched_off``.

    What it would have to download is a NotDownloadedError where `downloading` stands around it.
    """
    if not switched_off:
        yield
        return
    try:
        from ir_datasets.util import download
    except ImportError:  # nothing downloads
        yield
        return

    def refuse(_: Any) -> Any:
        raise SwitchedOffError("downloads are switched off")

    loaders = [kind for kind in download.BaseDownload.__subclasses__() if kind is not download.LocalDownload]
    before = {kind: kind.stream for kind in loaders}
    for kind in loaders:
        kind.stream = refuse
    _switched_off.append(True)
    try:
        yield
    finally:
        _switched_off.pop()
        for kind, stream in before.items():
            kind.stream = stream


def downloads_allowed() -> bool:
    """False inside `no_downloads`."""
    return not _switched_off


@contextmanager
def downloading(source: str) -> Iterator[None]:
    """Around what makes ir_datasets download ``source``: its failure to do so becomes NotDownloadedError.

    Other errors, as of a full disk, pass.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        problem = _download_problem(error)
        if problem is None:
            raise
        home = os.environ.get("IR_DATASETS_HOME") or Path.home() / ".ir_datasets"
        raise NotDownloadedError(
            f"{source}: its files are not in {home} and ir_datasets could not download them ({problem}). Without a "
            f"network, download them on another machine by the same command, copy its {Path(home).name} folder here "
            "and name it by IR_DATASETS_HOME; or name files of your own in place of the set"
        ) from error


def is_of_requests(error: BaseException) -> bool:
    """True for an error of requests, or of urllib3 below it; neither need be loaded."""
    return type(error).__module__.startswith(("requests.", "urllib3."))


def _download_problem(error: BaseException) -> str | None:
    """Why a download failed, in a few words; None for an error that is not of a download."""
    if isinstance(error, SwitchedOffError) or (_switched_off and "download sources failed" in str(error)):
        return "downloads are switched off"
    if isinstance(error, RuntimeError):
        return "all its sources failed" if "download sources failed" in str(error) else None
    if not is_of_requests(error):
        return None
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code} from {urlsplit(response.url).hostname}"
    host = urlsplit(str(getattr(getattr(error, "request", None), "url", "") or "")).hostname
    return f"no connection to {host}" if host else f"no connection: {type(error).__name__}"
