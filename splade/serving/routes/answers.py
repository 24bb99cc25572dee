"""Parts that answers of several routes have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splade.serving.errors import NotValid
from splade.serving.forms import Refusal
from splade.serving.serving import Serving
from splade.serving.sides import Encoded, Input

REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": about, "model": Refusal}
    for status, about in {
        400: "nothing to encode",
        401: "no key, or a wrong one",
        413: "the body is too large",
        422: "a value that is not accepted",
        424: "the model or the engine failed",
        429: "too many requests wait; try again after the seconds of Retry-After",
    }.items()
}


def number(value: Any) -> float:
    """A float32 as the shortest decimal number that is read as the same float32."""
    return float(str(np.float32(value)))


def numbers(values: NDArray[Any]) -> list[float]:
    """`number` of each."""
    return [float(text) for text in map(str, values.astype(np.float32))]


def listed(inputs: Any) -> tuple[list[Input], bool]:
    """The inputs of a request as a list, and whether it came as one."""
    if isinstance(inputs, str):
        return [inputs], False
    if inputs and all(isinstance(each, int) for each in inputs):
        return [inputs], False
    return list(inputs), True


def check_batch(inputs: Sequence[Any], serving: Serving, name: str = "inputs", most: int | None = None) -> None:
    """NotValid where a request has more texts than one may."""
    most = serving.limits.max_client_batch_size if most is None else most
    if len(inputs) > most:
        raise NotValid(f"`{name}` has {len(inputs)} texts, and a request may have {most}")


def timed(encoded: Encoded, total: float) -> dict[str, str]:
    """The headers that tell what a request took, in milliseconds, and what it was."""
    times = encoded.times
    milliseconds = {
        "x-compute-time": total,
        "x-total-time": total,
        "x-tokenization-time": times.tokenization,
        "x-queue-time": times.queue,
        "x-inference-time": times.inference,
    }
    return {
        "x-compute-type": "cpu" if encoded.device == "cpu" else "gpu+optimized",
        "x-compute-characters": str(encoded.characters),
        "x-compute-tokens": str(encoded.n_tokens),
        **{name: str(round(1000 * seconds)) for name, seconds in milliseconds.items()},
    }
