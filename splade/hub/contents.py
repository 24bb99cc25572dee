"""Contents of a folder that goes to a hub, or came from one: a model or an index, its files and their checksums.

``splade_hub.json`` lies in every repository that was pushed: the kind, the fingerprints, and size and SHA-256 of each
file. ``pulled_from.json`` lies in every folder that was pulled: the repository and its revision.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from splade.engines.folders import engines_in
from splade.files import PART, InputError, digest_of, read_json

Kind = Literal["model", "index"]
REPO_TYPES: dict[Kind, str] = {"model": "model", "index": "dataset"}
"""The type of repository that each kind has on the hub."""
MANIFEST, PULLED, CARD = "splade_hub.json", "pulled_from.json", "README.md"
FORMAT_VERSION = 1
MODEL_FILES = ("splade.json", "modules.json", "config.json")
"""A folder with one of these is a model's."""
RERANKER = "reranker.json"


class Entry(NamedTuple):
    """One file: its bytes and their SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


class Manifest(NamedTuple):
    """Description of a pushed repository. ``fingerprints`` are by engine for an index; of a model there is one."""

    kind: Kind
    fingerprints: dict[str, str]
    files: dict[str, Entry]

    def as_json(self) -> dict[str, Any]:
        """The manifest as ``splade_hub.json`` has it."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "fingerprints": self.fingerprints,
            "files": {name: entry._asdict() for name, entry in self.files.items()},
        }


def model_in(folder: str | Path) -> Path:
    """The folder of the model that ``folder`` holds: its ``model/``, or the folder itself.

    InputError where there is none, and for a reranker, which is no retriever.
    """
    folder = Path(folder)
    for place in (folder / "model", folder):
        if (place / RERANKER).is_file():
            raise InputError(f"{place}: holds a reranker; models that make vectors are pushed, and indexes")
        if any((place / name).is_file() for name in MODEL_FILES):
            return place
    raise InputError(f"{folder}: there is no model in it, nor in its model/. Train one (python -m splade.train)")


def index_in(folder: str | Path) -> list[str]:
    """The engines that have documents in ``folder``; InputError without any."""
    found = engines_in(folder) if Path(folder).is_dir() else []
    if not found:
        raise InputError(f"{folder}: there is no index in it. Make one (python -m splade.index)")
    return found


def files_of(folder: Path) -> dict[str, Path]:
    """The files below ``folder`` by their names in a repository, sorted; without hidden, unfinished and our own notes.

    Hidden are names that begin with a dot, which locks and unfinished work have.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part.endswith(PART) for part in parts)
        if path.is_file() and not hidden and parts not in ((MANIFEST,), (PULLED,), (CARD,)):
            found["/".join(parts)] = path
    return found


def manifest_of(kind: Kind, fingerprints: Mapping[str, str], files: Mapping[str, Path]) -> Manifest:
    """The manifest of ``files``, all of which are read."""
    entries = {name: Entry(path.stat().st_size, sha256_of(path)) for name, path in files.items()}
    return Manifest(kind, dict(fingerprints), entries)


def read_manifest(path: Path) -> Manifest:
    """The manifest at ``path``; InputError where it is damaged or of a later version."""
    value = read_json(path)
    try:
        if value["format_version"] != FORMAT_VERSION:
            raise InputError(
                f"{path}: written in format {value['format_version']!r}, this program reads {FORMAT_VERSION}; use the "
                "version of splade that pushed it"
            )
        if value["kind"] not in REPO_TYPES:
            raise InputError(f"{path}: kind {value['kind']!r} is not one of {', '.join(REPO_TYPES)}")
        files = {str(name): Entry(int(each["size"]), str(each["sha256"])) for name, each in value["files"].items()}
        return Manifest(value["kind"], {str(name): str(text) for name, text in value["fingerprints"].items()}, files)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not the manifest of a pushed folder") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return digest_of(path, hashlib.sha256())


def blob_of(path: Path) -> str:
    """The name that git has for a file of these bytes: SHA-1 of a header and the bytes, in hexadecimal digits."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    return digest_of(path, digest)
