"""Check an export: files as they were written, readable as their engine reads them, and the loss of weights."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from splade.exporting.manifest import all_files, described, read_manifest, read_terms
from splade.exporting.models import ModelTarget
from splade.exporting.tally import Tally
from splade.exporting.target import ExportTarget, FileTarget, Observed
from splade.files import InputError
from splade.records import SparseBatch

Make = Callable[[str, dict[str, Any]], ExportTarget | ModelTarget]
"""Makes a target by its name in the catalog and its arguments."""


def check_export(folder: str | Path, make: Make) -> dict[str, Any]:
    """The manifest of the export in ``folder``, after every file was read back.

    Sizes and checksums of the files, and ids, terms and weights of every vector, must be those that were written: with
    them the loss that the manifest states is the loss of what is there. A model is proven again. InputError names
    the file, and the line where there is one.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for name, file in all_files(manifest).items():
        _check_file(folder / name, file)
    target = make(manifest["target"], manifest["arguments"])
    if isinstance(target, ModelTarget):
        return manifest | target.check(folder, manifest)
    words = read_terms(folder)
    if not isinstance(target, FileTarget):
        return manifest
    target.prepare(Observed(**manifest["observed"]))
    target.documents_in = folder
    documents = target.read_documents(folder, words)
    _check_vectors(folder, target, "document", documents, manifest["documents"])
    for name, told in manifest["queries"].items():
        _check_vectors(folder / name, target, "query", target.read_queries(folder / name, words), told)
    return manifest


def report(manifest: dict[str, Any]) -> list[str]:
    """Lines about a manifest: what is there, and what its engine keeps of it."""
    if "summary" in manifest:
        lines = [f"{manifest['target']}: {manifest['summary'][0]}", *manifest["summary"][1:]]
        return lines + [f"load: {step}" for step in manifest["load"]]
    lines = [f"{manifest['target']}: {manifest.get('quantization', 'a target of its own, which tells no loss')}"]
    sides = {"documents": manifest["documents"]}
    sides |= {f"queries{f' {name}' if name else ''}": told for name, told in manifest["queries"].items()}
    for side, told in sides.items():
        line = f"{side}: {told['n_texts']}, {told['n_empty']} without terms"
        if "loss" in told:
            loss = told["loss"]
            line += f"; {told['n_terms']} terms, {told['dropped_terms']} left out; loss of a weight {loss['mean']:.4%} "
            line += f"in the mean, {loss['largest']:.4%} at most"
        lines.append(line)
    if "scores" in manifest:
        lines.append(f"scores: {manifest['scores']}")
    return lines + [f"load: {step}" for step in manifest.get("load", [])]


def _check_file(path: Path, file: dict[str, Any]) -> None:
    if not path.is_file():
        raise InputError(f"{path}: no such file, though the manifest names it. Export again")
    size = path.stat().st_size
    if size != file["bytes"]:
        raise InputError(f"{path}: {size} bytes; {file['bytes']} were written. Export again")
    if described(path) != file:
        raise InputError(f"{path}: changed after it was written (another SHA-256). Export again")


def _check_vectors(
    folder: Path, target: FileTarget, side: str, found: Iterable[SparseBatch], told: dict[str, Any]
) -> None:
    tally = Tally(target, side)
    for batch in found:
        tally.add_kept(batch)
    read = tally.told_kept()
    expected = {name: told[name] for name in read}
    if read != expected:
        raise InputError(
            f"{folder}: the {side} vectors read back are not those that were written: {read}, expected {expected}. "
            "This is a fault of the target: please report it, with the manifest"
        )
