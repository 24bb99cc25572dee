"""Files that give every token of a vocabulary a weight: JSON {token: weight}, or a folder of Sentence Transformers."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from splade.files import InputError, read_json

logger = logging.getLogger(__name__)

IDF = "idf.json"  # beside a model whose queries are weighed by it (OpenSearch)
STATIC_FOLDER = "query_0_SparseStaticEmbedding"
TENSORS = "model.safetensors"


def read_table(path: Path, tokenizer: Any, vocab_size: int, address: str) -> Tensor:
    """Weights [vocab_size], float32 and ≥ 0, of ``path``; tokens that it does not name weigh nothing.

    Raises InputError, naming the config ``address``, where there is no such table, where it is of another
    vocabulary, or where a weight is negative or no number.
    """
    if not path.exists():
        raise InputError(
            f"{address}={path}: no such file; write one with python -m splade.idf, or name the idf.json of a model"
        )
    weights = _of_folder(path) if path.is_dir() else _of_json(path, tokenizer, vocab_size)
    if len(weights) > vocab_size:
        raise InputError(
            f"{path}: weights of {len(weights)} tokens, but the model has {vocab_size} terms: of another vocabulary"
        )
    if not (torch.isfinite(weights).all() and (weights >= 0).all()):
        raise InputError(f"{path}: holds weights that are negative or no numbers; a token's weight must be 0 or above")
    return torch.nn.functional.pad(weights, (0, vocab_size - len(weights)))


def _of_folder(folder: Path) -> Tensor:
    path = folder / TENSORS
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    weight = tensors.get("weight")
    if weight is None or weight.dim() != 1:
        raise InputError(f"{path}: expected one tensor 'weight' with a number for each token, found {sorted(tensors)}")
    return weight.float()


def _of_json(path: Path, tokenizer: Any, vocab_size: int) -> Tensor:
    values = read_json(path)
    if not isinstance(values, dict) or not all(_is_number(value) for value in values.values()):
        raise InputError(f"{path}: expected a JSON object of numbers by token")
    return _by_id(path, values, tokenizer.get_vocab(), vocab_size)


def _by_id(path: Path, values: Mapping[str, float], numbers: Mapping[str, int], vocab_size: int) -> Tensor:
    known = {numbers[token]: value for token, value in values.items() if token in numbers}
    if not known:
        raise InputError(f"{path}: none of its {len(values)} tokens is in the model's vocabulary; made for another one")
    if len(known) < len(values):
        unknown = next(token for token in values if token not in numbers)
        logger.warning(
            "%s: %d of %d tokens (%r) are not in the model's vocabulary and are left out",
            path, len(values) - len(known), len(values), unknown,
        )  # fmt: skip
    weights = torch.zeros(vocab_size)
    weights[torch.tensor(list(known))] = torch.tensor(list(known.values()), dtype=torch.float32)
    return weights


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
