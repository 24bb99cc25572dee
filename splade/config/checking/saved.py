"""A run's config as a file that composes to the same values again."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from splade.config.checking.reads import RESOLVER, arguments, evaluate, interpolations
from splade.config.checking.wiring import values_of
from splade.files import whole_file

OURS = ("toy", "opt", "first", "when")
HEADER = """\
# The values of one run, without the wiring. To use them again:
#   SPLADE_CONFIG_FULLPATH={path} python -m splade.index
# Values and groups (retrieve_evaluate=msmarco) can be overridden on top, as with any other config.
"""


def save_config(cfg: DictConfig, path: str | Path) -> None:
    """Write the values of ``cfg``, so that ``SPLADE_CONFIG_FULLPATH=path`` gives the same config.

    References to other values stay references; what came from outside (``${oc.env:HOME}``) is written
    as what it was.
    """
    values = OmegaConf.create(_settled(values_of(cfg), cfg))
    with whole_file(path) as stream:
        stream.write(HEADER.format(path=Path(path).resolve()))
        stream.write(OmegaConf.to_yaml(values))


def _settled(value: Any, cfg: DictConfig) -> Any:
    """``value`` with texts that depend on where and when they are read replaced by what they give."""
    if isinstance(value, dict):
        return {name: _settled(child, cfg) for name, child in value.items()}
    if isinstance(value, list):
        return [_settled(child, cfg) for child in value]
    if isinstance(value, str) and any(_foreign(expression) for expression in interpolations(value)):
        found = evaluate(value, cfg)
        return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
    return value


def _foreign(expression: str) -> bool:
    call = RESOLVER.match(expression)
    if call is None:
        return any(_foreign(inner) for inner in interpolations(expression))
    return call[1] not in OURS or any(_foreign(i) for part in arguments(call[2]) for i in interpolations(part))
