"""From texts to sparse vectors: ``Encoder`` turns a stream of texts into a stream of CSR batches."""

from splade.encoding.encoder import Encoder
from splade.models.heads.sparse_head import sparse_rows

__all__ = ["Encoder", "sparse_rows"]
