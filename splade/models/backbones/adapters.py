"""Folders that hold adapters of peft (``adapter_config.json``) beside, or in place of, a model's weights.

Adapters are merged into the weights of the model that they were trained for. A model with adapters is then used and
trained on as any other. Without peft, or with the adapters of another model, the folder is refused.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from splade.files import InputError, read_json
from splade.models.backbones.lora import PREFIX, merge

CONFIG, WEIGHTS = "adapter_config.json", ("adapter_model.safetensors", "adapter_model.bin")
MODEL_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")

Loaded = tuple[Any, dict[str, Any]]
"""A transformers model, and its report on loading."""


def has_adapter_files(folder: str | Path) -> bool:
    """True where the folder holds the configuration file of adapters that the package peft saved."""
    return (Path(folder) / CONFIG).is_file()


def base_of(folder: Path, find: Callable[[str], Path]) -> Path:
    """The folder of the weights that the adapters of ``folder`` change: itself, or the model that they name.

    ``find`` gives the folder of a name; InputError where no model is named.
    """
    if (folder / "config.json").is_file() and any(next(folder.glob(pattern), None) for pattern in MODEL_WEIGHTS):
        return folder
    named = read_json(folder / CONFIG).get("base_model_name_or_path")
    if not named:
        raise InputError(
            f"{folder / CONFIG}: names no base_model_name_or_path, and there are no weights of a model beside the "
            "adapters; name the model there, or merge the adapters into it and save that"
        )
    try:
        return find(str(named))
    except InputError as error:
        raise InputError(f"{folder / CONFIG}: base_model_name_or_path: {error}") from error


def load_merged(folder: Path, base: Path, load: Callable[[Path], Loaded]) -> Loaded:
    """Load the model of the folder ``base`` by ``load`` and merge the adapters in ``folder`` into its weights.

    InputError where peft is missing, or where the adapters cannot be merged or are of another model.
    """
    try:
        from peft import PeftConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
    except ImportError as error:
        raise InputError(
            f"{folder}: holds adapters ({CONFIG}), which need the package peft: pip install 'splade[lora]', or merge "
            "them into the model and name that folder"
        ) from error
    saved = _saved(folder)
    with _without_adapters(base) as plain:
        model, report = load(plain)
    own = model.state_dict()
    whole = {name: weight for name, weight in saved.items() if name in own}  # parts that were trained themselves
    parts = {name: weight for name, weight in saved.items() if name not in own}
    _check_places(folder, base, model, parts)
    try:
        model.load_state_dict(whole, strict=False)
        config = PeftConfig.from_pretrained(str(folder))
        if getattr(config, "modules_to_save", None):
            config.modules_to_save = None  # they are among the whole ones
        inject_adapter_in_model(config, model)
        known = set(get_peft_model_state_dict(model))
        set_peft_model_state_dict(model, parts)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:200]
        raise InputError(f"{folder}: its adapters cannot be merged into {base}: {reason}") from error
    if parts.keys() - known:
        raise InputError(f"{folder}: {CONFIG} says nothing of {min(parts.keys() - known)}, which its weights hold")
    if known - parts.keys():
        raise InputError(
            f"{folder}: the weights of its adapters are not complete: {min(known - parts.keys())} is missing"
        )
    missing = [name for name in report["missing_keys"] if name not in whole]
    return merge(model), {**report, "missing_keys": missing}


def _check_places(folder: Path, base: Path, model: Any, parts: Iterable[str]) -> None:
    """InputError where ``model``, loaded from ``base``, has no layer of a name that low-rank weights are for."""
    layers = {name for name, _ in model.named_modules()}
    lost = [name for name in parts if ".lora_" in name and name.partition(".lora_")[0] not in layers]
    if lost:
        raise InputError(
            f"{folder}: its adapters are of another model than {base}, loaded as {type(model).__name__}: that has no "
            f"place for {min(lost)}"
        )


@contextmanager
def _without_adapters(base: Path) -> Iterator[Path]:
    """``base``, or links to its files without adapters, which transformers would load unmerged."""
    if not has_adapter_files(base):
        yield base
        return
    with tempfile.TemporaryDirectory(prefix="splade-base-") as scratch:
        for path in base.iterdir():
            if path.is_file() and not path.name.startswith("adapter_"):
                try:
                    (Path(scratch) / path.name).symlink_to(path.resolve())
                except OSError:  # a system without links
                    shutil.copy(path, scratch)
        yield Path(scratch)


def _saved(folder: Path) -> dict[str, Tensor]:
    """The weights in an adapter's file, by their names in the model that was adapted."""
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise InputError(f"{folder}: {CONFIG} is here, and none of {', '.join(WEIGHTS)}: the adapters are missing")
    try:
        found = (
            torch.load(path, map_location="cpu", weights_only=True) if path.suffix == ".bin" else load_file(path)
        )  # fmt: skip
    except Exception as error:  # torch raises many types for damaged files
        raise InputError(f"{path}: the adapters cannot be read: {error}") from error
    return {str(name).removeprefix(PREFIX): weight for name, weight in found.items()}
