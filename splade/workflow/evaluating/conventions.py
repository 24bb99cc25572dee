"""The conventions of an evaluation, from a config."""

from collections.abc import Mapping
from typing import Any

from splade.evaluation.conventions import Conventions
from splade.files import InputError


def conventions_of(node: Mapping[str, Any] | None, addresses: str = "config.eval_") -> Conventions:
    """The rules of the wired ``conventions``, the usual ones without any.

    InputError says which setting, ``addresses`` and its name, is wrong.
    """
    given = {name: node[name] for name in Conventions._fields if name in node} if node is not None else {}
    for name, value in given.items():
        try:
            Conventions(**{name: value}).checked()
        except ValueError as error:
            raise InputError(f"{addresses}{name}={value}: {error}") from error
    return Conventions(**given)
