"""Writing one side of a retriever as an ONNX file.

The graph is traced (torch's TorchScript exporter, which every supported torch has and which takes seconds): whether
it holds for texts of other numbers and lengths than the traced ones is for its user to prove, as
:mod:`splade.onnx.proof` does.
"""

import inspect
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch.onnx.symbolic_helper import parse_args

from splade.files import InputError
from splade.models.graphs.side import SideGraph
from splade.models.retrievers.base import Retriever

logger = logging.getLogger(__name__)

OPSET = 18  # the first whose scatter knows maxima, which weights of a text's own tokens are
INPUTS, OUTPUT = ("input_ids", "attention_mask"), "weights"
TRACED = ((7, 7), (7, 4))  # tokens of the two texts that the graph is traced with: one of them padded
INT32, BOOL = 6, 9  # the numbers of types in ONNX
ERRORS = (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError, IndexError)


def write_graph(model: Retriever, side: str, path: Path) -> None:
    """Write ``side`` of ``model``, which is on the CPU, to ``path``; weights beyond 2 GB lie in files beside it.

    Inputs are ``input_ids`` and ``attention_mask`` [batch, length], int64; the output is ``weights`` [batch, V],
    float32. InputError for a model that no graph can be made of.
    """
    if find_spec("onnx") is None:
        raise InputError("export.target=onnx needs the package onnx. Install it: pip install 'splade[onnx]'")
    graph = SideGraph(model, side).eval()
    example = _example(model)
    dynamic = {name: {0: "batch", 1: "length"} for name in INPUTS} | {OUTPUT: {0: "batch"}}
    try:
        with (
            torch.no_grad(),
            _own_rules(),
            redirect_stdout(io.StringIO()),  # the exporter prints the whole graph where it fails
            warnings.catch_warnings(record=True) as told,
        ):
            warnings.simplefilter("default")  # kept below, not raised
            torch.onnx.export(
                graph,
                example,
                str(path),
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_axes=dynamic,
                opset_version=OPSET,
                **_traced(),
            )
    except ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"the {side} side of this {type(model).__name__} cannot be written as an ONNX graph by torch "
            f"{torch.__version__} ({reason})"
        ) from error
    for warning in told:  # of what a trace may fix to the example's values: the proof is made of other texts
        logger.debug("%s", warning.message)


def _example(model: Retriever) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = [length for _, length in TRACED]
    mask = (torch.arange(TRACED[0][0]) < torch.tensor(lengths)[:, None]).long()  # [2, 7]
    ids = torch.arange(mask.numel()).reshape(mask.shape) % model.vocab_size
    pad = model.tokenizer("document").pad_token_id or 0
    return ids.masked_fill(mask == 0, pad), mask


def _traced() -> dict[str, Any]:
    """The argument that chooses the exporter, where this torch has several."""
    return {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}


@contextmanager
def _own_rules() -> Iterator[None]:
    """Have the exporter write the operations of `RULES`."""
    for name, rule in RULES.items():
        torch.onnx.register_custom_op_symbolic(name, rule, OPSET)
    try:
        yield
    finally:
        for name in RULES:
            torch.onnx.unregister_custom_op_symbolic(name, OPSET)


@parse_args("v", "v", "b", "b")
def _isin(g: Any, elements: Any, listed: Any, unique: bool, invert: bool) -> Any:  # noqa: ARG001 - torch's form
    """True [B, L] where an element is among ``listed`` [n]; ``invert`` is always false here."""
    last = g.op("Constant", value_t=torch.tensor([-1]))
    equal = g.op("Equal", g.op("Unsqueeze", elements, last), listed)  # [B, L, n]
    counted = g.op("ReduceSum", g.op("Cast", equal, to_i=INT32), last, keepdims_i=0)  # [B, L], 0 for n = 0
    return g.op("Cast", counted, to_i=BOOL)


@parse_args("v", "i", "v", "v", "s", "b")
def _largest_at(g: Any, into: Any, dim: int, index: Any, values: Any, how: str, with_own: bool) -> Any:
    """``scatter_reduce`` by maxima, which is all that retrievers use."""
    if how != "amax" or not with_own:
        raise NotImplementedError(f"scatter_reduce by {how!r}")
    return g.op("ScatterElements", into, index, values, axis_i=dim, reduction_s="max")


RULES: dict[str, Callable[..., Any]] = {"aten::isin": _isin, "aten::scatter_reduce": _largest_at}
"""The operations that torch's exporter has no rule for, or one whose shapes onnxruntime complains of."""
