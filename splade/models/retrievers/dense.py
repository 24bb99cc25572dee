"""Dense retrievers: every text is one point, and exact search compares a query with all of them."""

from pathlib import Path
from typing import Any, ClassVar

from splade.models.encoders.dense import DenseEncoder
from splade.models.retrievers.base import Retriever, tokenizer_for


class DenseRetriever(Retriever):
    """A query side and a document side whose vectors have no zeros; ``vocab_size`` is their width D."""

    engine: ClassVar[str] = "dense"
    is_sparse: ClassVar[bool] = False


class Dense(DenseRetriever):
    """A bi-encoder of dense vectors, compared by dot product; trains with the same losses as sparse ones.

    ``pooling``: "mean" over the text's tokens, or "cls", the first. ``normalize``: vectors of both sides have unit
    length (L2, in float32; a zero vector stays zero), so that the dot product is their cosine, within -1..1.
    """

    def __init__(
        self,
        model_type_or_dir: str | Path,
        *,
        model_type_or_dir_q: str | Path | None = None,
        pooling: str = "mean",
        normalize: bool = False,
        tokenizer: str | Path | None = None,
        max_length: int = 256,
        max_length_q: int | None = None,
        prompt_q: str | None = None,
        prompt_d: str | None = None,
    ) -> None:
        own = tokenizer_for(model_type_or_dir, tokenizer, model_type_or_dir_q)
        document = DenseEncoder(model_type_or_dir, pooling=pooling, normalize=normalize)
        query = None
        if model_type_or_dir_q:
            query = DenseEncoder(model_type_or_dir_q, pooling=pooling, normalize=normalize)
        super().__init__(
            document,
            query,
            tokenizer=own,
            max_length=max_length,
            max_length_q=max_length_q,
            prompt_q=prompt_q,
            prompt_d=prompt_d,
        )
        self.pooling, self.normalize = pooling, normalize

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "pooling": self.pooling, "normalize": self.normalize}

    def document_settings(self) -> dict[str, Any]:
        length = {"normalize": True} if self.normalize else {}  # left out where it changes nothing
        return {**super().document_settings(), "pooling": self.pooling, **length}
