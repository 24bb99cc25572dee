"""The base of every retriever, sparse or dense: two sides, each a function from token ids to one vector per text."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from splade.files import InputError
from splade.models.backbones.limits import check_length, check_prompt
from splade.models.backbones.loading import folder_of, has_tokenizer, load_tokenizer
from splade.models.backbones.lower_case import lower_casing
from splade.models.backbones.neighbours import Reader
from splade.models.heads.sparse_head import sparse_rows
from splade.records import SIDES, SparseRows


class Retriever(nn.Module):
    """A query side and a document side whose vectors are compared by dot product.

    Subclass :class:`splade.models.SparseRetriever` or :class:`splade.models.DenseRetriever`: ``engine`` names the
    engine that keeps such vectors and searches them.

    ``document`` encodes documents, and queries too unless there is a ``query`` module of its own.
    Texts are read up to ``max_length`` tokens (``max_length_q`` for queries, the same where None).
    ``prompt_q`` and ``prompt_d`` are put before every text of their side.
    ``freeze_document`` keeps the document encoder in evaluation mode, also after ``train()``, and out of the gradient.
    Both sides start in evaluation mode.

    Raises InputError where widths, vocabularies or lengths do not fit each other.
    """

    engine: ClassVar[str]
    is_sparse: ClassVar[bool]
    own_query_encoder: ClassVar[bool] = False  # True: there is something to train beside a frozen document encoder
    query_folder = ("query", "model_type_or_dir_q")  # where a query side is saved, the argument that loads it again
    folders: tuple[str, ...] = ()  # parts beside the sides: where each is saved, its attribute, its argument

    def __init__(
        self,
        document: Any,
        query: nn.Module | None = None,
        *,
        tokenizer: Any,
        max_length: int = 256,
        max_length_q: int | None = None,
        freeze_document: bool = False,
        prompt_q: str | None = None,
        prompt_d: str | None = None,
    ) -> None:
        super().__init__()
        sides: dict[str, nn.Module] = {"document": document}
        if query is not None:
            sides["query"] = query
        self.encoders = nn.ModuleDict(sides)
        self.vocab_size: int = document.vocab_size
        self.extra: dict[str, Any] = {}
        self._tokenizer = tokenizer
        self._lengths = {"document": max_length, "query": max_length if max_length_q is None else max_length_q}
        self._prompts = {"document": prompt_d or "", "query": prompt_q or ""}
        self._frozen = freeze_document
        self._check_widths()
        self._check_lengths()
        if freeze_document:
            document.requires_grad_(False)
        self.eval()
        self._check_neighbours()

    @property
    def shares_encoder(self) -> bool:
        """True where queries go through the document encoder."""
        return "query" not in self.encoders

    def forward(self, side: str, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Vectors [B, V] of one ``side`` ("query" or "document"), float32, from ids and mask [B, L] int64.

        A text without tokens gives the zero vector.
        """
        self._check_side(side)
        name = "document" if self.shares_encoder else side
        frozen = self._frozen and name == "document"
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            encoded = self.encoders[name](input_ids, attention_mask, *self._encoder_options(side))
            return self.finish(side, encoded, input_ids, attention_mask)

    @torch.no_grad()
    def rows(self, side: str, input_ids: Tensor, attention_mask: Tensor) -> SparseRows:
        """As :meth:`forward`, the non-zeros alone, on the CPU."""
        return sparse_rows(self(side, input_ids, attention_mask))

    def finish(self, side: str, encoded: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:  # noqa: ARG002
        """The vectors [B, V] of one ``side``, made of what its encoder gave [B, V]; here the same."""
        return encoded

    def train(self, mode: bool = True) -> "Retriever":
        """Training or evaluation mode; a frozen document encoder stays in evaluation mode."""
        super().train(mode)
        if self._frozen:
            self.encoders["document"].eval()
        return self

    def tokenizer(self, side: str) -> Any:
        """The tokenizer of a side; both sides have one vocabulary, so it is the same."""
        self._check_side(side)
        return self._tokenizer

    def max_length(self, side: str) -> int:
        """The most tokens of a text of this side that are read, special tokens counted."""
        self._check_side(side)
        return self._lengths[side]

    def prompt(self, side: str) -> str:
        """The text put before every text of this side; mostly empty."""
        self._check_side(side)
        return self._prompts[side]

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that, with the saved weights, build this retriever again (JSON values)."""
        return {
            "max_length": self._lengths["document"],
            "max_length_q": self._lengths["query"],
            **{f"prompt_{side[0]}": prompt for side, prompt in self._prompts.items() if prompt},
        }

    def document_settings(self) -> dict[str, Any]:
        """The settings that, beside weights and vocabulary, decide a document's vector; part of the fingerprint."""
        prompt = self._prompts["document"]
        return {"prompt": prompt} if prompt else {}

    def fingerprint(self) -> str:
        """32 hex digits that name the document side: weights, settings and vocabulary.

        The same before and after saving and on every device; query-side changes do not alter it.
        """
        return self._named_by(self.document_settings(), self.document_weights())

    def document_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Names and parameters that a document's vector depends on, each once."""
        yield from self._document.weights_in_use()

    def _named_by(self, settings: Mapping[str, Any], weights: Iterable[tuple[str, Tensor]]) -> str:
        """32 hex digits that name settings, weights and the vocabulary."""
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        vocabulary = sorted(self._tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0]))
        digest.update(json.dumps(vocabulary).encode())
        return weights_digest(weights, digest)

    def _encoder_options(self, side: str) -> tuple[Any, ...]:  # noqa: ARG002
        """Extra arguments that an encoder is called with for texts of ``side``; here none."""
        return ()

    @property
    def _document(self) -> Any:
        return self.encoders["document"]

    def _check_side(self, side: str) -> None:
        if side not in SIDES:
            raise ValueError(f"side must be 'query' or 'document', got {side!r}")

    def _check_widths(self) -> None:
        if not self.shares_encoder:
            width = int(self.encoders["query"].vocab_size)  # type: ignore[arg-type]
            if width != self.vocab_size:
                raise InputError(
                    f"the query encoder gives {width} terms and the document encoder {self.vocab_size}: their vectors "
                    "cannot be compared; give init_dict.model_type_or_dir_q a model over the vocabulary of "
                    "init_dict.model_type_or_dir"
                )

    def _check_lengths(self) -> None:
        for side in ("document", "query"):  # a length of queries that is not given is the documents'
            check_length(side, self._lengths[side], self.encoders["document" if self.shares_encoder else side])
            check_prompt(side, self._lengths[side], self._prompts[side], self._tokenizer)

    def _check_neighbours(self) -> None:
        """Have every transformer find out whether padding changes its states."""
        pad = self._tokenizer.pad_token_id or 0
        for encoder in self.encoders.values():
            if isinstance(encoder, Reader):
                encoder.check_neighbours(max(self._lengths.values()), pad)


