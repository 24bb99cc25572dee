"""Import parts of the user's own by their dotted paths."""

from importlib import import_module
from typing import Any

from splade.files import InputError


def is_dotted(name: str) -> bool:
    """True for a dotted path such as ``my_module.MyClass``."""
    return "." in name and all(part.isidentifier() for part in name.split("."))


def located(path: str) -> Any:
    """Return the class or function at a dotted ``path``; InputError where there is none."""
    module, _, attribute = path.rpartition(".")
    try:
        if not module:
            raise ValueError("a dotted path such as my_module.MyClass is expected")
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path} cannot be imported: {error}. Modules are looked for in the folder of launch and among those "
            "that are installed"
        ) from error
