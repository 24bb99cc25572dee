"""Search strategies of the user's own, named by a dotted path."""

import inspect
from typing import Any

from splade.files.dotted import located


def own_strategy(path: str) -> Any:
    """The class of strategies at the dotted ``path``, held to `splade.search.strategies.work.Strategy`.

    InputError where it cannot be imported, ValueError where it is no class of strategies.
    """
    found = located(path)
    if not inspect.isclass(found):
        raise ValueError(f"strategy {path!r} must be a class, got {type(found).__name__}")
    if not any("__call__" in vars(kind) for kind in found.__mro__):
        raise ValueError(f"strategy {path!r} has no method __call__(self, work), which finds the best documents")
    taken = [name for name in inspect.signature(found).parameters if name not in ("args", "kwargs")]
    if not taken:
        raise ValueError(f"strategy {path!r} must be made of an index: its __init__ takes no argument")
    return found
