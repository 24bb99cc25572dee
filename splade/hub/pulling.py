"""Pull of a repository into a folder, which appears whole and checked, or not at all.

Files gather in a hidden folder beside the target. A pull that was interrupted goes on there: a file that is whole and
right is not fetched again.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from splade.engines import OWN
from splade.engines.folders import engines_in
from splade.files import PART, InputError, check_replaceable, place_of, read_json, replace_folder, write_json
from splade.hub.client import in_words
from splade.hub.contents import (
    CARD,
    MANIFEST,
    PULLED,
    REPO_TYPES,
    Entry,
    Kind,
    Manifest,
    files_of,
    model_in,
    read_manifest,
    sha256_of,
)
from splade.hub.fetching import WAITS, Fetching, Wanted
from splade.locks import Lock

OTHER_FORMS = ("*.h5", "*.msgpack", "*.ot", "*.onnx", "onnx/*", "openvino/*", "*.gguf", ".*")
"""The weights of other programs, and hidden files: not fetched of a repository that splade did not push."""
SMALL = 1 << 20
"""Bytes up to which a file is read to see whether it was changed since it was pulled."""
PICKLES = "*.bin"
"""Weights in torch's old form, not fetched where there are safetensors."""


class Pulled(NamedTuple):
    """The outcome of a pull: the commit, the fingerprints where the repository tells them, files and their bytes."""

    commit: str
    fingerprints: dict[str, str]
    n_files: int
    n_bytes: int
    was_there: bool = False  # nothing was fetched


def pull(
    api: HfApi,
    repo: str,
    kind: Kind,
    target: str | Path,
    *,
    revision: str | None = None,
    waits: Sequence[float] = WAITS,
    sleep: Callable[[float], None] = time.sleep,
) -> Pulled:
    """Bring ``repo`` at ``revision`` (a branch, tag or commit; None: the main branch) to ``target``.

    Every file is checked against the manifest of the push, or the hub's own checksums. An index is opened, which checks
    it once more. What was pulled to ``target`` before is replaced when all is there; ``pulled_from.json`` in it says
    where it is from. InputError where the hub refuses, where a file is not what was pushed, and where ``target`` holds
    something that was not pulled.
    """
    target = place_of(Path(target))
    check_replaceable(target)
    there = _pulled(target) or {}
    commit = _commit_of(api, repo, kind, revision)
    if (there.get("repo"), there.get("commit")) == (repo, commit) and all(
        (target / name).is_file() for name in there["files"]
    ):
        told = read_manifest(target / MANIFEST) if (target / MANIFEST).is_file() else None
        return Pulled(commit, told.fingerprints if told else {}, *_size(target), was_there=True)
    place = target.parent / f".{target.name}.pull.lock"
    lock = Lock(place, "Wait for it to end, then run the same command", "folder")
    try:
        partial = target.parent / f".{target.name}.pull{PART}"
        partial.mkdir(parents=True, exist_ok=True)
        fetch = Fetching(api, repo, kind, commit, partial, waits, sleep)
        manifest, wanted = _wanted(fetch, target)
        fetch.all_of(wanted)
        _clear(partial, wanted)
        _check_contents(partial, repo, kind, manifest)
        size = _size(partial)
        write_json(partial / PULLED, _record(fetch, revision, wanted))
        replace_folder(partial, target)
    finally:
        place.unlink(missing_ok=True)
        lock.release()
    return Pulled(commit, manifest.fingerprints if manifest else {}, *size)


def _record(fetch: Fetching, revision: str | None, wanted: dict[str, Wanted]) -> dict[str, Any]:
    """The content of ``pulled_from.json``: where the files are from, and their bytes."""
    sizes = {name: each.size for name, each in wanted.items()}
    return {
        "repo": fetch.repo,
        "kind": fetch.kind,
        "revision": revision or "main",
        "commit": fetch.commit,
        "files": sizes,
    }


