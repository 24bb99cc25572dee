"""Reading the folders that Sentence Transformers writes for a ``SparseEncoder``, version 5 or 6."""

from pathlib import Path
from typing import Any

from splade.files import InputError
from splade.models.backbones.loading import load_tokenizer
from splade.models.saving.modules_json import (
    CONFIG,
    MANY_TOKENS,
    MODULES,
    Module,
    last_of,
    length_of,
    modules_of,
    names_of,
    refuse_default_prompt,
    settings_in,
    side_prompts,
)
from splade.models.saving.sparse_encoder_files import THEIR_ACTIVATION

OUR_ACTIVATION = {theirs: ours for ours, theirs in THEIR_ACTIVATION.items()}
TRANSFORMERS = ("MLMTransformer", "Transformer")
TASK = "fill-mask"
SPARSE = ("SpladePooling", "SparseStaticEmbedding", "SparseAutoEncoder", "Router", "Asym")
"""Modules that make a folder a ``SparseEncoder``, and no dense model."""


def read_sparse_encoder(folder: Path) -> tuple[str, dict[str, Any]]:
    """The class name and the keyword arguments (with ``model_type_or_dir``) that compute the same vectors.

    Accepts a masked language model followed by ``SpladePooling``, and a ``Router`` with such a side for documents and
    another, or a ``SparseStaticEmbedding``, for queries. Raises InputError, with the modules found, for
    anything else, and for a default prompt or lower-casing, which would change the texts.
    """
    config = settings_in(folder / CONFIG)
    refuse_default_prompt(folder, config)
    sides = _sides(folder)
    settings = _document_side(sides["document"]) | side_prompts(config)
    kind = "Splade"
    if [module.kind for module in sides["query"]] == ["SparseStaticEmbedding"]:
        kind = "SpladeIdf"
        settings |= _static_side(folder, sides["query"][0], settings)
    elif sides["query"] != sides["document"]:
        settings |= _query_side(sides["query"], sides["document"])
    most = config.get("max_active_dims")
    if most is None:
        return kind, settings
    return "SpladeTopK" if kind == "Splade" else kind, settings | {"top_d": int(most), "top_q": int(most)}


def remark_on(folder: Path) -> str:
    """A sentence for the user where the folder compares its vectors by another number than their inner product."""
    name = settings_in(folder / CONFIG).get("similarity_fn_name")
    if name in (None, "dot"):
        return ""
    return f"{folder} names the similarity_fn_name {name!r}: its sparse vectors are compared by inner product here"


def is_sparse_encoder(folder: Path) -> bool:
    """True where the modules of a Sentence Transformers folder give sparse vectors, and are not a dense model's."""
    return any(module.kind in SPARSE for module in modules_of(folder))


def module_names(folder: Path) -> str:
    """The modules of a folder of theirs, in words."""
    return names_of(modules_of(folder))


def _sides(folder: Path) -> dict[str, list[Module]]:
    """The modules that texts of each side go through."""
    modules = modules_of(folder)
    if [module.kind for module in modules] in (["Router"], ["Asym"]):
        return _routes(modules[0].folder)
    if not _is_splade(modules):
        raise InputError(
            f"{folder / MODULES}: holds {names_of(modules)}; only a masked language model "
            f"({' or '.join(TRANSFORMERS)}) followed by SpladePooling, or a Router alone, can be read"
        )
    return {"query": modules, "document": modules}


def _routes(folder: Path) -> dict[str, list[Module]]:
    """The routes of a Router, each with modules that can be read."""
    path = folder / "router_config.json"
    router = settings_in(path if path.is_file() else folder / "config.json")
    try:
        types = router["types"]
        routes = {
            str(side): [Module(last_of(types[name]), folder / str(name)) for name in names]
            for side, names in router["structure"].items()
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: not a Router with 'types' and 'structure'") from error
    if set(routes) != {"query", "document"}:
        raise InputError(f"{path}: has the routes {', '.join(routes)}; 'query' and 'document' can be read")
    is_static = [module.kind for module in routes["query"]] == ["SparseStaticEmbedding"]
    for side, modules in routes.items():
        if not (_is_splade(modules) or (side == "query" and is_static)):
            raise InputError(
                f"{path}: its {side} side is {names_of(modules)}; only a masked language model followed by "
                "SpladePooling can be read, and for queries SparseStaticEmbedding alone"
            )
    return routes


def _document_side(modules: list[Module]) -> dict[str, Any]:
    transformer, pooling = (module.folder for module in modules)
    return {"model_type_or_dir": transformer, **_pooling(pooling), "max_length": length_of(transformer, task=TASK)}


def _query_side(modules: list[Module], documents: list[Module]) -> dict[str, Any]:
    """As :func:`_document_side`, for a query side that is not the same."""
    transformer, pooling = (module.folder for module in modules)
    own: dict[str, Any] = {f"{name}_q": value for name, value in _pooling(pooling).items()}
    if transformer != documents[0].folder:
        own |= {"model_type_or_dir_q": transformer, "max_length_q": length_of(transformer, task=TASK)}
    return own


def _static_side(folder: Path, module: Module, settings: dict[str, Any]) -> dict[str, Any]:
    """A table of token weights, which are those of the document model's vocabulary."""
    if settings.get("prompt_q"):
        raise InputError(
            f"{folder}: the prompt {settings['prompt_q']!r} would count as words of every query; remove it from "
            "config_sentence_transformers.json"
        )
    config = settings_in(module.folder / "config.json")
    tokenizer = load_tokenizer(module.folder)
    documents = load_tokenizer(settings["model_type_or_dir"]).get_vocab()
    tokens = {token: term for token, term in tokenizer.get_vocab().items() if term < len(documents)}
    if tokens != documents:  # more tokens are names of the terms of a padded head
        raise InputError(
            f"{module.folder}: its tokenizer has another vocabulary than the document model's; term ids would mean "
            "different words"
        )
    length = min(int(tokenizer.model_max_length), MANY_TOKENS) + tokenizer.num_special_tokens_to_add()
    frozen = bool(config.get("frozen", False))
    return {"idf": _table(folder, module.folder, config), "train_idf": not frozen, "max_length_q": length}


def _table(folder: Path, module: Path, config: dict[str, Any]) -> Path:
    """Find the weights of a ``SparseStaticEmbedding``: in its folder, or in the JSON file that it names."""
    named = str(config.get("path") or "")
    if not named.endswith(".json"):
        return module
    places = [module / named, folder / named, folder / Path(named).name, Path(named)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(f"{module / 'config.json'}: names the table {named!r}, and there is no such file beside it")
    return found


def _pooling(folder: Path) -> dict[str, str]:
    path = folder / "config.json"
    settings = settings_in(path)
    name = settings.get("activation_function", "relu")
    if name not in OUR_ACTIVATION:
        raise InputError(f"{path}: activation_function {name!r} is not one of {', '.join(OUR_ACTIVATION)}")
    return {"agg": str(settings.get("pooling_strategy", "max")), "activation": OUR_ACTIVATION[name]}


def _is_splade(modules: list[Module]) -> bool:
    kinds = [module.kind for module in modules]
    return len(kinds) == 2 and kinds[0] in TRANSFORMERS and kinds[1] == "SpladePooling"
