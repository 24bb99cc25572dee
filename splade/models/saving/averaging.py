"""One model of several: the average of their weights, for checkpoints of one training or of trainings alike."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from splade.files import InputError
from splade.models.retrievers.base import Retriever
from splade.models.saving.checkpoint import DESCRIPTION, load_retriever

SHOWN = 3  # differences that an error lists


def average_models(folders: Sequence[str | Path], weights: Sequence[float] | None = None) -> Retriever:
    """The model whose weights are the average of those in ``folders``, each weighed by ``weights`` (default: equally).

    A folder is a model's or a training's (its ``model/`` is taken). Sums are float64; whole numbers, which are no
    weights, are taken from the first. InputError where models differ in kind, settings, vocabulary or shapes.
    """
    shares = _shares(folders, weights)
    paths = [model_folder(folder) for folder in folders]
    model = load_retriever(paths[0])
    sums = {name: value.double() * shares[0] for name, value in _floating(model).items()}
    for path, share in zip(paths[1:], shares[1:], strict=True):
        other = load_retriever(path)
        _check_alike(model, paths[0], other, path)
        for name, value in _floating(other).items():
            sums[name] += value.double() * share
    kept = model.state_dict()
    model.load_state_dict({name: sums[name].to(value.dtype) if name in sums else value for name, value in kept.items()})
    named = [{"model": str(path), "weight": share} for path, share in zip(paths, shares, strict=True)]
    model.extra = {"averaged": named}
    return model


def _shares(folders: Sequence[str | Path], weights: Sequence[float] | None) -> list[float]:
    """Weights that sum to 1, one for each folder."""
    if len(folders) < 2:
        raise InputError(f"config.average.checkpoints has {len(folders)} entries: an average takes two or more")
    given = [1.0] * len(folders) if weights is None else [float(weight) for weight in weights]
    if len(given) != len(folders):
        raise InputError(
            f"config.average.weights has {len(given)} numbers for {len(folders)} checkpoints: give one for each"
        )
    for weight in given:
        if not (math.isfinite(weight) and weight > 0):
            raise InputError(f"config.average.weights must be finite numbers above 0, got {weight}")
    return [weight / sum(given) for weight in given]


def model_folder(folder: str | Path) -> Path:
    """``folder`` or, where it is a training's, the ``model/`` in it."""
    inner = Path(folder) / "model"
    return inner if (inner / DESCRIPTION).is_file() else Path(folder)


def _floating(model: Retriever) -> dict[str, Tensor]:
    with torch.no_grad():
        return {name: value for name, value in model.state_dict().items() if value.is_floating_point()}


def _check_alike(first: Retriever, where: Path, other: Retriever, path: Path) -> None:
    both = f"config.average.checkpoints: {where} and {path}"
    if type(first) is not type(other):
        raise InputError(f"{both} are of two kinds, {type(first).__name__} and {type(other).__name__}")
    one, two = first.settings(), other.settings()
    differing = [
        f"{key} {one.get(key)!r} and {two.get(key)!r}" for key in {**one, **two} if one.get(key) != two.get(key)
    ]
    if differing:
        raise InputError(f"{both} make vectors in two ways: {', '.join(differing[:SHOWN])}")
    if first.tokenizer("document").get_vocab() != other.tokenizer("document").get_vocab():
        raise InputError(f"{both} have two vocabularies: their term numbers mean different words")
    shapes = [{name: tuple(value.shape) for name, value in model.state_dict().items()} for model in (first, other)]
    names = [name for name in {**shapes[0], **shapes[1]} if shapes[0].get(name) != shapes[1].get(name)]
    if names:
        told = ", ".join(f"{name} {shapes[0].get(name)} and {shapes[1].get(name)}" for name in names[:SHOWN])
        raise InputError(f"{both} have two architectures: {told}")
