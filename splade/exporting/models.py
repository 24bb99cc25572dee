"""Targets that write the model itself rather than vectors, in a form that another runtime computes."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from splade.exporting.manifest import FORMAT_VERSION, MAGIC, MANIFEST, files_in
from splade.files import InputError, check_writable, whole_folder, write_json
from splade.records import Text

logger = logging.getLogger(__name__)


class ModelTarget:
    """Base of the targets that write a model; its named arguments come from the config."""

    def write(self, model: Any, folder: Path, texts: Sequence[Text]) -> dict[str, Any]:
        """Write ``model`` into ``folder`` and prove it; its part of the manifest.

        ``texts`` are the user's own, to be proven on beside the target's. In the manifest ``summary`` are lines that
        say what was written and measured, ``load`` the commands or steps that use it. InputError for a model that
        cannot be written, or that gives other vectors when it was.
        """
        raise NotImplementedError

    def check(self, folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
        """Prove again what `write` wrote into ``folder``; the ``summary`` of what was measured now, and nothing else.

        InputError where it gives other vectors than it did.
        """
        raise NotImplementedError


def export_model(
    target: ModelTarget, name: str, arguments: Mapping[str, Any], model: Any, texts: Sequence[Text], folder: str | Path
) -> dict[str, Any]:
    """Write ``model`` into ``folder``, whole or not at all, and return the manifest.

    ``target`` is called ``name`` in the catalog and was made with ``arguments``. An export that is there is replaced.
    InputError where the folder holds something else.
    """
    folder = Path(folder)
    check_writable(folder)
    _check_replaceable(folder)
    with whole_folder(folder) as temporary:
        own = target.write(model, temporary, texts)
        told = {"magic": MAGIC, "format_version": FORMAT_VERSION, "target": name, "arguments": dict(arguments)}
        manifest = {**told, **own, "files": files_in(temporary)}
        write_json(temporary / MANIFEST, manifest)
    logger.info("the model is in %s", folder)
    return manifest


def _check_replaceable(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and ((folder / MANIFEST).is_file() or not any(folder.iterdir()))):
        raise InputError(f"{folder}: holds files that are not an export; choose an empty or a new folder")
