"""The documents of a model with BM25 inside, of vectors that its head has made before.

The head takes nearly all of the time of encoding, and does not change with ``init_dict.expansion``, the IDF, k1 or b.
Its vectors are those of the model before ``splade.add_bm25``: encoded once, they serve every weighing. What is left
to compute is the part of a text's own tokens, which needs a tokenizer and no transformer.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch

from splade.data.collections.collection import Collection
from splade.data.tokens.tokenize import tokenize
from splade.data.vectors.shards import differences
from splade.data.vectors.vectors import VectorCollection
from splade.encoding import Encoder
from splade.encoding.terms import model_terms
from splade.engines import Documents
from splade.files import InputError
from splade.indexing import Vocabulary
from splade.kernels.sparse import slice_rows
from splade.models import SpladeBm25
from splade.models.heads.sparse_head import sparse_rows
from splade.progress import progress
from splade.records import SparseBatch, SparseRows, Text
from splade.workflow.encoding import about_vectors, origin_of

ROWS = 128  # texts weighed at once: some arrays [ROWS, V] are held


def documents_from_head(encoder: Encoder, collection: Collection, vectors: VectorCollection) -> Documents:
    """The documents of ``collection`` by a :class:`SpladeBm25`, whose head gave ``vectors``, shards of `splade.encode`.

    The same vectors as the model's own, to float32's rounding. InputError where the vectors are of another model, of
    another collection, or encoded otherwise.
    """
    model = encoder.model
    if not isinstance(model, SpladeBm25):
        raise InputError(
            f"data.HEAD_VECTORS_PATH={vectors.source}: read with a model that has BM25's weights (splade.add_bm25, "
            f"config.matching_type=splade_bm25), and this one is a {type(model).__name__}; remove it"
        )
    about = vectors.encoded.about if vectors.encoded is not None else {}
    expected = about_vectors(encoder, collection) | {"fingerprint": model.head_fingerprint()}
    differing = differences(about, expected | {"precision": about.get("precision", "float32")})
    if differing:
        raise InputError(
            f"data.HEAD_VECTORS_PATH={vectors.source}: not the vectors of this model's head for this collection (other "
            f"{differing}). Encode them with python -m splade.encode, the model as it was before splade.add_bm25, and "
            "the same collection and config.max_length"
        )

    def batches(start: int) -> Iterator[SparseBatch]:
        texts = islice(collection.iterate(start), None)
        with progress(desc="index", unit="doc", initial=start, total=len(collection)) as bar:
            for batch in vectors.batches(None, start):
                for first in range(0, len(batch.ids), ROWS):
                    ids = batch.ids[first : first + ROWS]
                    rows = slice_rows(batch.rows, first, first + len(ids))
                    yield SparseBatch(
                        ids, _weighed(model, encoder, _texts(vectors, texts, ids), rows), model.vocab_size
                    )
                    bar.update(len(ids))

    origin = origin_of(encoder, collection) | {"head": vectors.state() | {"precision": about["precision"]}}
    return Documents(batches, model.vocab_size, Vocabulary(model_terms(model)), model.fingerprint(), origin)


def _texts(vectors: VectorCollection, texts: Iterator[Text], ids: tuple[str, ...]) -> list[Text]:
    """The next texts; InputError where they are not those with these ids."""
    found = list(islice(texts, len(ids)))
    for text, id in zip(found, ids, strict=False):
        if text.id != id:
            raise InputError(
                f"data.HEAD_VECTORS_PATH={vectors.source}: its vectors are of documents in another order ({id!r} where "
                f"the collection has {text.id!r}); encode this collection again"
            )
    return found


@torch.inference_mode()
def _weighed(model: SpladeBm25, encoder: Encoder, texts: list[Text], rows: SparseRows) -> SparseRows:
    """The vectors of ``texts``, of the head's ``rows``."""
    tokens = tokenize(model.tokenizer("document"), texts, encoder.max_length, model.prompt("document"))
    head = torch.zeros(len(texts), model.vocab_size)
    numbers = np.repeat(np.arange(len(texts)), np.diff(rows.offsets))
    head[torch.from_numpy(numbers), torch.from_numpy(rows.columns).long()] = torch.from_numpy(rows.weights)
    ids, mask = torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
    return sparse_rows(model.finish("document", head, ids, mask))