def weights_digest(weights: Iterable[tuple[str, Tensor]], digest: Any = None) -> str:
    """32 hex digits that name weights after the contents of ``digest`` (of hashlib); the same on every device."""
    digest = digest or hashlib.sha256()
    for name, weight in sorted(weights):
        values = weight.detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name} {tuple(values.shape)}".encode())
        digest.update(values.numpy().data)
    named: str = digest.hexdigest()[:32]
    return named


def tokenizer_for(
    source: str | Path,
    tokenizer: str | Path | None,
    query_source: str | Path | None = None,
    *,
    lower_case: bool = False,
) -> Any:
    """The tokenizer named ``tokenizer``, or the one beside ``source`` where that is None or empty.

    ``lower_case``: it lower-cases texts, see :mod:`splade.models.backbones.lower_case`.
    Raises InputError where the query encoder comes with a tokenizer of another vocabulary: the same
    term id would then mean two different words.
    """
    chosen = load_tokenizer(tokenizer or source)
    if query_source and has_tokenizer(folder_of(query_source)):
        own = load_tokenizer(query_source)
        if own.get_vocab() != chosen.get_vocab():
            raise InputError(
                f"{query_source}: the query encoder's vocabulary ({len(own)} tokens) is not the document side's "
                f"({len(chosen)} tokens, from {tokenizer or source}); term ids would mean different words. Give "
                "init_dict.model_type_or_dir_q a model over the same vocabulary"
            )
    return lower_casing(chosen) if lower_case else chosen
