"""The rows of expected values that come with the package, or stand in a folder of the user's own."""

from pathlib import Path

from omegaconf import OmegaConf

from splade.config import expected_dir
from splade.expectations.rows import Row, rows_of
from splade.files import InputError


def expected_rows(folder: str | Path | None = None) -> list[Row]:
    """The rows of the ``*.yaml`` files in ``folder``, or of those that are shipped; InputError for unusable ones."""
    place = expected_dir() if folder is None else Path(folder)
    files = sorted(place.glob("*.yaml"))
    if not files:
        raise InputError(f"{place}: there are no files of expected values (*.yaml)")
    read = {}
    for file in files:
        try:
            read[file.name] = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
        except Exception as error:
            told = " ".join(str(error).split())
            raise InputError(f"{file}: not a YAML file that can be read: {told}") from error
    return rows_of(read)
