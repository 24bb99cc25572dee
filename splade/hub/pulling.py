"""Pull of a repository into a folder, which appears whole and checked, or not at all.

Files gather in a hidden folder beside the target. A pull that was interrupted goes on there: a file that is whole and
right is not fetched again.
"""

import logging
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
from splade.hub.client import in_words, is_passing, without_bars
from splade.hub.contents import (
    CARD,
    MANIFEST,
    PULLED,
    REPO_TYPES,
    Entry,
    Kind,
    Manifest,
    blob_of,
    model_in,
    read_manifest,
    sha256_of,
)
from splade.locks import Lock
from splade.progress import progress

logger = logging.getLogger(__name__)

WAITS = (1.0, 4.0, 16.0)
"""Seconds before a file is asked for again that the hub did not give."""
OTHER_FORMS = ("*.h5", "*.msgpack", "*.ot", "*.onnx", "onnx/*", "openvino/*", "*.gguf", ".*")
"""The weights of other programs, and hidden files: not fetched of a repository that splade did not push."""
PICKLES = "*.bin"
"""Weights in torch's old form, not fetched where there are safetensors."""


class Pulled(NamedTuple):
    """The outcome of a pull: the commit, the fingerprints where the repository tells them, files and their bytes."""

    commit: str
    fingerprints: dict[str, str]
    n_files: int
    n_bytes: int
    was_there: bool = False  # nothing was fetched


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
    _refuse_own(target)
    commit = _commit_of(api, repo, kind, revision)
    if _is_there(target, repo, commit):
        told = read_manifest(target / MANIFEST) if (target / MANIFEST).is_file() else None
        return Pulled(commit, told.fingerprints if told else {}, *_size(target), was_there=True)
    place = target.parent / f".{target.name}.pull.lock"
    lock = Lock(place, "Wait for it to end, then run the same command", "folder")
    try:
        partial = target.parent / f".{target.name}.pull{PART}"
        partial.mkdir(parents=True, exist_ok=True)
        fetch = _Fetching(api, repo, kind, commit, partial, waits, sleep)
        manifest, wanted = _wanted(fetch, target)
        fetch.all_of(wanted)
        _clear(partial, wanted)
        _check_contents(partial, repo, kind, manifest)
        size = _size(partial)
        write_json(partial / PULLED, {"repo": repo, "kind": kind, "revision": revision or "main", "commit": commit})
        replace_folder(partial, target)
    finally:
        place.unlink(missing_ok=True)
        lock.release()
    return Pulled(commit, manifest.fingerprints if manifest else {}, *size)


class _Fetching(NamedTuple):
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


def _refuse_own(target: Path) -> None:
    if target.exists() and not (target / PULLED).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError(
            f"{target}: holds something that was not pulled, and it is not replaced. Name another folder, or remove it"
        )


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


def _is_there(target: Path, repo: str, commit: str) -> bool:
    """True where ``target`` was pulled from this commit, and has the files that it should have."""
    if not (target / PULLED).is_file():
        return False
    about = read_json(target / PULLED)
    if not isinstance(about, dict) or (about.get("repo"), about.get("commit")) != (repo, commit):
        return False
    if not (target / MANIFEST).is_file():
        return True
    files = read_manifest(target / MANIFEST).files
    return all(
        (target / name).is_file() and (target / name).stat().st_size == each.size for name, each in files.items()
    )


def _wanted(fetch: _Fetching, target: Path) -> tuple[Manifest | None, dict[str, Wanted]]:
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
