"""The export target ``onnx``: a graph or table for each side, the tokenizer, and the proof that all is the same."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file
from tokenizers import Tokenizer

from splade.encoding.reading import reading_of, tokenizer_file
from splade.exporting.models import ModelTarget
from splade.files import InputError
from splade.onnx.encoder import onnx_encoder
from splade.onnx.folder import OnnxModel
from splade.onnx.int8 import quantize
from splade.onnx.proof import (
    TOLERANCE,
    Difference,
    Proof,
    check_tokens,
    measured,
    proof_texts,
    random_tokens,
    read_proof,
    write_proof,
)
from splade.records import SIDES, Text, TokenBatch

GRAPH = "model.onnx"
TABLE = "query.safetensors"
MORE = (2.0, 1e-3)  # how much further vectors in 8 bits may be off on another processor: so many times, and so much


class Onnx(ModelTarget):
    """The `ModelTarget` of graphs for onnxruntime and others, float32, proven to 1e-4 of a weight.

    ``int8``: matrix products in 8 bits (weights scaled once, states as they come); the change of vectors is measured.
    """

    def __init__(self, int8: bool = False) -> None:
        self.int8 = int8

    def write(self, model: Any, folder: Path, texts: Sequence[Text]) -> dict[str, Any]:
        """Write graphs or a table, tokenizer and proof of ``model`` into ``folder``; its part of the manifest."""
        stand_in = _write_tokenizer(model, folder)
        sides = _write_sides(model, folder)
        tokenizer = {"stand_in": stand_in, "pad": model.tokenizer("document").pad_token_id or 0}
        about: dict[str, Any] = {
            "model": {
                "kind": type(model).__name__,
                "fingerprint": model.fingerprint(),
                "vocab_size": model.vocab_size,
                "settings": model.settings(),
                "tokenizer": tokenizer,
            },
            "sides": sides,
        }
        for side in SIDES:
            write_proof(_proof_of(model, side, proof_texts(texts)), folder, side)
        for side, found in _proven(folder, about).items():
            sides[side]["difference"] = found._asdict()
        if self.int8:
            _quantize(folder, about)
        about["summary"] = _summary(folder, about)
        about["load"] = [
            "python -m splade.index config.checkpoint_dir=FOLDER data.COLLECTION_PATH=… config.index_dir=…",
            "python -m splade.retrieve config.checkpoint_dir=FOLDER config.index_dir=… 'data.Q_COLLECTION_PATH=[…]'",
        ]
        return about

    def check(self, folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
        """Prove every side of ``folder`` again."""
        found = {side: {**manifest["sides"][side]} for side in SIDES}
        for side, difference in _proven(folder, manifest).items():
            found[side]["difference"] = difference._asdict()
        return {"summary": _summary(folder, {**manifest, "sides": found})}


def _write_tokenizer(model: Any, folder: Path) -> int:
    """Write the tokenizer's files; returns the id that stands for a text without tokens."""
    tokenizer = model.tokenizer("document")
    stand_in = reading_of(tokenizer, model.max_length("document")).stand_in  # refuses one that is in Python
    tokenizer.save_pretrained(folder)
    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.no_truncation()
    plain.no_padding()
    plain.save(str(tokenizer_file(folder)))
    return stand_in


def _write_sides(model: Any, folder: Path) -> dict[str, dict[str, Any]]:
    """Write a graph, or of queries that are looked up a table, for each side; what the manifest says of them."""
    from splade.models.backbones.loading import position_limit  # here: this module is read without torch
    from splade.models.encoders.own_tokens import TokenBag
    from splade.models.graphs.onnx import write_graph
    from splade.models.retrievers.sparse import SparseRetriever

    plain = type(model).refine is SparseRetriever.refine if isinstance(model, SparseRetriever) else False
    found: dict[str, dict[str, Any]] = {}
    for side in ("document", "query"):
        encoder = model.encoders["document" if model.shares_encoder else side]
        if isinstance(encoder, TokenBag) and plain:
            save_file({"weight": encoder.table().detach().cpu().contiguous().numpy()}, folder / TABLE)
            found[side] = {"table": TABLE, "precision": "float32", "longest": None}
            continue
        if side == "query" and model.shares_encoder and model.pools_alike and plain:
            found[side] = dict(found["document"])
            continue
        (folder / side).mkdir()
        write_graph(model, side, folder / side / GRAPH)
        found[side] = {
            "graph": f"{side}/{GRAPH}",
            "precision": "float32",
            "pads": getattr(encoder, "pads", True),
            "longest": position_limit(encoder.model) if hasattr(encoder, "model") else None,
        }
    return found


