"""Where a name in a config points: a file, a folder of a known layout, or a set of ``ir_datasets``."""

from pathlib import Path
from typing import Any

from splade.files import InputError

PREFIX = "irds:"


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
