"""Push of a folder as one commit: the repository has all of it or none."""

import json
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

from splade.files import InputError, whole_folder
from splade.hub.client import in_words, without_bars
from splade.hub.contents import CARD, MANIFEST, REPO_TYPES, Manifest, read_manifest

logger = logging.getLogger(__name__)

MAIN = "main"
OF_HUB = (".gitattributes", CARD, MANIFEST)
SHOWN = 3


class Parcel(NamedTuple):
    """Everything that a push sends: files on the disk by their names in the repository, the card, the manifest."""

    files: dict[str, Path]
    card: str
    manifest: Manifest

    @property
    def made(self) -> dict[str, bytes]:
        """The two files that are made for the push, by name."""
        listed = json.dumps(self.manifest.as_json(), ensure_ascii=False, indent=1) + "\n"
        return {CARD: self.card.encode(), MANIFEST: listed.encode()}

    @property
    def n_bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.manifest.files.values()) + sum(map(len, self.made.values()))


class Pushed(NamedTuple):
    """The outcome of a push: the commit that the repository is at, and whether it is a new one."""

    commit: str
    changed: bool
    removed: list[str]


def write_parcel(parcel: Parcel, folder: str | Path) -> None:
    """Write the files that a push would send to ``folder``, which appears whole and replaces what was there."""
    with whole_folder(folder) as temporary:
        for name, path in parcel.files.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, temporary / name)
        for name, octets in parcel.made.items():
            (temporary / name).write_bytes(octets)


def push(api: HfApi, repo: str, parcel: Parcel, *, private: bool | None = None, revision: str | None = None) -> Pushed:
    """Send ``parcel`` to ``repo`` as one commit on the branch ``revision`` (None: the main one).

    A repository that is not there is made, private unless ``private`` is False; a branch too. Files of an earlier push
    that are no longer sent are removed; files that no push put there stay. InputError where the hub refuses, and where
    an existing repository is not as ``private`` says.
    """
    kind, branch = parcel.manifest.kind, revision or MAIN
    where: dict[str, Any] = {"repo_id": repo, "repo_type": REPO_TYPES[kind]}
    with in_words(repo, kind, branch), without_bars(not sys.stderr.isatty()):
        _make_repo(api, where, private)
        head = _make_branch(api, where, branch)
        there = {each.path for each in api.list_repo_tree(**where, revision=head, recursive=True) if _is_file(each)}
        removed = sorted((_earlier(api, where, head, there) & there) - parcel.files.keys() - parcel.made.keys())
        _tell_foreign(repo, there - parcel.files.keys() - {*removed, *OF_HUB})
        operations: list[Any] = [CommitOperationDelete(name) for name in removed]
        operations += [CommitOperationAdd(name, path) for name, path in parcel.files.items()]
        operations += [CommitOperationAdd(name, octets) for name, octets in parcel.made.items()]
        done = api.create_commit(
            **where,
            operations=operations,
            revision=branch,
            parent_commit=head,
            commit_message=f"Push of a splade {kind}",
        )
    return Pushed(str(done.oid), done.oid != head, removed)


def _make_repo(api: HfApi, where: dict[str, Any], private: bool | None) -> None:
    try:
        is_private = bool(api.repo_info(**where).private)
    except RepositoryNotFoundError:
        api.create_repo(**where, private=private is not False)
        return
    if private is not None and is_private != private:
        is_now = "private" if is_private else "public"
        raise InputError(
            f"push.private={str(private).lower()}, and {where['repo_id']} is there and {is_now}. Change that on the "
            "hub's page of it, or remove push.private"
        )


def _make_branch(api: HfApi, where: dict[str, Any], branch: str) -> str:
    """The commit at the end of ``branch``, which is made where there is none."""
    try:
        return str(api.repo_info(**where, revision=branch).sha)
    except RevisionNotFoundError:
        api.create_branch(**where, branch=branch)
        return str(api.repo_info(**where, revision=branch).sha)


def _earlier(api: HfApi, where: dict[str, Any], head: str, there: set[str]) -> set[str]:
    """The files that an earlier push put there; none where its manifest cannot be read."""
    if MANIFEST not in there:
        return set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(api.hf_hub_download(**where, filename=MANIFEST, revision=head, local_dir=folder))
        try:
            return set(read_manifest(path).files)
        except InputError as error:
            logger.warning("%s: nothing of the last push is removed, as its manifest is not read: %s", where, error)
            return set()


def _tell_foreign(repo: str, names: set[str]) -> None:
    if names:
        shown = ", ".join(sorted(names)[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        logger.warning("%s holds files that no push of splade put there; they stay: %s", repo, shown)


def _is_file(entry: Any) -> bool:
    return hasattr(entry, "blob_id")
