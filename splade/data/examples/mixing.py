"""Several sets of examples in one training, each with its share."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from splade.data.examples.examples import ExampleSource
from splade.files import InputError
from splade.records import Example

ADDRESS = "data.SETS"
ARGUMENTS = {
    "TRAIN_DATA_DIR": "directory",
    "DATASET_PATH": "scores",
    "SCORES_PATH": "scores_of",
    "Q_COLLECTION_PATH": "queries",
    "D_COLLECTION_PATH": "documents",
    "QREL_PATH": "qrels",
    "positive_first": "positive_first",
}
"""What a setting of a set is called in the constructors."""


class Mixed:
    """The examples of several sources, in shares of ``weights``; without weights, all of all of them.

    An epoch holds no example twice: with weights it ends when the first set is used up. Each place of the epoch stands
    for an equal stretch of a larger set, and every epoch draws one example of the stretch. Examples therefore stay
    functions of index and ``rng``, for any number of processes. InputError if sources differ in their documents per
    example.
    """

    def __init__(self, sources: Mapping[str, ExampleSource], weights: Mapping[str, float] | None = None) -> None:
        self.sources = list(sources.values())
        _check_alike(sources)
        self.has_teacher = all(source.has_teacher for source in self.sources)
        self.n_documents = self.sources[0].n_documents
        self.has_negatives = self.n_documents > 1
        sizes = [len(source) for source in self.sources]
        self.places = sizes if weights is None else places_for(sizes, [weights[name] for name in sources])
        self._ends = np.cumsum(self.places)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def example(self, index: int, rng: np.random.Generator) -> Example:
        """Example ``index``: sets one after the other; without teacher scores unless all sets have them."""
        if not 0 <= index < len(self):
            raise IndexError(f"no example {index}; there are {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        source, places = self.sources[number], self.places[number]
        place = index - int(self._ends[number]) + places
        first, end = place * len(source) // places, (place + 1) * len(source) // places
        chosen = first if end - first == 1 else first + int(rng.integers(end - first))
        example = source.example(chosen, rng)
        return example if self.has_teacher else example._replace(teacher=None)


def places_for(sizes: Sequence[int], weights: Sequence[float]) -> list[int]:
    """Count the places that each set gets in an epoch: in proportion to ``weights``, and as many as the sizes allow."""
    scale = min(size / weight for size, weight in zip(sizes, weights, strict=True))
    return [max(1, min(size, round(weight * scale))) for size, weight in zip(sizes, weights, strict=True)]


def mixed_from(settings: Any, catalog: Mapping[str, str], n_negatives: int = 1, with_teacher: bool = True) -> Mixed:
    """The sets of ``settings``, ``{NAME: {type: …, weight: …, TRAIN_DATA_DIR: …}}``, as one source of examples.

    ``type`` is a name of ``catalog`` (name to dotted path); the other keys are its arguments, of ``ARGUMENTS``.
    ``n_negatives`` and ``with_teacher`` go to the types that take them. InputError names the address.
    """
    if not isinstance(settings, Mapping) or not settings:
        raise InputError(f"{ADDRESS} must be a mapping of data sets, {{NAME: {{type: …, …}}}}, got {settings!r}")
    shared = {"n_negatives": n_negatives, "with_teacher": with_teacher}
    sources = {str(name): _source(f"{ADDRESS}.{name}", own, catalog, shared) for name, own in settings.items()}
    weights = {str(name): own.get("weight") for name, own in settings.items()}
    missing = [name for name, weight in weights.items() if weight is None]
    if missing and len(missing) < len(weights):
        raise InputError(f"{ADDRESS}.{missing[0]}.weight is not set, and others are: give all of them, or none")
    return Mixed(sources, None if missing else weights)


def _source(address: str, own: Any, catalog: Mapping[str, str], shared: Mapping[str, Any]) -> ExampleSource:
    if not isinstance(own, Mapping) or own.get("type") not in catalog:
        raise InputError(f"{address}.type must be one of {', '.join(catalog)}, got {own!r}")
    module, _, attribute = str(catalog[str(own["type"])]).rpartition(".")
    make: Callable[..., ExampleSource] = getattr(import_module(module), attribute)
    taken = inspect.signature(make).parameters
    given = {key: value for key, value in own.items() if key not in ("type", "weight") and value is not None}
    for key in given:
        if ARGUMENTS.get(key) not in taken:
            known = ", ".join(key for key, argument in ARGUMENTS.items() if argument in taken)
            raise InputError(f"{address}.{key}: data of type {own['type']} take {known}")
    arguments = {ARGUMENTS[key]: value for key, value in given.items()}
    for key, argument in ARGUMENTS.items():
        if argument in taken and taken[argument].default is inspect.Parameter.empty and argument not in arguments:
            raise InputError(f"{address}.{key} is needed by data of type {own['type']} and not set")
    return make(**arguments, **{key: value for key, value in shared.items() if key in taken})


def _check_alike(sources: Mapping[str, ExampleSource]) -> None:
    counts = {name: source.n_documents for name, source in sources.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(
            f"{ADDRESS}: documents per query differ ({told}), and those of a batch must not: set data.n_negatives=1 to "
            "mix hard negatives with triplets; pairs go with pairs alone"
        )
