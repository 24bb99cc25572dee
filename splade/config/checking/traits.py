"""Facts that the parts of a training tell of themselves, as attributes of their class or function.

`splade.losses.scores.Needs` documents those of a loss, `splade.data.examples.examples.ExampleSource` those of training
data, `splade.models.Retriever` those of a model. A part is imported to be asked; what it does not say has the
default of `UNSAID`.
"""

from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from splade.config.checking.signatures import accepted_arguments, located
from splade.config.checking.wiring import unresolved_components
from splade.config.composing.errors import ConfigError

UNSAID: dict[str, Any] = {
    "takes": (),
    "of_tokens": False,
    "needs_teacher": False,
    "needs_in_batch": False,
    "in_batch_documents": "positives",
    "min_documents": 1,
    "has_teacher": True,
    "has_negatives": True,
    "own_query_encoder": False,
}
"""The answers of a part that says nothing, with which no rule refuses it."""

ARGUMENTS = "loss_argument"
"""The table of the catalog that says which value becomes which argument of losses that take it."""


class Part(NamedTuple):
    """A part of the package's, or of the user's own: its dotted path, and the words that name it in an error."""

    path: str
    label: str

    @property
    def shipped(self) -> bool:
        """True for a part of the package."""
        return self.path.startswith("splade.")

    @property
    def name(self) -> str:
        """The name in the catalog, or the dotted path."""
        return self.label.partition("=")[2] or self.path

    def says(self, trait: str) -> Any:
        """The answer of the class or function to one of `UNSAID`."""
        return says(self.path, trait)


def says(path: str, trait: str) -> Any:
    """The attribute ``trait`` of what the dotted ``path`` names; the default where it has none or is not found."""
    try:
        return getattr(located(path), trait, UNSAID[trait])
    except (ImportError, AttributeError, ValueError, TypeError):
        return UNSAID[trait]  # the path is complained of elsewhere


def part_of(cfg: DictConfig, node: str, table: str, address: str, what: str) -> Part | None:
    """The part that the wired ``node`` is made of; None where the config does not say.

    One of the shipped catalog's ``table`` is called ``ADDRESS=NAME``, and another ``WHAT PATH``: however it was named.
    """
    try:
        path = str(cfg[node]._target_)
    except (OmegaConfBaseException, AttributeError):
        return None
    return part_at(path, table, address, what, kind_of(cfg, node))


def part_at(path: str, table: str, address: str, what: str, first: str = "") -> Part:
    """The part at a dotted ``path``, called as `part_of` says; ``first`` is the name to prefer of several."""
    entries = unresolved_components()["catalog"].get(table, {})
    paths = {name: entry["_target_"] if isinstance(entry, dict) else entry for name, entry in entries.items()}
    names = [name for name, its in paths.items() if its == path]
    if not names:
        return Part(path, f"{what} {path}")
    return Part(path, f"{address}={first if first in names else names[0]}")


def the_loss(cfg: DictConfig) -> Part | None:
    """The loss, or the mix of losses; None where the config does not say."""
    return part_of(cfg, "loss", loss_table(cfg), loss_address(cfg), "the loss")


def losses_of(cfg: DictConfig) -> list[Part]:
    """The losses in use: those of the mix where the loss is one; none where the config does not say."""
    loss, table, where = the_loss(cfg), loss_table(cfg), loss_address(cfg)
    if loss is None or "weights" not in loss.says("takes"):
        return [] if loss is None else [loss]
    paths = cfg.catalog[table]
    names = [str(name) for name in OmegaConf.select(cfg, "config.loss_weights") or [] if name in paths]
    return [part_at(str(paths[name]), table, where, "the loss", name) for name in names]


def loss_table(cfg: DictConfig) -> str:
    """The table of the catalog that has the losses of the trainer at hand."""
    return str(cfg.kinds.losses)


def loss_address(cfg: DictConfig) -> str:
    """The setting that names the loss of the trainer at hand."""
    return "hf.training.training_loss" if OmegaConf.select(cfg, "config.hf_training") else "config.loss"


def ask_the_loss(cfg: DictConfig, import_it: bool) -> None:
    """Give the loss of ``cfg`` the arguments that it takes, and the data what it needs of them, as its class says.

    Without ``import_it``, for a command that has no use for a loss, it gets all arguments: none is then unread.
    """
    loss = the_loss(cfg)
    if loss is None:
        return
    table: Any = OmegaConf.to_container(cfg.catalog[ARGUMENTS], resolve=False)
    taken = loss.says("takes") if import_it else tuple(table)
    for name in taken:
        if name not in table:
            raise ConfigError(f"{loss.path}.takes names {name!r}; accepted are {', '.join(table)}")
    with open_dict(cfg):
        for name in taken:
            if name not in cfg.loss:
                cfg.loss[name] = table[name]
        if import_it:
            cfg.kinds.with_teacher = any(part.says("needs_teacher") for part in losses_of(cfg))


def is_taken_by_own_penalty(cfg: DictConfig, address: str) -> bool:
    """True for ``config.regularizer.NAME.ARGUMENT`` of a penalty that is not of the package and takes the argument."""
    names = address.split(".")
    if names[:2] != ["config", "regularizer"] or len(names) != 4:
        return False
    reg = str(OmegaConf.select(cfg, f"config.regularizer.{names[2]}.reg") or names[2])
    path = str(OmegaConf.select(cfg, f"catalog.regularizer.{reg}") or reg)
    if path.startswith("splade.") or "." not in path:
        return False
    try:
        accepted = accepted_arguments(located(path))
    except (ImportError, AttributeError, ValueError, TypeError):
        return True  # the path is complained of when it is made
    return accepted is None or names[3] in accepted


def kind_of(cfg: DictConfig, node: str) -> str:
    """The chosen ``kinds.NODE``; empty where the config does not say (a command that needs it will)."""
    try:
        return str(cfg.kinds[node])
    except OmegaConfBaseException:
        return ""
