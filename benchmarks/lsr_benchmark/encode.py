#!/usr/bin/env python3
"""Our encoder as a contestant of lsr-benchmark's second step.

    python benchmarks/lsr_benchmark/encode.py --dataset DATASET --model MODEL --output FOLDER

``DATASET`` is a name of lsr-benchmark or a folder in its format, ``MODEL`` a model folder or hub name. Writes
``FOLDER/doc`` and ``FOLDER/query`` with vectors, ids and what tirex-tracker measured of encoding them.
"""

from pathlib import Path
from typing import Any

import click
import lsr_benchmark
from lsr_benchmark.click import option_lsr_dataset
from tirex_tracker import ExportFormat, register_metadata, tracking

from splade.adapters.lsr_benchmark import SIDES, encode_texts, write_vectors
from splade.models import load_retriever
from splade.records import Text


@click.command()
@option_lsr_dataset()
@click.option("--model", required=True, help="A model folder or hub name.")
@click.option("--batch-size", type=int, default=32, help="Texts encoded at once, at most.")
@click.option("--max-length", type=int, default=None, help="Tokens read of a text; the model's own by default.")
def main(dataset: str, output: Path, model: str, batch_size: int, max_length: int | None) -> None:
    """Encode the documents and queries of a data set."""
    lsr_benchmark.register_to_ir_datasets(dataset)
    collection = lsr_benchmark.load(dataset)
    settings: dict[str, Any] = {} if max_length is None else {"max_length": max_length, "max_length_q": max_length}
    retriever = load_retriever(model, **settings)
    register_metadata({"actor": {"team": "splade"}, "tag": f"splade-{Path(model).name}"})
    for side in SIDES:
        texts = (
            [Text(doc.doc_id, doc.default_text()) for doc in collection.docs_iter()]
            if side == "doc"
            else [Text(query.query_id, query.text) for query in collection.queries_iter()]
        )
        place = output / side
        place.mkdir(parents=True, exist_ok=True)
        with tracking(export_file_path=place / f"{side}-ir-metadata.yml", export_format=ExportFormat.IR_METADATA):
            batch = encode_texts(retriever, texts, side, batch_size=batch_size)
        write_vectors(output, side, batch)


if __name__ == "__main__":
    main()
