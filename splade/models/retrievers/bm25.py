"""SPLADE with BM25 inside: one vector, one index."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splade.files import InputError, read_json
from splade.models.encoders.lexical_weights import LexicalWeights, Saturation, learned
from splade.models.encoders.mlm import special_ids
from splade.models.encoders.own_tokens import at_own_terms
from splade.models.encoders.token_tables import read_table
from splade.models.retrievers.sparse import source
from splade.models.retrievers.splade import Splade
from splade.records import Source

EXPANSION, STRENGTH = 0.2, 0.45
"""At the start the head's weights count 0.2, and BM25's score 0.45². docs/bm25.md tells what is known of
the choice."""


class SpladeBm25(Splade):
    """:class:`Splade` whose texts' own tokens have weights of BM25 too, on both sides; searched as one vector.

    ``w[t] = expansion · splade[t] + g[t] · s``, where s is 1 in queries and BM25's share of frequency and length in
    documents. g starts as ``0.45 √max(idf - idf_floor, 0)``: with the floor of 1.5, tokens that more than about a fifth
    of the texts have (e^-1.5) add nothing and cost no postings. Rankings depend on ``expansion / 0.45`` alone.
    ``idf`` is a file {token: IDF} of ``splade idf``, which also knows the mean number of tokens of a document, unless
    ``mean_length`` gives it. ``expansion`` starts at 0.2.
    ``lexical`` is a folder with weights that were learned before. Other arguments as in :class:`Splade`.
    """

    folders = ("lexical",)
    lexical_settings = Saturation._fields

    def __init__(
        self,
        model_type_or_dir: str | Path,
        *,
        idf: str | Path | None = None,
        idf_floor: float = 1.5,
        k1: float = 1.2,
        b: float = 0.75,
        mean_length: float | None = None,
        expansion: float | None = None,
        lexical: str | Path | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model_type_or_dir, **options)
        self._refuse_prompts()
        weights, share = self._start(idf, idf_floor, lexical)
        self.saturation = _saturation(k1, b, mean_length_of(idf) if mean_length is None else mean_length)
        share = share if expansion is None else _checked("expansion", expansion, expansion >= 0, "0 or above")
        self.lexical = LexicalWeights(weights, special_ids(self._tokenizer), self.saturation, share).eval()

    def refine(self, side: str, weights: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        vectors: Tensor = self.lexical(side, weights, input_ids, attention_mask)
        return vectors

    @torch.no_grad()
    def sources(self, side: str, input_ids: Tensor, attention_mask: Tensor, terms: Tensor) -> list[Source]:
        share = np.float32(self.lexical.expansion.relu().item())
        expanded = super().sources(side, input_ids, attention_mask, terms)
        own = self.lexical.token_weights(side, input_ids, attention_mask)
        return [
            *(part._replace(weights=part.weights * share) for part in expanded),
            source("bm25", "max", at_own_terms(input_ids, own, terms)),
        ]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), **self.saturation._asdict()}

    def document_settings(self) -> dict[str, Any]:
        return {**super().document_settings(), "lexical": self.saturation._asdict()}

    def document_weights(self) -> Iterator[tuple[str, Tensor]]:
        yield from super().document_weights()
        yield from self.lexical.named_parameters(prefix="lexical")

    def head_fingerprint(self) -> str:
        """The fingerprint of the model that gives what this one's head gives: that before ``splade add_bm25``."""
        settings = {name: value for name, value in super().document_settings().items() if name != "top"}
        return self._named_by(settings, super().document_weights())

    def _start(self, idf: str | Path | None, floor: float, lexical: str | Path | None) -> tuple[Tensor, float]:
        """g [V] and the weight of the expansion."""
        if lexical is not None:
            return learned(Path(lexical))
        if idf is None:
            raise InputError(
                "init_dict.idf is not given: splade_bm25 starts from the IDF of a collection; write it with "
                "python -m splade.idf data.COLLECTION_PATH=COLLECTION init_dict.idf=idf.json"
            )
        table = read_table(Path(idf), self._tokenizer, self.vocab_size, "init_dict.idf")
        return STRENGTH * (table - floor).relu().sqrt(), EXPANSION

    def _refuse_prompts(self) -> None:
        for side, prompt in self._prompts.items():
            if prompt:
                raise ValueError(
                    f"the prompt {prompt!r} would count as words of every {side}; leave hf.data.prompt_{side[0]} out"
                )


def mean_length_of(idf: str | Path | None) -> float:
    """The mean number of tokens of the documents that an IDF file was counted in; InputError where it is not known."""
    described = Path(idf).with_suffix(".about.json") if idf else None
    about = read_json(described) if described and described.is_file() else {}
    if "mean_length" not in about:
        raise InputError(
            f"init_dict.idf={idf}: the mean length of a document is not known, since no {described and described.name} "
            "of splade.idf tells it; write the file anew with python -m splade.idf, or set init_dict.mean_length"
        )
    return float(about["mean_length"])


def _saturation(k1: float, b: float, mean_length: float) -> Saturation:
    return Saturation(
        _checked("k1", k1, k1 >= 0, "0 or above"),
        _checked("b", b, 0 <= b <= 1, "from 0 to 1"),
        _checked("mean_length", mean_length, mean_length > 0, "above 0"),
    )


def _checked(name: str, value: float, holds: bool, accepted: str) -> float:
    if not holds:
        raise ValueError(f"init_dict.{name} must be {accepted}, got {value}")
    return value
