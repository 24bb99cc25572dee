"""Models and tokenizers from local folders or the model hub, with errors in words.

Everything is loaded from a folder: a hub name is first resolved to the folder of its download. Weights
are widened to float32 whatever the file holds.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
)
from transformers.utils import logging as transformers_logging

from splade.files import InputError
from splade.models.backbones.adapters import base_of, has_adapter_files, load_merged
from splade.models.backbones.layouts import supported_architectures

HEADS = ("pretrained", "tied_identity", "new")
LOADED_AS = {
    AutoModel: "an encoder",
    AutoModelForCausalLM: "a decoder language model",
    AutoModelForMaskedLM: "a masked language model",
}
LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "*.bpe.model")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
SMALL_FILES = ["*.json", "*.txt", "*.model"]
WEIGHT_FILES = ["pytorch_model*.bin", "adapter_model.bin"]
NO_CODE = {"trust_remote_code": False}
"""No code that comes with a model is run, and nobody is asked whether it should be."""
OF_SENTENCEPIECE = ("sentencepiece", "google.protobuf")
"""The packages that read a tokenizer of SentencePiece where there is no tokenizer.json."""


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Transformers' own loading reports and bars kept off the console for the time of the block."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def folder_of(source: str | Path) -> Path:
    """The local folder that ``source`` is, or that the hub model of this name was downloaded to.

    Raises InputError where it is neither a folder nor a hub name, or cannot be downloaded.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if not HUB_NAME.fullmatch(str(source)) or str(source).startswith("."):
        raise InputError(f"{source}: no such model folder, and not the name of a hub model (owner/name) either")
    try:
        with quiet_loading():
            downloaded = Path(snapshot_download(str(source), allow_patterns=[*SMALL_FILES, "*.safetensors"]))
            if not list(downloaded.glob("*.safetensors")):
                downloaded = Path(snapshot_download(str(source), allow_patterns=[*SMALL_FILES, *WEIGHT_FILES]))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{source}: there is no local folder of this name, and it could not be fetched from the model hub "
            f"({_first_line(error)}). Give the path of a local folder, or check the name and the connection"
        ) from error
    return downloaded


def load_mlm(folder: Path, *, allow_new_head: bool = False, tie: bool = False) -> Any:
    """The masked or decoder language model in ``folder``, in float32 and evaluation mode.

    ``tie`` makes the head share the word embeddings. Raises InputError where the folder cannot be
    loaded, where weights of the encoder are missing, and, unless ``allow_new_head``, where the head's are.
    """
    options = {"tie_word_embeddings": True} if tie else {}
    model, missing = _load(_kind_of(folder), folder, options)
    prefix = f"{model.base_model_prefix}."
    _refuse_missing_encoder(folder, [name for name in missing if name.startswith(prefix)])
    head = [name for name in missing if not name.startswith(prefix)]
    if head and not allow_new_head:
        raise InputError(
            f"{folder}: these weights hold no trained {_words(model.config)} head ({_some(head)} would be newly "
            "initialised, so every term weight would be noise). Use a folder saved with its head, "
            "or set init_dict.head=tied_identity (with init_dict.pool_special_tokens=false) to start from an "
            "encoder without a head, or init_dict.head=new to train a fresh one"
        )
    return model


def load_base(folder: Path) -> Any:
    """The encoder in ``folder`` without any head or pooler, in float32 and evaluation mode."""
    model, missing = _load(AutoModel, folder, {})
    _refuse_missing_encoder(folder, [name for name in missing if not name.startswith("pooler.")])
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # not read, and left in it would be an unused set of weights
    return model


