"""Reading the folders that Sentence Transformers writes for a ``SparseEncoder``, version 5 or 6."""

from pathlib import Path
from typing import Any, NamedTuple

from splade.files import InputError, read_json
from splade.models.backbones.loading import load_tokenizer
from splade.models.saving.sparse_encoder_files import THEIR_ACTIVATION

OUR_ACTIVATION = {theirs: ours for ours, theirs in THEIR_ACTIVATION.items()}
TRANSFORMERS = ("MLMTransformer", "Transformer")
MANY_TOKENS = 1 << 20  # where a tokenizer sets no limit
FOREIGN = ("query_expansion", "processing_kwargs")
"""Settings of a transformer that change the tokens of a text in ways that are not known here."""


SPARSE = ("SpladePooling", "SparseStaticEmbedding", "SparseAutoEncoder", "Router", "Asym")
"""Modules that make a folder a ``SparseEncoder``, and no dense model."""


class Module(NamedTuple):
    """One step of a ``SparseEncoder``: the last part of its class's name, and its folder."""

    kind: str
    folder: Path


def read_sparse_encoder(folder: Path) -> tuple[str, dict[str, Any]]:
    """The class name and the keyword arguments (with ``model_type_or_dir``) that compute the same vectors.

    Accepts a masked language model followed by ``SpladePooling``, and a ``Router`` with such a side for documents and
    another, or a ``SparseStaticEmbedding``, for queries. Raises InputError, with the modules found, for
    anything else, and for a default prompt or lower-casing, which would change the texts.
    """
    config = _settings(folder / "config_sentence_transformers.json")
    _refuse_default_prompt(folder, config)
    sides = _sides(folder)
    settings = _document_side(sides["document"]) | {
        f"prompt_{side[0]}": text for side, text in _prompts(config).items() if side in ("query", "document")
    }
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


def is_sparse_encoder(folder: Path) -> bool:
    """True where the modules of a Sentence Transformers folder give sparse vectors, and are not a dense model's."""
    return any(module.kind in SPARSE for module in _modules(folder))


def module_names(folder: Path) -> str:
    """The modules of a folder of theirs, in words."""
    return _named(_modules(folder))


def _sides(folder: Path) -> dict[str, list[Module]]:
    """The modules that texts of each side go through."""
    modules = _modules(folder)
    if [module.kind for module in modules] in (["Router"], ["Asym"]):
        return _routes(modules[0].folder)
    if not _is_splade(modules):
        raise InputError(
            f"{folder / 'modules.json'}: holds {_named(modules)}; only a masked language model "
            f"({' or '.join(TRANSFORMERS)}) followed by SpladePooling, or a Router alone, can be read"
        )
    return {"query": modules, "document": modules}


def _modules(folder: Path) -> list[Module]:
    """The modules that ``modules.json`` lists."""
    modules = read_json(folder / "modules.json")
    try:
        return [Module(_last(module["type"]), folder / str(module["path"])) for module in modules]
    except (TypeError, KeyError) as error:
        raise InputError(f"{folder / 'modules.json'}: not a list of modules with 'type' and 'path'") from error


def _routes(folder: Path) -> dict[str, list[Module]]:
    """The routes of a Router, each with modules that can be read."""
    path = folder / "router_config.json"
    router = _settings(path if path.is_file() else folder / "config.json")
    try:
        types = router["types"]
        routes = {
            str(side): [Module(_last(types[name]), folder / str(name)) for name in names]
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
                f"{path}: its {side} side is {_named(modules)}; only a masked language model followed by SpladePooling "
                "can be read, and for queries SparseStaticEmbedding alone"
            )
    return routes


def _document_side(modules: list[Module]) -> dict[str, Any]:
    transformer, pooling = (module.folder for module in modules)
    return {"model_type_or_dir": transformer, **_pooling(pooling), "max_length": _length(transformer)}


def _query_side(modules: list[Module], documents: list[Module]) -> dict[str, Any]:
    """As :func:`_document_side`, for a query side that is not the same."""
    transformer, pooling = (module.folder for module in modules)
    own: dict[str, Any] = {f"{name}_q": value for name, value in _pooling(pooling).items()}
    if transformer != documents[0].folder:
        own |= {"model_type_or_dir_q": transformer, "max_length_q": _length(transformer)}
    return own


def _static_side(folder: Path, module: Module, settings: dict[str, Any]) -> dict[str, Any]:
    """A table of token weights, which are those of the document model's vocabulary."""
    if settings.get("prompt_q"):
        raise InputError(
            f"{folder}: the prompt {settings['prompt_q']!r} would count as words of every query; remove it from "
            "config_sentence_transformers.json"
        )
    config = _settings(module.folder / "config.json")
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
    settings = _settings(path)
    name = settings.get("activation_function", "relu")
    if name not in OUR_ACTIVATION:
        raise InputError(f"{path}: activation_function {name!r} is not one of {', '.join(OUR_ACTIVATION)}")
    return {"agg": str(settings.get("pooling_strategy", "max")), "activation": OUR_ACTIVATION[name]}


def _length(folder: Path) -> int:
    """Their ``max_seq_length``; where it is not set, the shorter of the limits of tokenizer and model."""
    path = folder / "sentence_bert_config.json"
    transformer, tokenizer = _settings(path), load_tokenizer(folder)
    _refuse_changed_texts(path, transformer, tokenizer)
    if transformer.get("max_seq_length") is not None:
        return int(transformer["max_seq_length"])
    positions = _settings(folder / "config.json").get("max_position_embeddings")
    return min(int(tokenizer.model_max_length), int(positions or 512))


def _refuse_changed_texts(path: Path, transformer: dict[str, Any], tokenizer: Any) -> None:
    if transformer.get("do_lower_case") and tokenizer.tokenize("Word") != tokenizer.tokenize("word"):
        raise InputError(
            f"{path}: do_lower_case=true with a tokenizer that keeps capitals is not supported; use a tokenizer that "
            "lower-cases"
        )
    task = transformer.get("transformer_task", "fill-mask")
    if task != "fill-mask":
        raise InputError(f"{path}: transformer_task {task!r} gives no logits of terms; only fill-mask can be read")
    for name in FOREIGN:
        if transformer.get(name):
            raise InputError(f"{path}: {name} changes the tokens of texts, which is not supported")


def _refuse_default_prompt(folder: Path, config: dict[str, Any]) -> None:
    default = config.get("default_prompt_name")
    if default and _prompts(config).get(default):
        raise InputError(
            f"{folder}: this model puts the prompt {default!r} before texts of either side, which is not supported; "
            "name its prompts 'query' and 'document' in config_sentence_transformers.json, without a default"
        )


def _prompts(config: dict[str, Any]) -> dict[str, str]:
    """The prompts put before texts, by name; ``query`` and ``document`` are those of the sides."""
    return {str(name): str(text) for name, text in (config.get("prompts") or {}).items() if text}


def _settings(path: Path) -> dict[str, Any]:
    values = read_json(path) if path.is_file() else {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values


def _is_splade(modules: list[Module]) -> bool:
    kinds = [module.kind for module in modules]
    return len(kinds) == 2 and kinds[0] in TRANSFORMERS and kinds[1] == "SpladePooling"


def _named(modules: list[Module]) -> str:
    return " then ".join(module.kind for module in modules) or "nothing"


def _last(path: Any) -> str:
    return str(path).rsplit(".", 1)[-1]
