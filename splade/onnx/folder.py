"""The folder of a model that was exported as ONNX graphs, and what stands in it for the model itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from splade.encoding.protocol import named_terms
from splade.encoding.reading import Reading, tokenizer_file
from splade.exporting.manifest import MANIFEST, read_manifest
from splade.files import InputError

TARGET = "onnx"
CHANGEABLE = ("max_length", "max_length_q", "prompt_q", "top_q")
"""Settings of the model that its user may change: no graph and no fingerprint depends on them."""


def is_onnx(folder: str | Path) -> bool:
    """True where ``folder`` holds an export of a model as ONNX graphs; InputError for a damaged manifest."""
    folder = Path(folder)
    return (folder / MANIFEST).is_file() and read_manifest(folder).get("target") == TARGET


class OnnxModel:
    """A sparse model as it was exported into ``folder``, which says all of it but what ``settings`` change.

    ``settings`` are among `CHANGEABLE`; ``about`` stands in for a manifest that is not written yet. InputError where
    the folder holds something else, and for a length that the graph has no positions for.
    """

    engine: ClassVar[str] = "inverted"
    is_sparse: ClassVar[bool] = True

    def __init__(
        self,
        folder: str | Path,
        settings: Mapping[str, Any] | None = None,
        *,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = Path(folder)
        if about is None and not is_onnx(self.folder):
            raise InputError(f"{self.folder}: no model as ONNX graphs; write one with splade.export export.target=onnx")
        self.about = read_manifest(self.folder) if about is None else about
        self.settings: dict[str, Any] = {**self.about["model"]["settings"], **(settings or {})}
        self.vocab_size = int(self.about["model"]["vocab_size"])
        for side in ("document", "query"):
            longest, length = self.side(side).get("longest"), self.max_length(side)
            if longest is not None and length > longest:
                address = f"config.max_length{'_q' if side == 'query' else ''}"
                raise InputError(f"{address}={length}: this model has positions for {longest} tokens of a {side}")

    def fingerprint(self) -> str:
        """32 hex digits that name the document side of the model that was exported."""
        return str(self.about["model"]["fingerprint"])

    def side(self, side: str) -> dict[str, Any]:
        """Describe one side: its ``graph`` or ``table``, and what holds for it."""
        if side not in ("query", "document"):
            raise ValueError(f"side must be 'query' or 'document', got {side!r}")
        return dict(self.about["sides"][side])

    def max_length(self, side: str) -> int:
        """The most tokens of a text of this side that are read, special tokens counted."""
        own = self.settings.get("max_length_q") if side == "query" else None
        return int(self.settings["max_length"] if own is None else own)

    def prompt(self, side: str) -> str:
        """The text put before every text of this side; mostly empty."""
        return str(self.settings.get(f"prompt_{side[0]}") or "")

    def top(self, side: str) -> int:
        """The number of largest weights that are kept; all where it is not above 0."""
        return int(self.settings.get(f"top_{side[0]}") or -1)

    def reading(self, side: str, max_length: int | None = None) -> Reading:
        """The way of one side from texts to token ids."""
        told = self.about["model"]["tokenizer"]
        return Reading(
            self.tokenizer_json(),
            max_length or self.max_length(side),
            prompt=self.prompt(side),
            stand_in=int(told["stand_in"]),
            pad=int(told["pad"]),
        )

    def tokenizer_json(self) -> str:
        """The tokenizer, as the ``tokenizers`` package reads it."""
        return tokenizer_file(self.folder).read_text(encoding="utf-8")

    def terms(self) -> list[str]:
        """The name of every term, by its number, all different."""
        reading = self.reading("document")
        return named_terms([reading.token(id) for id in range(reading.n_tokens)], self.vocab_size)
