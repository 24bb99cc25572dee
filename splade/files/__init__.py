"""Files that are whole or absent, and text that may be gzipped.

Every artefact is written to a temporary sibling, synced, and renamed, so that a reader finds the
old file, the new file, or none: never half of one. Only the standard library is used here.
"""

import errno
import gzip
import io
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from splade.files.strict_json import JsonError, parse_json

GZIP = b"\x1f\x8b"  # how a gzip file begins, and no text
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PART = ".part"  # how the name of a file ends that is not whole yet
DAMAGED_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


class InputError(ValueError):
    """Input that cannot be used; the message says where it is wrong and what to do."""

    @classmethod
    def at(cls, path: str | Path, line: int, problem: str) -> "InputError":
        """The error for line ``line`` (from 1) of the file ``path``."""
        return cls(f"{path}:{line}: {problem}")


def is_gzip(path: str | Path) -> bool:
    """True where ``path`` is to be unpacked: it is called ``.gz``, or begins as a gzip file does."""
    if Path(path).suffix == ".gz":
        return True
    with Path(path).open("rb") as stream:
        return stream.read(len(GZIP)) == GZIP


def open_binary(path: str | Path) -> IO[bytes]:
    """The bytes of ``path``, unpacked where it is a gzip file, whatever its name."""
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzip(path) else Path(path).open("rb")


def text_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Line number (from 1) and line without its end, for each line of a UTF-8 file, gzipped or not.

    A byte-order mark before a line is none of its text. Raises InputError with file and line where the bytes are not
    UTF-8 or the archive is damaged.
    """
    number = 0
    with open_binary(path) as stream:
        try:
            for number, raw in enumerate(stream, 1):
                yield number, raw.removeprefix(BYTE_ORDER_MARK).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            head = error.object if number == 1 else b""
            raise InputError.at(path, number, not_utf8(error, f"byte {error.start + 1} of the line", head)) from error
        except DAMAGED_GZIP as error:
            raise InputError.at(path, number + 1, f"damaged gzip file: {error}") from error


def not_utf8(error: UnicodeDecodeError, where: str, head: bytes = b"") -> str:
    """The problem at ``where`` in words; ``head`` is how the file begins, by which UTF-16 is known."""
    wide = "; it begins as UTF-16 does" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else ""
    return f"not UTF-8 text ({error.reason} at {where}{wide}); convert the file to UTF-8"


@contextmanager
def whole_file(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write that appears at ``path`` only when the block ends without an error.

    ``mode`` is ``"w"`` (UTF-8 text) or ``"wb"``; a name that ends in ``.gz`` is packed.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode must be 'w' or 'wb', got {mode!r}")
    path = Path(path)
    with naming(path):
        make_folder(path.parent)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    temporary = Path(name)
    try:
        with naming(path), os.fdopen(descriptor, "wb") as raw:
            packed = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") if path.suffix == ".gz" else None
            sink: Any = packed or raw
            stream = sink if mode == "wb" else io.TextIOWrapper(sink, encoding="utf-8", newline="\n")
            yield stream
            stream.flush()
            if mode == "w":
                stream.detach()
            if packed:
                packed.close()
            raw.flush()
            os.fsync(raw.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill that replaces ``path`` only when the block ends without an error.

    Where ``path`` is a symbolic link, it stays one, and the folder that it names is replaced: on the disk of that
    folder. InputError where ``path`` is a mount point, which cannot be moved aside.
    """
    path = place_of(path)
    check_replaceable(path)
    with naming(path):
        make_folder(path.parent)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART))
    try:
        with naming(path):
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def check_writable(folder: str | Path) -> None:
    """InputError where no file can be made in ``folder``, or above it where it does not exist; leaves no trace."""
    place = Path(folder).resolve()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        why = f"{place} is a file" if not place.is_dir() else f"{place}: {error.strerror or error}"
        raise InputError(
            f"{folder}: nothing can be written there ({why}). Name another folder, or correct this"
        ) from error


def check_replaceable(folder: str | Path) -> None:
    """InputError where ``folder`` is a mount point: no folder can take its place whole."""
    if os.path.ismount(place_of(folder)):
        raise InputError(f"{folder}: a disk is mounted there, so it cannot be replaced whole. Name a folder within it")


def place_of(path: str | Path) -> Path:
    """``path``, or what it leads to where it is a symbolic link: what is written beside that is on the same disk."""
    path = Path(path)
    return path.resolve() if path.is_symlink() else path


def make_folder(path: Path) -> None:
    """Make the folder ``path`` and those above it where they are missing; a symbolic link to a missing one is kept."""
    path.resolve().mkdir(parents=True, exist_ok=True)


def replace_folder(new: Path, path: Path) -> None:
    """Move the folder ``new``, which is on the same disk, to ``path``; what was there goes once the new one stands.

    Between the two moves there is nothing at ``path``; where a kill strikes just then, `standing` finds what was there.
    """
    sync_tree(new)
    old = _put_aside(path)
    if path.exists():
        _remove(old)
        path.replace(old)
    new.replace(path)
    _sync(path.parent)
    _remove(old)


def standing(path: Path) -> Path:
    """``path``, or the folder that was put aside where its replacement was killed half-way, or is going on now."""
    path = place_of(path)
    old = _put_aside(path)
    return old if not path.exists() and old.is_dir() else path


def _put_aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _remove(folder: Path) -> None:
    """Remove a folder, or a link to one, where it can be removed."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Ask the operating system to put ``folder`` and everything below it on the disk.

    An empty file has nothing to put there but its name; and where it is a lock, closing it would let go of it.
    """
    for path in (*sorted(folder.rglob("*")), folder):
        if path.is_dir() or (path.is_file() and path.stat().st_size):
            _sync(path)


def _sync(path: Path) -> None:
    """Put a file on the disk, or the names in a folder: a rename is there only once its folder is."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as one whole JSON file (never NaN or infinity, never appended)."""
    with whole_file(path) as stream:
        json.dump(value, stream, ensure_ascii=False, allow_nan=False, indent=1)
        stream.write("\n")


def read_json(path: str | Path) -> Any:
    """The value of a JSON file, gzipped or not; InputError with file and line if it is damaged.

    A byte-order mark at its beginning is skipped. A key that comes twice in one object is refused.
    """
    with open_binary(path) as stream:
        try:
            text = stream.read().removeprefix(BYTE_ORDER_MARK).decode("utf-8")
        except UnicodeDecodeError as error:
            problem = not_utf8(error, f"byte {error.start + 1}", error.object)
            raise InputError(f"{path}: {problem}") from error
        except DAMAGED_GZIP as error:
            raise InputError(f"{path}: damaged gzip file: {error}") from error
    try:
        return parse_json(text)
    except JsonError as error:
        raise InputError.at(path, error.line, str(error)) from error


def digest_of(path: str | Path, digest: Any) -> str:
    """The hexadecimal digits of ``digest``, an object of hashlib, after the bytes of a file, read in pieces."""
    with Path(path).open("rb") as stream:
        while octets := stream.read(1 << 20):
            digest.update(octets)
    return str(digest.hexdigest())


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Have the operating system's refusals name ``path``, rather than a temporary sibling or nothing.

    A full disk is an OSError with this name even where a library that writes calls it something else.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if error.filename is None or f"{PART}/" in f"{error.filename}/":
            error.filename = str(path)
        raise
    except Exception as error:
        if not _of_full_disk(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _of_full_disk(error: BaseException | None) -> bool:
    """True where a full disk caused ``error``.

    Torch raises an error of its own while that of the disk is handled; safetensors quotes the disk error's number.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if f"(os error {errno.ENOSPC})" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
