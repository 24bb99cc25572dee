"""Text lower-cased before it is tokenised, for vocabularies that keep capitals.

``Heat``, ``heat`` and ``HEAT`` are three terms of such a vocabulary, or several pieces each; lower-cased they meet.
"""

from typing import Any

from tokenizers import normalizers

CAPITALS = "AÉ"


def lower_casing(tokenizer: Any) -> Any:
    """``tokenizer``, changed in place: lower-casing becomes the first thing that it does to a text.

    The step is part of the tokenizer's own files. One that lower-cases already is left as it is.
    """
    backend = tokenizer.backend_tokenizer
    former = backend.normalizer
    if former is None:
        backend.normalizer = normalizers.Lowercase()
    elif former.normalize_str(CAPITALS) == former.normalize_str(CAPITALS.lower()):
        return tokenizer
    else:
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), former])
    return tokenizer
