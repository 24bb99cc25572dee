#!/usr/bin/env python3
"""Our engine as a contestant of lsr-benchmark's third step, called as its own contestants are.

    python benchmarks/lsr_benchmark/retrieve.py --dataset DATASET --embedding VECTORS --output FOLDER --k 1000

Writes ``run.txt.gz``, ``index-metadata.yml`` and ``retrieval-metadata.yml``: what tirex-tracker measured of building
the index and of searching all queries. Kernels are compiled, or taken from the cache, before either.
"""

from pathlib import Path

import click
import lsr_benchmark
import numpy as np
from lsr_benchmark.click import retrieve_command
from lsr_benchmark.irds import embeddings
from tirex_tracker import ExportFormat, register_metadata, tracking

from splade.adapters.lsr_benchmark import Vectors, read_vectors, vectors_of, write_run
from splade.indexing import InvertedIndex
from splade.kernels.sparse import from_csr
from splade.records import SparseBatch
from splade.search import Searcher


def vectors(dataset: str, embedding: str) -> Vectors:
    """The vectors in a folder, or those that lsr-benchmark downloads."""
    if Path(embedding).is_dir():
        return read_vectors(embedding)
    return vectors_of(*(embeddings(dataset, embedding, side) for side in ("doc", "query")))


def compile_kernels(strategy: str, k: int, threads: int) -> None:
    """Build and search an index of its own, of as many documents as make every strategy work as on a large one."""
    random = np.random.default_rng(0)
    rows = from_csr(np.arange(0, 40001, 20), np.tile(np.arange(20), 2000), random.random(40000, np.float32) + 0.1, 20)
    batch = SparseBatch(tuple(map(str, range(2000))), rows, 20)
    found = Searcher(InvertedIndex.from_csr(batch), strategy=strategy).search(batch, k=min(k, 100), n_threads=threads)
    next(iter(found))


@retrieve_command()
@click.option("--strategy", default="auto", help="A strategy of splade.search.Searcher.")
@click.option("--threads", type=int, default=1, help="Threads that search.")
def main(dataset: str, embedding: str, output: Path, k: int, strategy: str, threads: int) -> None:
    """Index the vectors of the documents and search those of the queries."""
    output.mkdir(parents=True, exist_ok=True)
    lsr_benchmark.register_to_ir_datasets(dataset)
    tag = f"splade-{strategy}-{embedding.replace('/', '-')}-{k}"
    register_metadata({"actor": {"team": "splade"}, "tag": tag})
    documents, queries, _ = vectors(dataset, embedding)
    compile_kernels(strategy, k, threads)
    with tracking(export_file_path=output / "index-metadata.yml", export_format=ExportFormat.IR_METADATA):
        index = InvertedIndex.from_csr(documents)
    with tracking(export_file_path=output / "retrieval-metadata.yml", export_format=ExportFormat.IR_METADATA):
        rankings = list(Searcher(index, strategy=strategy).search(queries, k=k, n_threads=threads))
    write_run(output, rankings)


if __name__ == "__main__":
    main()
