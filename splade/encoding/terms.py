"""The terms of a model as strings: their names, and how a reader reads them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from splade.encoding.protocol import named_terms

if TYPE_CHECKING:
    from splade.models import Retriever


def model_terms(model: "Retriever") -> list[str]:
    """The token of every term of a model, all different: those without one are called ``[term_<id>]``."""
    tokenizer = model.tokenizer("document")
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    return named_terms(tokens, model.vocab_size)


def readings(tokenizer: Any, tokens: Sequence[str]) -> list[str]:
    """Each of ``tokens`` as text: ``Ġwater`` and ``▁water`` read ``water``, ``##ing`` stays.

    A token that is no whole text of its own, such as one byte of a letter, is left as it is.
    """
    known = tokenizer.get_vocab()
    found = []
    for token in tokens:
        text = tokenizer.convert_tokens_to_string([token]).strip() if token in known else token
        found.append(text if text and "\N{REPLACEMENT CHARACTER}" not in text else token)
    return found