def _pulled(target: Path) -> dict[str, Any] | None:
    """The record of an earlier pull into ``target``; None where nothing is there.

    InputError where something else is there, or what was pulled is not the same any more.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return None
    own = f"{target}: holds something that was not pulled, and it is not replaced. Name another folder, or remove it"
    if not (target / PULLED).is_file():
        raise InputError(own)
    about = read_json(target / PULLED)
    if not isinstance(about, dict) or not isinstance(about.get("files"), dict):
        raise InputError(own)
    changed = next((name for name in files_of(target) if not _is_same(target, name, about["files"])), None)
    if changed is not None:
        raise InputError(
            f"{target}: {changed} was changed since it was pulled, and it is not replaced. Name another folder, or "
            "remove it"
        )
    return about


def _is_same(target: Path, name: str, sizes: dict[str, int]) -> bool:
    """True where a file has the bytes that were pulled; of large ones their number is compared alone."""
    path = target / name
    if path.stat().st_size != sizes.get(name):
        return False
    if path.stat().st_size > SMALL or not (target / MANIFEST).is_file():
        return True
    return sha256_of(path) == read_manifest(target / MANIFEST).files[name].sha256


def _commit_of(api: HfApi, repo: str, kind: Kind, revision: str | None) -> str:
    with in_words(repo, kind, revision):
        try:
            return str(api.repo_info(repo, repo_type=REPO_TYPES[kind], revision=revision).sha)
        except RepositoryNotFoundError:
            other: Kind = "index" if kind == "model" else "model"
            if api.repo_exists(repo, repo_type=REPO_TYPES[other]):
                address = "config.checkpoint_dir" if other == "model" else "config.index_dir"
                raise InputError(
                    f"{repo}: the hub has no {REPO_TYPES[kind]} repository of this name, but a {REPO_TYPES[other]} "
                    f"repository: name {address}=FOLDER, or pull.kind={other}"
                ) from None
            raise


def _wanted(fetch: Fetching, target: Path) -> tuple[Manifest | None, dict[str, Wanted]]:
    """The manifest of the push, None where splade did not push, and the files to fetch.

    What is in ``target`` from an earlier pull is taken from there.
    """
    with in_words(fetch.repo, fetch.kind, fetch.commit):
        listed = fetch.listed()
        _seed(target, fetch.partial, listed)
        if MANIFEST not in listed:
            return None, _of_foreign(listed)
        manifest = read_manifest(fetch.one(MANIFEST, listed[MANIFEST]))
    if manifest.kind != fetch.kind:
        raise InputError(f"{fetch.repo}: is a {manifest.kind}, and a {fetch.kind} is asked for (pull.kind)")
    return manifest, _of_push(fetch.repo, manifest.files, listed)


def _of_push(repo: str, files: dict[str, Entry], listed: dict[str, Wanted]) -> dict[str, Wanted]:
    lacking = [name for name in files if name not in listed]
    if lacking:
        raise InputError(f"{repo}: {lacking[0]} was pushed and is not there any more: push again, or name a revision")
    named = {name: Wanted(each.size, each.sha256, listed[name].blob) for name, each in files.items()}
    return named | {name: listed[name] for name in (MANIFEST, CARD) if name in listed}


def _of_foreign(listed: dict[str, Wanted]) -> dict[str, Wanted]:
    has_safetensors = any(name.endswith(".safetensors") for name in listed)
    patterns = (*OTHER_FORMS, *([PICKLES] if has_safetensors else []))
    return {
        name: each for name, each in listed.items() if not any(PurePosixPath(name).match(form) for form in patterns)
    }


def _seed(target: Path, partial: Path, listed: dict[str, Wanted]) -> None:
    """Link what an earlier pull brought into ``partial``: what is unchanged is not fetched again."""
    if not (target / PULLED).is_file():
        return
    for name, each in listed.items():
        old, new = target / name, partial / name
        if not new.exists() and old.is_file() and old.stat().st_size == each.size:
            new.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(old, new)
            except OSError:
                shutil.copyfile(old, new)


def _clear(partial: Path, wanted: dict[str, Wanted]) -> None:
    """Remove what is not of this revision, and the notes of the hub's library."""
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    for path in sorted(partial.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif not path.is_dir() and path.relative_to(partial).as_posix() not in wanted:
            path.unlink()


def _check_contents(partial: Path, repo: str, kind: Kind, manifest: Manifest | None) -> None:
    """InputError where the files are not a model or an index that opens, or of another encoder than was said."""
    if kind == "model":
        if model_in(partial) != partial:
            raise InputError(f"{repo}: holds no model at its root")
        return
    found = {name: OWN[name](partial).open().fingerprint for name in engines_in(partial)}
    if not found:
        raise InputError(f"{repo}: holds no index of splade")
    for name, fingerprint in found.items():
        expected = manifest.fingerprints.get(name, fingerprint) if manifest else fingerprint
        if fingerprint != expected:
            raise InputError(f"{repo}: its {name} index has the fingerprint {fingerprint}, and {expected} was pushed")


def _size(folder: Path) -> tuple[int, int]:
    """The number of files in ``folder``, and their bytes, but for ``pulled_from.json``."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != PULLED]
    return len(sizes), sum(sizes)
