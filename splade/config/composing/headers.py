"""The parts of a config file's opening comment: what it reproduces, its figure, hardware, launch and one override."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from splade.config.composing.errors import ConfigError

PARTS = {
    "Published": "figure",
    "No published figure": "figure",
    "Hardware:": "hardware",
    "Launch:": "launch",
    "One override:": "override",
}
"""How a part of the comment begins; what stands before the first of them says what the config reproduces."""
LABELS = ("Hardware:", "Launch:", "One override:")
"""Beginnings that only name their part. Others are words of a sentence."""


class Header(NamedTuple):
    """The parts of a comment, each as its lines."""

    reproduces: tuple[str, ...]
    figure: tuple[str, ...]
    hardware: tuple[str, ...]
    launch: tuple[str, ...]
    override: tuple[str, ...]


def read_header(path: Path) -> Header:
    """The parts of the comment that ``path`` opens with; ConfigError names one that is not there."""
    parts: dict[str, list[str]] = {name: [] for name in Header._fields}
    part = "reproduces"
    for line in _comment(path):
        beginning = next((each for each in PARTS if line.startswith(each)), None)
        part = part if beginning is None else PARTS[beginning]
        said = line.removeprefix(beginning).strip() if beginning in LABELS else line
        if said:
            parts[part].append(said)
    for name, lines in parts.items():
        if not lines:
            beginnings = " or ".join(repr(each) for each, named in PARTS.items() if named == name)
            raise ConfigError(f"{path}: its opening comment has no {name}" + (f", {beginnings}" if beginnings else ""))
    return Header(**{name: tuple(lines) for name, lines in parts.items()})


def _comment(path: Path) -> Iterator[str]:
    """The lines of the opening comment without their marks, and without what Hydra reads of it."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        if "@package" not in line:
            yield line.removeprefix("#").strip()