def _proof_of(model: Any, side: str, texts: Sequence[Text]) -> Proof:
    """The vectors that ``model`` makes of ``texts`` and of random token ids."""
    from splade.data.tokens.tokenize import padded, tokenize
    from splade.encoding import Encoder

    tokenizer, length = model.tokenizer(side), model.max_length(side)
    read = tokenize(tokenizer, texts, length, model.prompt(side))
    rows = [ids[mask == 1].tolist() for ids, mask in zip(read.input_ids, read.attention_mask, strict=True)]
    rows += random_tokens(min(len(tokenizer), model.vocab_size), length)
    tokens: TokenBatch = padded(rows, pad=tokenizer.pad_token_id or 0)
    vectors = Encoder(model, side, device="cpu").encode_tokens(tokens)
    return Proof([text.text for text in texts], tokens, vectors.rows, model.vocab_size)


def _proven(folder: Path, about: dict[str, Any]) -> dict[str, Difference]:
    """The difference of each side from the model; InputError where it is too large."""
    model = OnnxModel(folder, about=about)
    found = {}
    for side in SIDES:
        proof, encoder = read_proof(folder, side), onnx_encoder(model, side, n_threads=1)
        check_tokens(proof, encoder, folder)
        known = about["sides"][side].get("int8")
        difference = measured(proof, encoder, texts_only=known is not None)
        if known is None and difference.largest > TOLERANCE:
            raise InputError(
                f"{folder}: the {side} graph gives other weights than the model ({difference.said()}; accepted are "
                f"{TOLERANCE:g}). It is not to be used: please report it, with the versions of torch and transformers"
            )
        if known is not None and difference.share > known["share"] * MORE[0] + MORE[1]:
            raise InputError(
                f"{folder}: in 8 bits this processor gives other vectors than the one that exported them "
                f"({difference.said()}; there it was {known['share']:.3%}). Export here, or without export.int8"
            )
        found[side] = difference
    return found


def _quantize(folder: Path, about: dict[str, Any]) -> None:
    """Replace the graphs by their form in 8 bits, and keep in ``about`` what that changes."""
    for name in sorted({each["graph"] for each in about["sides"].values() if "graph" in each}):
        made = folder / "int8"
        made.mkdir()
        quantize(folder / name, made / GRAPH)
        shutil.rmtree((folder / name).parent)
        made.rename((folder / name).parent)
    model = OnnxModel(folder, about=about)
    for side, told in about["sides"].items():
        if "graph" in told:
            told["precision"] = "int8"
            difference = measured(read_proof(folder, side), onnx_encoder(model, side, n_threads=1), texts_only=True)
            told["int8"] = told["difference"] = difference._asdict()


def _summary(folder: Path, about: dict[str, Any]) -> list[str]:
    model, lines = about["model"], []
    lines.append(f"{model['kind']}, {model['vocab_size']} terms, encoder {model['fingerprint'][:12]}…")
    for side in ("document", "query"):
        told = about["sides"][side]
        name = told.get("graph") or told["table"]
        size = sum(path.stat().st_size for path in _files_of(folder / name))
        line = f"{side}: {name}, {told['precision']}, {size / 1e6:.1f} MB"
        found = Difference(**told["difference"])
        exact = f"weights differ from the model's by {found.largest:.1e} at most"
        lines.append(f"{line}; {found.said() if told['precision'] == 'int8' else exact}")
    return lines


def _files_of(path: Path) -> list[Path]:
    return [path] if path.name != GRAPH else sorted(path.parent.iterdir())
