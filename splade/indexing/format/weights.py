"""The ways to store weights: as they are, in half precision, or in eight bits."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splade.files import InputError

CODES = 255
LARGEST_HALF = 65504.0
SMALLEST_HALF = 2.0**-24


class Codec(NamedTuple):
    """Encodes weights for storage. No posting is lost: the smallest stored weight is above 0.

    ``name`` is "float32"; "float16", whose weights have 11 significant bits and end at 65504; or
    "uint8", whole multiples 1 to 255 of ``scale``, which is the largest weight over 255. "Exact" search
    is exact for the weights kept, which `keep` shows.
    """

    name: str
    scale: float  # a float32 number; 1 but for uint8

    def encode(self, weights: NDArray[np.float32]) -> NDArray[Any]:
        """Return the weights as they are stored: float32, uint16 with the bits of a float16, or uint8."""
        if self.name == "float32":
            return np.asarray(weights, np.float32)
        if self.name == "float16":
            if weights.size and float(weights.max()) > LARGEST_HALF:
                raise InputError(
                    f"weight {weights.max()} cannot be kept as float16, which ends at {LARGEST_HALF:.0f}: "
                    "keep weights as float32 or uint8"
                )
            return np.maximum(weights, np.float32(SMALLEST_HALF)).astype(np.float16).view(np.uint16)
        codes = np.rint(weights / np.float32(self.scale))
        return np.clip(codes, 1, CODES).astype(np.uint8)

    def keep(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights that a search sees; keeping them again changes nothing."""
        if self.name == "float32":
            return weights
        stored = self.encode(weights)
        if self.name == "float16":
            return stored.view(np.float16).astype(np.float32)
        return stored.astype(np.float32) * np.float32(self.scale)


def codec_for(name: str, largest: float) -> Codec:
    """The codec of this name for weights up to ``largest``; ValueError for an unknown name."""
    if name not in ("float32", "float16", "uint8"):
        raise ValueError(f"weights must be kept as float32, float16 or uint8, got {name!r}")
    if name != "uint8":
        return Codec(name, 1.0)
    smallest = float(np.finfo(np.float32).tiny)  # below, multiples would not be told apart
    return Codec(name, float(np.float32(max(largest / CODES, smallest))))
