"""Compare the arguments that a user's own components take with those that the wiring gives them.

Only components that the user changed are looked at, since looking means importing them.
"""

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from splade.config.composing.errors import hint


def fitting(node: Mapping[str, Any], path: str) -> dict[str, Any]:
    """``node`` with the target ``path`` and, of its arguments, those that this target takes."""
    try:
        accepted = accepted_arguments(located(path))
    except (ImportError, AttributeError, ValueError, TypeError):
        accepted = None  # said by ``complaints``
    kept = {key: value for key, value in node.items() if accepted is None or key.startswith("_") or key in accepted}
    return kept | {"_target_": path}


def complaints(name: str, path: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """A sentence where ``path`` cannot be found, and for every argument that it does not take."""
    try:
        accepted = accepted_arguments(located(path))
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        yield f"{name}: {path} cannot be imported: {error}"
        return
    for key in arguments:
        if accepted is not None and not str(key).startswith("_") and key not in accepted:
            yield f"{name}.{key}: {path} takes no such argument{hint(str(key), accepted, cutoff=0.5)}"


def located(path: str) -> Any:
    """The class or function of a dotted path."""
    module, _, attribute = path.rpartition(".")
    if not module:
        raise ValueError("a dotted path such as my.package.Class is expected")
    return getattr(import_module(module), attribute)


def accepted_arguments(target: Any) -> set[str] | None:
    """Names of the arguments of ``target``, those of its parents too where it passes others on; None: any."""
    names: set[str] = set()
    for kind in target.__mro__ if inspect.isclass(target) else [target]:
        if kind is object:  # all before it pass on what they do not name, and it takes nothing: they use it themselves
            return None
        parameters = inspect.signature(kind).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None
