"""Checks of parts of the user's own against their contracts; AssertionError says which one is broken.

Each takes a part and runs it on small data made for it, in seconds and without files but those it is given. Engines
have their own suite.
"""

from splade.conformance.files import check_export_target, check_reader
from splade.conformance.retrieval import check_model, check_strategy
from splade.conformance.training import check_loss, check_penalty

__all__ = [
    "check_export_target",
    "check_loss",
    "check_model",
    "check_penalty",
    "check_reader",
    "check_strategy",
]