def load_tokenizer(source: str | Path) -> Any:
    """The fast tokenizer of a folder or hub name; InputError where it has none."""
    folder = folder_of(source)
    if not has_tokenizer(folder) and has_adapter_files(folder):
        folder = base_of(folder, folder_of)
    if not has_tokenizer(folder):
        raise InputError(
            f"{folder}: no tokenizer here (looked for {', '.join(TOKENIZER_FILES)}); save the model's tokenizer "
            "into the folder, or name one in config.tokenizer_type"
        )
    check_sentencepiece(folder)
    try:
        with quiet_loading():
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, **NO_CODE)
    except LOAD_ERRORS as error:
        raise InputError(f"{folder}: the tokenizer cannot be loaded: {reason_of(error)}") from error
    if tokenizer.pad_token is None:  # padding is masked, so that any token will do
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.bos_token or tokenizer.unk_token
    return tokenizer


def has_tokenizer(folder: Path) -> bool:
    """True where the folder holds a tokenizer's vocabulary."""
    return any(next(folder.glob(pattern), None) for pattern in TOKENIZER_FILES)


def check_sentencepiece(folder: Path) -> None:
    """InputError where the folder has a tokenizer of SentencePiece alone, and a package that reads it is missing."""
    if any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt", "vocab.json")):
        return
    patterns = ("*.bpe.model", "spiece.model", "tokenizer.model")
    model = next((path for pattern in patterns for path in folder.glob(pattern)), None)
    missing = [name for name in OF_SENTENCEPIECE if not _installed(name)]
    if model is not None and missing:
        packages = " ".join(name.rpartition(".")[2] for name in missing)
        raise InputError(
            f"{folder}: its tokenizer is {model.name} alone, of SentencePiece, which is read with other packages: "
            f"pip install {packages}, or save a tokenizer.json into the folder where they are installed "
            "(AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))"
        )


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package above
        return False


def position_limit(model: Any) -> int | None:
    """The most tokens that a model has positions for; None where it sets no limit."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        return None
    table = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return limit if padding is None else limit - padding - 1  # RoBERTa counts positions from padding_idx + 1


def is_causal_lm(config: Any) -> bool:
    """True where a model of this config is a decoder language model and not a masked one."""
    kind = type(config)
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING


def _kind_of(folder: Path) -> Any:
    """The class that loads the language model in ``folder``; where that cannot be told, the usual one complains."""
    if has_adapter_files(folder):
        folder = base_of(folder, folder_of)
    try:
        config = AutoConfig.from_pretrained(folder, **NO_CODE)
    except LOAD_ERRORS:
        return AutoModelForMaskedLM
    return AutoModelForCausalLM if is_causal_lm(config) else AutoModelForMaskedLM


def _words(config: Any) -> str:
    return "language-model" if is_causal_lm(config) else "masked-language-model"


def _load(kind: Any, folder: Path, options: dict[str, Any]) -> tuple[Any, list[str]]:
    """The model, and the names of the weights that its files do not hold."""
    base = base_of(folder, folder_of) if has_adapter_files(folder) else folder

    def load(plain: Path) -> tuple[Any, dict[str, Any]]:
        loaded: tuple[Any, dict[str, Any]] = kind.from_pretrained(plain, output_loading_info=True, **options, **NO_CODE)
        return loaded

    if not (base / "config.json").is_file():
        raise InputError(f"{base}: not a model folder: it has no config.json")
    try:
        with quiet_loading():
            model, report = load_merged(folder, base, load) if has_adapter_files(folder) else load(folder)
    except LOAD_ERRORS as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{folder}: cannot be loaded as {LOADED_AS[kind]}: {reason_of(error)}. Architectures with a known head "
            f"are {supported_architectures()}; others that transformers loads as language models work more slowly"
        ) from error
    return model.float().eval(), sorted(report["missing_keys"])


def _refuse_missing_encoder(folder: Path, missing: list[str]) -> None:
    if missing:
        raise InputError(
            f"{folder}: weights of the encoder itself are missing ({_some(missing)}); the folder is damaged, or "
            "its config.json names another architecture than its weights were saved from"
        )


def _some(names: Iterable[str], shown: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def reason_of(error: BaseException) -> str:
    """The first line of an error of transformers, and our own words where the model's own code would have to run."""
    if "trust_remote_code" in str(error):
        return (
            "it comes with code of its own (auto_map in its configuration), and no code of a model is run here; use a "
            "model whose architecture transformers has"
        )
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
