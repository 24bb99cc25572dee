"""Passages and queries of real collections as sparse vectors of a trained model, for timing search on them.

    python benchmarks/real_data/vectors.py --data ../shared/data \
        --model experiments/real_data/trained/checkpoint/model --out experiments/real_vectors

Writes ``documents.npz`` and ``queries.npz``, CSR with ids (``SET/ID``), which ``python -m benchmarks.search
--vectors`` and ``python -m splade.index data.VECTORS_PATH=…`` read.
"""

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from splade.data.collections.opening import open_collection, open_queries
from splade.data.vectors.vectors import open_vectors
from splade.encoding import Encoder
from splade.files import whole_file
from splade.kernels.sparse import concatenate
from splade.models import load_retriever
from splade.records import SparseBatch, Text

SETS = {"squad": "dev", "medquad": "dev", "scifact": "test", "cranfield": "test", "vaswani": "test", "cacm": "test"}


def texts(data: Path, name: str, kind: str) -> Iterable[Text]:
    """The documents or queries of a set, their ids after its name."""
    folder = data / name
    source = open_collection(folder) if kind == "documents" else open_queries(f"{folder}:{SETS[name]}")
    for text in tqdm(source, desc=f"{name} {kind}", unit="text"):
        yield Text(f"{name}/{text.id}", text.text)


def save(path: Path, vectors: SparseBatch) -> None:
    """CSR arrays, shape and ids in one file."""
    offsets, columns, weights = vectors.rows
    with whole_file(path, "wb") as stream:
        np.savez(
            stream, indptr=offsets, indices=columns, data=weights, shape=(len(vectors.ids), vectors.vocab_size),
            format=np.array("csr"), ids=np.array(vectors.ids),
        )  # fmt: skip


def main() -> None:
    """The command."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--max-length", type=int, default=192)
    options = parser.parse_args()
    model = load_retriever(options.model, max_length=options.max_length)
    for kind, side in (("queries", "query"), ("documents", "document")):
        parts = [options.out / "sets" / f"{name}-{kind}.npz" for name in options.sets]
        for name, part in zip(options.sets, parts, strict=True):
            if not part.exists():  # an interrupted run goes on with the next set
                encoder = Encoder(model, side, max_length=options.max_length)
                save(part, encoder.encode_all(texts(options.data, name, kind)))
        batches = [batch for part in parts for batch in open_vectors(part).batches()]
        rows = concatenate([batch.rows for batch in batches])
        ids = tuple(name for batch in batches for name in batch.ids)
        save(options.out / f"{kind}.npz", SparseBatch(ids, rows, model.vocab_size))


if __name__ == "__main__":
    main()
