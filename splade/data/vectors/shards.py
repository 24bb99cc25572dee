"""A collection's vectors in shards, as ``splade.encode`` writes them: folders that are whole or absent.

``shard-00002-of-00008/`` holds the vectors of the second eighth of a collection:

- ``0000000000.npz``, …: CSR matrices with ids, named by the number in the shard of their first document;
- ``about.json``: the model, the collection and the settings that the vectors are of;
- ``terms.json``: what the columns are called;
- ``shard.json``: which shard this is, with size and checksum of every file; with it the shard is complete.
"""

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from splade.files import InputError, read_json, write_json

MANIFEST, ABOUT, TERMS = "shard.json", "about.json", "terms.json"
MAGIC, FORMAT_VERSION = "splade vectors", 1
NAME = re.compile(r"shard-(\d{5,})-of-(\d{5,})")
SPLIT = re.compile(r"(\d+)/(\d+)")


class Shard(NamedTuple):
    """Part ``number`` of ``of``, counted from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that ``2/8`` names; InputError for anything else."""
        match = SPLIT.fullmatch(text)
        shard = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if not 1 <= shard.number <= shard.of:
            raise InputError(f"config.shard={text}: expected NUMBER/OF counted from 1, such as 1/8 … 8/8")
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"shard-{self.number:05}-of-{self.of:05}"

    def range_of(self, n_docs: int) -> range:
        """The numbers of its documents in a collection of ``n_docs``; shards differ by one document at most."""
        return range(n_docs * (self.number - 1) // self.of, n_docs * self.number // self.of)

    def within(self, part: "Shard") -> "Shard":
        """This part of ``part``, as a shard of the whole."""
        return Shard((part.number - 1) * self.of + self.number, part.of * self.of)


class Stored(NamedTuple):
    """A file of a shard as it was written."""

    n_bytes: int
    crc32: int

    @classmethod
    def of(cls, path: Path) -> "Stored":
        """Return the size and checksum of the file that is at ``path`` now."""
        n_bytes = checksum = 0
        with path.open("rb") as stream:
            while octets := stream.read(1 << 20):
                n_bytes, checksum = n_bytes + len(octets), zlib.crc32(octets, checksum)
        return cls(n_bytes, checksum)


class Manifest(NamedTuple):
    """The description of a finished shard: its place, the number of its documents, its files by name."""

    shard: Shard
    n_docs: int
    files: dict[str, Stored]

    @property
    def pieces(self) -> list[str]:
        """The names of its matrices in order."""
        return sorted(name for name in self.files if name.endswith(".npz"))

    @property
    def checksum(self) -> int:
        """Tells these vectors from any others."""
        return zlib.crc32(json.dumps(self._asdict(), sort_keys=True).encode())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Complete the shard in ``folder``."""
    head = {"magic": MAGIC, "format_version": FORMAT_VERSION, "checksum": manifest.checksum}
    write_json(folder / MANIFEST, head | manifest._asdict())


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished shard; InputError where it cannot be used."""
    path = folder / MANIFEST
    stated = read_json(path)
    if not isinstance(stated, dict) or stated.get("magic") != MAGIC:
        raise InputError(f"{path}: not a shard of vectors (its 'magic' is not {MAGIC!r}). Encode this shard again")
    if stated.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{path}: format {stated.get('format_version')}, but this version of splade reads format "
            f"{FORMAT_VERSION}. Encode this shard again, or use the version that wrote it"
        )
    try:
        files = {name: Stored(*entry) for name, entry in stated["files"].items()}
        manifest = Manifest(Shard(*stated["shard"]), stated["n_docs"], files)
        changed = manifest.checksum != stated["checksum"]
    except (KeyError, TypeError, AttributeError):
        changed = True
    if changed:
        raise InputError(f"{path}: changed after it was written; remove {folder} and encode this shard again")
    return manifest


def check_file(path: Path, written: Stored) -> None:
    """InputError where a file of a shard is not as it was ``written``."""
    remedy = f"Copy it again from its source, or remove {path.parent} and encode this shard again"
    try:
        found = Stored.of(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: this file is missing. {remedy}") from error
    if found != written:
        raise InputError(
            f"{path}: {written.n_bytes} bytes with checksum {written.crc32:08x} were written, {found.n_bytes} with "
            f"{found.crc32:08x} found. {remedy}"
        )


class Encoded(NamedTuple):
    """All shards of one collection, checked to belong together; files are checked as they are read."""

    manifests: dict[Path, Manifest]  # by folder, in the order of the collection
    about: dict[str, Any]  # model, collection and settings, which the shards share

    @property
    def files(self) -> list[Path]:
        """The matrices in the order of the collection."""
        return [folder / name for folder, manifest in self.manifests.items() for name in manifest.pieces]

    @property
    def state(self) -> dict[str, int]:
        """The checksum of each shard by folder, which tells these vectors from others."""
        return {folder.name: manifest.checksum for folder, manifest in self.manifests.items()}

    def check(self, file: Path) -> None:
        """InputError where ``file`` is not as it was written."""
        check_file(file, self.manifests[file.parent].files[file.name])

    def terms(self) -> list[str]:
        """Read the names of the columns, in their order."""
        folder = next(iter(self.manifests))
        self.check(folder / TERMS)
        return list(map(str, read_json(folder / TERMS)))


def shards_in(folder: Path) -> Encoded | None:
    """The shards in ``folder``; None where there is none.

    InputError where one is missing, by name, or where they do not belong together.
    """
    found = {entry: Shard(int(match[1]), int(match[2])) for entry, match in _named(folder)}
    if not found:
        if any(folder.glob(".shard-*-of-*.encoding")):
            raise InputError(f"{folder}: no shard is whole yet; encode them to the end: python -m splade.encode …")
        return None
    of = max(shard.of for shard in found.values())
    numbers = sorted(shard.number for shard in found.values() if shard.of == of)
    if len(numbers) < len(found):
        kinds = ", ".join(sorted({f"of {shard.of}" for shard in found.values()}))
        raise InputError(f"{folder}: holds shards of collections cut differently ({kinds}); remove those of one kind")
    missing = [str(Shard(number, of)) for number in range(1, of + 1) if number not in numbers]
    if missing:
        raise InputError(
            f"{folder}: shards are missing: {_some(missing)}. Encode them: python -m splade.encode --shard …"
        )
    manifests = {entry: read_manifest(entry) for entry in sorted(found, key=lambda entry: found[entry].number)}
    return Encoded(manifests, _shared(manifests))


def _named(folder: Path) -> Sequence[tuple[Path, re.Match[str]]]:
    entries = sorted(folder.iterdir())
    return [(entry, match) for entry in entries if (match := NAME.fullmatch(entry.name)) and entry.is_dir()]


def _shared(manifests: Mapping[Path, Manifest]) -> dict[str, Any]:
    """Return the description that all shards share; InputError if one differs, or its folder has another's name."""
    shared: dict[str, Any] = {}
    for folder, manifest in manifests.items():
        if manifest.shard.folder != folder.name:
            raise InputError(f"{folder}: its {MANIFEST} is that of {manifest.shard.folder}; give it its name back")
        check_file(folder / ABOUT, manifest.files[ABOUT])
        about = read_json(folder / ABOUT)
        shared = shared or about
        if differing := differences(shared, about):
            raise InputError(f"{folder}: other {differing} than in the shards before; encode all in the same way")
    return shared


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The names of the entries in which two mappings differ, in words; empty where they are equal."""
    return ", ".join(sorted(key for key in {*one, *other} if one.get(key) != other.get(key)))


def _some(names: Sequence[str], shown: int = 8) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
