"""The toy data in a command that is meant for other data: told before the work, not found out afterwards."""

from collections.abc import Collection, Sequence

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from splade.config.checking.blame import resolved_texts
from splade.config.checking.reads import reads
from splade.config.checking.settings import Settings
from splade.config.checking.wiring import values_of, wired_names
from splade.config.composing.choose import DEFAULT, Choice, conf_dir, toy_dir
from splade.config.composing.compose import Groups, given_by

DATA = ("data.", "hf.data.", "rerank_collection.", "rerank_runs.")
MODELS = ("init_dict.model_type_or_dir", "init_dict.model_type_or_dir_q", "config.teacher.model")
MADE = ("config.checkpoint_dir", "config.index_dir")  # inputs of a command that does not write them


def toy_by_default(
    cfg: DictConfig, choice: Choice, overrides: Sequence[Override], needs: Sequence[str], writes: Collection[str]
) -> str | None:
    """A sentence where a command reads toy data that nobody asked for, beside a model or other data that somebody did.

    Asked for is what an override gives, and all that a config of the user's own holds; a shipped config with toy data
    says so in its name, but for the default one. ``needs`` are the wired nodes that the command reads, ``writes`` the
    addresses of the folders that it writes. None where there is nothing to tell.
    """
    shipped = choice.directory == conf_dir()
    if shipped and choice.name != DEFAULT:
        return None
    given = given_by(overrides, Groups([choice.directory, conf_dir()]))
    settings, named, toys = Settings.shipped(), [], []
    for address, text in dict.fromkeys(resolved_texts(values_of(cfg), cfg)):
        setting = settings.find(address)
        is_data = address.startswith(DATA) and setting is not None and "path" in setting.kind
        is_given = any(f"{address}.".startswith(f"{each}.") for each in given)
        if _is_toy(text):
            toys += [address] if is_data and not is_given else []
        elif is_data or address in MODELS or (address in MADE and address not in writes):
            named += [f"{address}={text}"] if is_given or not shipped else []
    if not (named and toys):
        return None
    found = reads(cfg, needs, wired_names())
    named = [each for each in named if found.of(each.partition("=")[0])]
    toys = [each for each in dict.fromkeys(toys) if found.of(each)]
    if not (named and toys):
        return None
    return (
        f"THE TOY DATA THAT COME WITH SPLADE ARE IN USE: no other data are named at {', '.join(toys)}, and the config "
        f"has {', '.join(named)}. Name your own data there ({toys[0]}=PATH), unless the toy data are meant"
    )


def _is_toy(text: str) -> bool:
    return text == str(toy_dir()) or text.startswith(f"{toy_dir()}/")
