"""Reading the folders that Sentence Transformers writes for a ``SparseEncoder``, version 5 or 6."""

from pathlib import Path
from typing import Any

from splade.files import InputError, read_json
from splade.models.loading import load_tokenizer

ACTIVATION_BEFORE_LOG = {"relu": "log1p_relu", "log1p_relu": "log1p_log1p_relu"}
"""Their ``activation_function`` names what stands inside a final log1p; ours names the whole."""

TRANSFORMERS = ("MLMTransformer", "Transformer")


def read_sparse_encoder(folder: Path) -> tuple[str, dict[str, Any]]:
    """The class name and the keyword arguments (with ``model_type_or_dir``) that compute the same vectors.

    Accepts a masked language model followed by ``SpladePooling``. Raises InputError, saying what is
    there, for anything else, and for a default prompt or lower-casing, which would change the texts.
    """
    pooling_folder, model_folder = _modules(folder)
    pooling = _settings(pooling_folder / "config.json")
    config = _settings(folder / "config_sentence_transformers.json")
    transformer = _settings(model_folder / "sentence_bert_config.json")
    tokenizer = load_tokenizer(model_folder)
    _refuse_changed_texts(folder, config, transformer, tokenizer)
    settings = {
        "model_type_or_dir": model_folder,
        "agg": pooling.get("pooling_strategy", "max"),
        "activation": _activation(pooling_folder / "config.json", pooling.get("activation_function", "relu")),
        "max_length": _length(model_folder, transformer, tokenizer),
        **{f"prompt_{side[0]}": text for side, text in _prompts(config).items() if side in ("query", "document")},
    }
    most = config.get("max_active_dims")
    if most is None:
        return "Splade", settings
    return "SpladeTopK", settings | {"top_d": int(most), "top_q": int(most)}


def _modules(folder: Path) -> tuple[Path, Path]:
    """The folders of the pooling and of the transformer that ``modules.json`` lists."""
    modules = read_json(folder / "modules.json")
    try:
        kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
        paths = [folder / str(module["path"]) for module in modules]
    except (TypeError, KeyError) as error:
        raise InputError(f"{folder / 'modules.json'}: not a list of modules with 'type' and 'path'") from error
    if len(kinds) != 2 or kinds[0] not in TRANSFORMERS or kinds[1] != "SpladePooling":
        raise InputError(
            f"{folder / 'modules.json'}: holds {' then '.join(kinds)}; only a masked language model "
            f"({' or '.join(TRANSFORMERS)}) followed by SpladePooling can be read"
        )
    return paths[1], paths[0]


def _settings(path: Path) -> dict[str, Any]:
    values = read_json(path) if path.is_file() else {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(values).__name__}")
    return values


def _activation(path: Path, name: Any) -> str:
    if name not in ACTIVATION_BEFORE_LOG:
        raise InputError(f"{path}: activation_function {name!r} is not one of {', '.join(ACTIVATION_BEFORE_LOG)}")
    return ACTIVATION_BEFORE_LOG[name]


def _length(model_folder: Path, transformer: dict[str, Any], tokenizer: Any) -> int:
    """Their ``max_seq_length``; where it is not set, the shortest of what tokenizer and model allow."""
    if transformer.get("max_seq_length") is not None:
        return int(transformer["max_seq_length"])
    positions = _settings(model_folder / "config.json").get("max_position_embeddings")
    return min(int(tokenizer.model_max_length), int(positions or 512))


def _prompts(config: dict[str, Any]) -> dict[str, str]:
    """What is put before texts, by name: ``query`` and ``document`` for the sides."""
    return {str(name): str(text) for name, text in (config.get("prompts") or {}).items() if text}


def _refuse_changed_texts(folder: Path, config: dict[str, Any], transformer: dict[str, Any], tokenizer: Any) -> None:
    default = config.get("default_prompt_name")
    if default and _prompts(config).get(default):
        raise InputError(
            f"{folder}: this model puts the prompt {default!r} before texts of either side, which is not supported; "
            "name its prompts 'query' and 'document' in config_sentence_transformers.json, without a default"
        )
    if transformer.get("do_lower_case") and tokenizer.tokenize("Word") != tokenizer.tokenize("word"):
        raise InputError(
            f"{folder / 'sentence_bert_config.json'}: do_lower_case=true with a tokenizer that keeps capitals is "
            "not supported; use a tokenizer that lower-cases"
        )
