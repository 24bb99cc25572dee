"""``export.json``: what an export holds, how it was made, how it is loaded."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from splade.files import InputError, digest_of, read_json

MANIFEST, TERMS = "export.json", "terms.txt"
MAGIC, FORMAT_VERSION = "splade export", 1


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the export in ``folder``; InputError where there is none that can be used."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{path}: no such file; an export that was finished has one. Run splade.export (again)")
    told = read_json(path)
    if not isinstance(told, dict) or told.get("magic") != MAGIC:
        raise InputError(f"{path}: not the manifest of an export (its 'magic' is not {MAGIC!r})")
    if told.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{path}: format {told.get('format_version')}, but this version of splade reads format {FORMAT_VERSION}. "
            "Export again, or use the version that wrote it"
        )
    return told


def read_terms(folder: Path) -> list[str]:
    """The word of each term, by number. A byte-order mark is a word as others are."""
    return (folder / TERMS).read_bytes().decode().split("\n")[:-1]


def files_in(folder: Path, above: Path | None = None) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of all files below ``folder``, by their path from ``above`` on (None: from ``folder``)."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(above or folder).as_posix(): described(path) for path in found}


def described(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    return {"bytes": path.stat().st_size, "sha256": digest_of(path, hashlib.sha256())}


def all_files(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files of a manifest: of a model, or documents', queries', and the terms."""
    if "files" in manifest:
        return dict(manifest["files"])
    parts: Iterable[dict[str, Any]] = [manifest["documents"], *manifest["queries"].values()]
    found = {name: file for part in parts for name, file in part["files"].items()}
    return found | {TERMS: manifest["terms"]["file"]}


def are_there(folder: Path, files: dict[str, dict[str, Any]]) -> bool:
    """True where all ``files`` are in ``folder`` with their sizes; contents are not read."""
    paths = {folder / name: file["bytes"] for name, file in files.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())
