"""Graphs in 8 bits, by onnxruntime's dynamic quantisation."""

import importlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from splade.files import InputError

LARGE = 1_900_000_000  # bytes of weights from which on they lie in a file beside the graph


def quantize(graph: Path, into: Path) -> None:
    """Write ``graph`` with its matrix products in 8 bits to ``into``; word embeddings stay as they are.

    Weights are scaled for each column, states for each call. InputError where a package that does it is missing.
    """
    tools = _tools()
    large = sum(path.stat().st_size for path in graph.parent.iterdir()) > LARGE
    with tempfile.TemporaryDirectory(dir=into.parent) as place, _quietly():
        prepared = Path(place) / "prepared.onnx"
        tools.shape_inference.quant_pre_process(
            str(graph), str(prepared), skip_symbolic_shape=True, save_as_external_data=large
        )
        tools.quantize_dynamic(
            str(prepared),
            str(into),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=tools.QuantType.QInt8,
            use_external_data_format=large,
        )


def _tools() -> Any:
    try:
        return importlib.import_module("onnxruntime.quantization")
    except ImportError as error:
        raise InputError(
            f"export.int8=true needs onnx and onnxruntime, which cannot be imported ({error}). "
            "Install them: pip install 'splade[onnx]'"
        ) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep out of the log the lines that onnxruntime writes for every layer that it leaves as it is."""
    root = logging.getLogger()
    root.addFilter(_is_not_of_quantising)
    try:
        yield
    finally:
        root.removeFilter(_is_not_of_quantising)


def _is_not_of_quantising(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or "onnxruntime" not in record.pathname
