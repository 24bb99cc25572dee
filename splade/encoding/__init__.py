"""From texts to sparse vectors: ``Encoder`` turns a stream of texts into a stream of CSR batches.

`protocol` is what every encoder has, `tables` the one of queries that need no model. Neither loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splade.encoding.encoder import Encoder
    from splade.models.heads.sparse_head import sparse_rows

__all__ = ["Encoder", "sparse_rows"]

_HOMES = {"Encoder": "splade.encoding.encoder", "sparse_rows": "splade.models.heads.sparse_head"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'splade.encoding' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
