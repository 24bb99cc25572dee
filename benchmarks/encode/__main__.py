"""Documents per second of this encoder, by torch and by onnxruntime, of a naive loop, and of sentence-transformers."""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import naive
from benchmarks.measure import (
    SHAPES,
    default_tokenizer,
    flops_per_token,
    in_turn,
    make_model,
    peak_gflops,
    sparse_encoder,
    texts_of,
)
from splade.encoding import Encoder
from splade.exporting.models import export_model
from splade.files import InputError
from splade.models import Splade
from splade.onnx.encoder import OnnxEncoder
from splade.onnx.folder import OnnxModel
from splade.onnx.target import Onnx


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    texts = texts_of(options.collection, options.texts)
    plain = [text.text for text in texts]
    with tempfile.TemporaryDirectory() as temporary:
        tokenizer = options.tokenizer or default_tokenizer()
        folder = make_model(Path(temporary) / "model", options.shape, tokenizer, texts, options.max_length)
        model = Splade(folder, max_length=options.max_length)
        mlm, made = model.encoders["document"].mlm, model.tokenizer("document")
        encoder = Encoder(model, "document", batch_size=options.batch_size, device="cpu")
        contestants: dict[str, Callable[[], object]] = {
            "ours": lambda: encoder.encode_all(texts),
            "naive": lambda: list(naive.encode(mlm, made, plain, options.max_length, options.batch_size)),
        }
        peer = sparse_encoder(folder, options.max_length)
        if peer is not None:
            contestants["sentence-transformers"] = lambda: peer.encode(
                plain, batch_size=options.batch_size, show_progress_bar=False
            )
        exported = _exported(model, Path(temporary) / "onnx", options)
        for name, other in exported.items():
            contestants[name] = partial(other.encode_all, texts)
        peer = sparse_encoder(folder, options.max_length, options.threads) if exported else None
        if peer is not None:
            contestants["sentence-transformers, ONNX"] = partial(
                peer.encode, plain, batch_size=options.batch_size, show_progress_bar=False
            )
        rows = encoder.encode_all(texts).rows
        _same_vectors(rows, mlm, made, plain[:8], options.max_length)
        lengths = [min(len(ids), options.max_length) for ids in made(plain)["input_ids"]]
        work = flops_per_token(folder) * sum(lengths) / 1e9
        peak = peak_gflops()
        print(
            f"{options.shape}: {len(texts)} texts, {np.mean(lengths):.0f} tokens each, "
            f"{len(rows.columns) / len(texts):.0f} active terms; product peak {peak:.0f} GFLOP/s"
        )
        print("| | documents/s | share of peak | peak memory, MiB | ours is faster | ours takes less memory |")
        print("|---|---|---|---|---|---|")
        found = in_turn(contestants, options.repetitions)
        best = found["ours"]
        for name, each in found.items():
            print(
                f"| {name} | {len(texts) / each.seconds:.2f} | {work / each.seconds / peak:.0%} | {each.peak_mib:.0f} "
                f"| {each.seconds / best.seconds:.2f}× | {each.peak_mib / max(best.peak_mib, 1):.1f}× |"
            )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encode", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="distilbert")
    parser.add_argument("--collection", default="data/toy/collection", help="a source of texts, as in config.data")
    parser.add_argument("--texts", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokenizer", type=Path, help="a folder; by default that of the benchmarks extra")
    return parser.parse_args()


def _exported(model: Splade, folder: Path, options: argparse.Namespace) -> dict[str, OnnxEncoder]:
    """The encoders of the model as ONNX graphs, in float32 and in 8 bits; none, said in words, without onnxruntime."""
    found = {}
    for name, int8 in (("ours, ONNX", False), ("ours, ONNX in 8 bits", True)):
        try:
            manifest = export_model(Onnx(int8), "onnx", {"int8": int8}, model, [], folder / str(int8))
        except InputError as error:
            print(f"without ONNX: {error}")
            return {}
        print("; ".join(manifest["summary"][:2]))
        found[name] = OnnxEncoder(
            OnnxModel(folder / str(int8)), "document", batch_size=options.batch_size, n_threads=options.threads
        )
    return found


def _same_vectors(rows, mlm, tokenizer, texts, max_length) -> None:  # type: ignore[no-untyped-def]
    """Nothing is measured of an encoder that gives other vectors than the naive one."""
    with torch.no_grad():
        expected = naive.vectors(mlm, tokenizer, texts, max_length).numpy()
    for number, row in enumerate(expected):
        span = slice(rows.offsets[number], rows.offsets[number + 1])
        found = np.zeros_like(row)
        found[rows.columns[span]] = rows.weights[span]
        np.testing.assert_allclose(found, row, rtol=1e-4, atol=1e-5)


if __name__ == "__main__":
    main()
