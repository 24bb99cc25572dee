"""The files that every folder of Sentence Transformers has: its modules, their settings, lengths and prompts."""

from pathlib import Path
from typing import Any, NamedTuple

from splade.files import InputError, read_json
from splade.models.backbones.loading import load_tokenizer

MODULES, CONFIG = "modules.json", "config_sentence_transformers.json"
MANY_TOKENS = 1 << 20  # where a tokenizer sets no limit
TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""The names that the settings of a transformer have had."""
TASKS = {"fill-mask": "logits of terms", "feature-extraction": "hidden states"}
FOREIGN = ("query_expansion", "processing_kwargs")
"""Settings of a transformer that change the tokens of a text in ways that are not known here."""


class Module(NamedTuple):
    """One step of a model: the last part of its class's name, and its folder."""

    kind: str
    folder: Path


def modules_of(folder: Path) -> list[Module]:
    """The modules that ``modules.json`` lists."""
    modules = read_json(folder / MODULES)
    try:
        return [Module(last_of(module["type"]), folder / str(module["path"])) for module in modules]
    except (TypeError, KeyError) as error:
        raise InputError(f"{folder / MODULES}: not a list of modules with 'type' and 'path'") from error


def names_of(modules: list[Module]) -> str:
    """The modules, in words."""
    return " then ".join(module.kind for module in modules) or "nothing"


def last_of(path: Any) -> str:
    """The last part of a dotted name."""
    return str(path).rsplit(".", 1)[-1]


def settings_in(path: Path) -> dict[str, Any]:
    """The JSON object of a file; empty where there is no such file."""
    values = read_json(path) if path.is_file() else {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values


def prompts_of(config: dict[str, Any]) -> dict[str, str]:
    """The prompts put before texts, by name; ``query`` and ``document`` are those of the sides."""
    return {str(name): str(text) for name, text in (config.get("prompts") or {}).items() if text}


def side_prompts(config: dict[str, Any]) -> dict[str, str]:
    """``prompt_q`` and ``prompt_d`` of a model, where it has them."""
    return {f"prompt_{side[0]}": text for side, text in prompts_of(config).items() if side in ("query", "document")}


def refuse_default_prompt(folder: Path, config: dict[str, Any]) -> None:
    """InputError where a prompt goes before every text that is not given another."""
    default = config.get("default_prompt_name")
    if default and prompts_of(config).get(default):
        raise InputError(
            f"{folder}: this model puts the prompt {default!r} before texts of either side, which is not supported; "
            "name its prompts 'query' and 'document' in config_sentence_transformers.json, without a default"
        )


def transformer_file(folder: Path) -> Path:
    """The file of a transformer's settings, which need not exist."""
    places = [folder / name for name in TRANSFORMER_FILES]
    return next((place for place in places if place.is_file()), places[0])


def length_of(folder: Path, *, task: str) -> int:
    """Their ``max_seq_length``; where it is not set, the shorter of the limits of tokenizer and model.

    InputError where the transformer in ``folder`` is made for another task than ``task``, one of ``TASKS``, or where it
    changes texts as no tokenizer here does.
    """
    path = transformer_file(folder)
    transformer, tokenizer = settings_in(path), load_tokenizer(folder)
    _refuse_changed_texts(path, transformer, tokenizer)
    found = transformer.get("transformer_task", task)
    if found != task:
        raise InputError(f"{path}: transformer_task {found!r} gives no {TASKS[task]}; only {task} can be read")
    if transformer.get("max_seq_length") is not None:
        return int(transformer["max_seq_length"])
    positions = settings_in(folder / "config.json").get("max_position_embeddings")
    return min(int(tokenizer.model_max_length), int(positions or 512))


def _refuse_changed_texts(path: Path, transformer: dict[str, Any], tokenizer: Any) -> None:
    if transformer.get("do_lower_case") and tokenizer.tokenize("Word") != tokenizer.tokenize("word"):
        raise InputError(
            f"{path}: do_lower_case=true with a tokenizer that keeps capitals is not supported; use a tokenizer that "
            "lower-cases"
        )
    for name in FOREIGN:
        if transformer.get(name):
            raise InputError(f"{path}: {name} changes the tokens of texts, which is not supported")
