"""A trained SPLADE model and BM25 in one vector, without training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from splade.files import InputError
from splade.models.retrievers.bm25 import SpladeBm25
from splade.models.retrievers.splade import Splade
from splade.models.saving.checkpoint import description_of
from splade.records import SIDES


def with_bm25(path: str | Path, **lexical: Any) -> SpladeBm25:
    """The model of a folder or hub name as :class:`SpladeBm25`; ``lexical`` are its arguments, idf and so on.

    A model that has lexical weights already gets new ones, of another collection for instance; they are forgotten.
    Raises InputError where it is of another kind, whose vectors do not go through one head on both sides, and where it
    puts prompts before texts.
    """
    described = description_of(path)
    if described.kind not in (Splade, SpladeBm25):
        raise InputError(
            f"init_dict.model_type_or_dir={path} is a {described.kind.__name__}: BM25's weights go beside those of a "
            "Splade model; name such a model"
        )
    _refuse_prompts(path, described.settings)
    named = {"lexical", *SpladeBm25.lexical_settings}
    kept = {name: value for name, value in described.settings.items() if name not in named}
    model = SpladeBm25(described.source, **kept, **lexical)
    model.extra = {**described.extra, "before_bm25": str(path)}
    return model


def _refuse_prompts(path: str | Path, settings: Mapping[str, Any]) -> None:
    for side in SIDES:
        prompt = settings.get(f"prompt_{side[0]}")
        if prompt:
            raise InputError(
                f"init_dict.model_type_or_dir={path}: this model puts the prompt {prompt!r} before every {side}, and "
                f"BM25 would count its words in every {side}. Name a model without prompts"
            )
