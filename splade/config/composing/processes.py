"""Tell whether a command runs in one process or in several, as torchrun says in the environment."""

from collections.abc import Mapping


def one_of_several(environment: Mapping[str, str]) -> bool:
    """True where this process is one of several that torchrun started."""
    return environment.get("WORLD_SIZE", "1") != "1"


def is_first(environment: Mapping[str, str]) -> bool:
    """True where this process is alone, or the first of several."""
    return environment.get("RANK", "0") == "0"
