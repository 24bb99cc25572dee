"""Reading the folders that Sentence Transformers writes for a dense model, a ``SentenceTransformer``.

Its vectors are compared as the folder says: by inner product, or by the cosine, which is the inner product of vectors
of unit length.
"""

from pathlib import Path
from typing import Any

from splade.files import InputError
from splade.models.saving.modules_json import (
    CONFIG,
    MODULES,
    Module,
    length_of,
    modules_of,
    names_of,
    prompts_of,
    refuse_default_prompt,
    settings_in,
    side_prompts,
    transformer_file,
)

POOLINGS = ("mean", "cls")
LEGACY = {  # how a pooling was named, before it had one name
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
TEXT = {"method": "forward", "method_output_name": "last_hidden_state"}
"""What a pooling reads of a transformer."""
NORMALIZE = "config.matching_type=dense init_dict.normalize"


def read_dense(folder: Path) -> tuple[dict[str, Any], str]:
    """The keyword arguments of ``Dense`` that compute the same vectors, and a remark on how they are compared.

    Accepts a transformer followed by ``Pooling`` (mean or cls), and by ``Normalize`` or not. A model that is compared
    by cosine gets ``normalize``, with or without that module. Raises InputError, with what was found, for other
    modules and poolings, a default prompt, shortened vectors, and distances.
    """
    modules = modules_of(folder)
    if [module.kind for module in modules] not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise InputError(
            f"{folder / MODULES}: holds {names_of(modules)}; of dense models, only Transformer then Pooling, with or "
            "without Normalize, can be read; of sparse ones, only a masked language model followed by SpladePooling, "
            "or a Router alone"
        )
    config = settings_in(folder / CONFIG)
    refuse_default_prompt(folder, config)
    if config.get("truncate_dim"):
        raise InputError(
            f"{folder / CONFIG}: truncate_dim={config['truncate_dim']} shortens vectors, which is not supported; "
            "remove it there, to have them whole"
        )
    normalize, remark = _comparison(folder, config, has_module=_normalizes(modules[2:]))
    transformer = modules[0].folder
    settings = {
        "model_type_or_dir": transformer,
        "pooling": _pooling(modules[1].folder, config),
        "normalize": normalize,
        "max_length": _length(transformer),
        **side_prompts(config),
    }
    return settings, remark


def _comparison(folder: Path, config: dict[str, Any], *, has_module: bool) -> tuple[bool, str]:
    """Tell whether vectors have unit length, so that inner products are what the folder compares by; and a remark."""
    name = config.get("similarity_fn_name")
    if name not in (None, "cosine", "dot"):
        raise InputError(
            f"{folder / CONFIG}: similarity_fn_name {name!r} is not an inner product; scores here are inner products. "
            "Set it to 'dot' or, for vectors of unit length, to 'cosine'"
        )
    if has_module or name == "dot":
        return has_module, ""
    if name == "cosine":
        return True, (
            f"{folder} compares by cosine and has no Normalize module: its vectors are made of unit length, so that "
            f"the inner product is the cosine. For those that its modules make: {NORMALIZE}=false"
        )
    return False, (
        f"{folder} has no Normalize module and names no similarity_fn_name: its vectors are compared by inner product. "
        f"For the cosine: {NORMALIZE}=true"
    )


def _normalizes(modules: list[Module]) -> bool:
    """True where there is a ``Normalize``, of the vectors of texts."""
    for module in modules:
        path = module.folder / "config.json"
        for name, value in settings_in(path).items():
            if name in ("module_input_name", "module_output_name") and value not in (None, "sentence_embedding"):
                raise InputError(f"{path}: {name} {value!r} is not the vector of a text; only that can be read")
    return bool(modules)


def _pooling(folder: Path, config: dict[str, Any]) -> str:
    """The name that both have for a pooling."""
    path = folder / "config.json"
    settings = settings_in(path)
    named = settings.get("pooling_mode") or [mode for key, mode in LEGACY.items() if settings.get(key)] or "mean"
    modes = named if isinstance(named, list) else [named]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise InputError(f"{path}: pools by {' and '.join(map(str, modes))}; only {' or '.join(POOLINGS)} can be read")
    if not settings.get("include_prompt", True) and prompts_of(config):
        raise InputError(f"{path}: include_prompt=false leaves prompts out of the pooling, which is not supported")
    return str(modes[0])


def _length(folder: Path) -> int:
    """The most tokens of a text, of a transformer whose last hidden states are read."""
    path = transformer_file(folder)
    settings = settings_in(path)
    kinds = settings.get("modality_config") or {}
    text = kinds.get("text", TEXT) if isinstance(kinds, dict) else kinds
    if text != TEXT or settings.get("module_output_name", "token_embeddings") != "token_embeddings":
        raise InputError(f"{path}: texts are not read from the last hidden states of the transformer, as they are here")
    return length_of(folder, task="feature-extraction")
