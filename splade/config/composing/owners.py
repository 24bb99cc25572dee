"""Wired nodes that belong to single commands: another command would take their settings and not read them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def foreign(name: str, overrides: Sequence[str], commands: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each override of a node that another command ``owns`` and the command ``name`` does not.

    Only what is typed counts: a saved config may hold settings of several commands.
    """
    owners: dict[str, list[str]] = {}
    for command, row in commands.items():
        for node in row.get("owns", ()):
            owners.setdefault(node, []).append(command)
    for override in overrides if name in commands else ():
        address = override.partition("=")[0].lstrip("+~")
        node = address.partition(".")[0]
        if node in owners and name not in owners[node]:
            readers = " and ".join(f"splade.{command}" for command in owners[node])
            reads = "reads" if len(owners[node]) == 1 else "read"
            yield f"{override}: only {readers} {reads} {node}; splade.{name} would go on without it. Remove {address}"
