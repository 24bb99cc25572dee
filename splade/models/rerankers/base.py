"""The base of all rerankers: a backbone with its tokenizer, scores of pairs, and a folder that describes itself.

Letters: ``B`` queries, ``n`` documents per query, ``N`` prompts.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoTokenizer

from splade.files import InputError, write_json
from splade.models.backbones.adapters import base_of, has_adapter_files, load_merged
from splade.models.backbones.loading import NO_CODE, check_sentencepiece, folder_of, has_tokenizer, reason_of
from splade.models.backbones.neighbours import by_length, may_pad

DESCRIPTION = "reranker.json"
FORMAT = 1
HEADS = ("pretrained", "new")


class Reranker(torch.nn.Module, ABC):
    """Scores documents for a query with both texts in sight. Higher is better.

    ``group_scores`` (with gradient) trains, ``score`` (without) ranks; both meet the texts through the
    same ``encode``, so the prompt of training is the prompt of inference.
    """

    kind: ClassVar[str]

    def __init__(self, model_type_or_dir: str | Path, *, max_length: int = 256, head: str = "pretrained") -> None:
        """Load the backbone and tokenizer of a folder or hub name.

        ``max_length`` is in tokens of the whole input. ``head="new"`` allows weights that the folder lacks
        to be newly initialised, for training; otherwise they are an InputError that names them.
        """
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"init_dict.head must be one of {', '.join(HEADS)} for a reranker, got {head!r}")
        if max_length < 8:
            raise ValueError(f"config.max_length must be at least 8 tokens, got {max_length}")
        self.max_length = max_length
        self.tokenizer = _tokenizer(str(model_type_or_dir))
        self.backbone = self.load_backbone(str(model_type_or_dir), head)
        self._inputs = set(inspect.signature(self.backbone.forward).parameters)
        self._pads: bool | None = None

    @abstractmethod
    def load_backbone(self, name: str, head: str) -> Any:
        """The transformers model of ``name``."""

    @abstractmethod
    def encode(self, rows: Sequence[tuple[str, ...]]) -> dict[str, Tensor]:
        """The backbone's inputs for rows of a query and its documents: right-padded [N, L] int64 on the CPU."""

    @abstractmethod
    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """[N] float32 from encoded rows; above 0 is relevant, or says that the first document is better."""

    @abstractmethod
    def group_scores(self, queries: Sequence[str], documents: Sequence[Sequence[str]]) -> Tensor:
        """[B, n] float32 with gradient: the scores of n documents for each query."""

    @abstractmethod
    def rows_for(self, n_documents: int) -> int:
        """Count the backbone's input rows that score the documents of one query; a batch holds them query by query."""

    @abstractmethod
    def score(self, pairs: Sequence[tuple[str, str]], batch_size: int = 32) -> Tensor:
        """[len(pairs)] float32 on the CPU: the score of each (query, document), in evaluation mode."""

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make this reranker again from its folder."""
        return {"max_length": self.max_length}

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return next(self.backbone.parameters()).device

    def row_logits(self, rows: Sequence[tuple[str, ...]]) -> Tensor:
        """[N] float32 on the model's device, from texts."""
        encoded = {name: part.to(self.device) for name, part in self.encode(rows).items()}
        inputs = {name: part for name, part in encoded.items() if name in self._inputs}

        def read(*parts: Tensor) -> Tensor:
            return self.logits(dict(zip(inputs, parts, strict=True))).float()

        if not rows or self.pads:
            return read(*inputs.values())
        return by_length(read, encoded["attention_mask"], *inputs.values())

    @property
    def pads(self) -> bool:
        """True where rows of different lengths may be computed together, padded; tried at the first use only."""
        if self._pads is None:
            was_training = self.training
            self.eval()
            self._pads = may_pad(self._logits_of, self.backbone, self.max_length, self.tokenizer.pad_token_id or 0)
            self.train(was_training)
        return self._pads

    def _logits_of(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        return self.logits({name: part for name, part in given.items() if name in self._inputs})

    @torch.no_grad()
    def all_logits(self, rows: Sequence[tuple[str, ...]], batch_size: int) -> Tensor:
        """[N] float32 on the CPU, in evaluation mode: rows of like length together, the order kept."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        was_training = self.training
        self.eval()
        found = torch.empty(len(rows))
        by_length = sorted(range(len(rows)), key=lambda row: sum(map(len, rows[row])), reverse=True)
        for start in range(0, len(rows), batch_size):
            chosen = by_length[start : start + batch_size]
            found[chosen] = self.row_logits([rows[row] for row in chosen]).cpu()
        self.train(was_training)
        return found

    def save_pretrained(self, folder: str | Path, extra: dict[str, Any] | None = None) -> None:
        """Write backbone, tokenizer and ``reranker.json``; for whole-or-absent give a ``whole_folder``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.backbone.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        description = {"format": FORMAT, "kind": self.kind, "settings": self.settings(), "extra": extra or {}}
        write_json(folder / DESCRIPTION, description)

    def padded(self, rows: list[list[int]]) -> dict[str, Tensor]:
        """Token ids as right-padded ``input_ids`` and ``attention_mask``, [N, L] int64."""
        pad = self.tokenizer.pad_token_id if self.tokenizer.pad_token_id is not None else 0
        width = max(map(len, rows), default=0)
        input_ids = torch.full((len(rows), width), pad, dtype=torch.int64)
        attention_mask = torch.zeros_like(input_ids)
        for number, ids in enumerate(rows):
            input_ids[number, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
            attention_mask[number, : len(ids)] = 1
        return {"input_ids": input_ids, "attention_mask": attention_mask}


class Pointwise(Reranker):
    """A reranker that scores each document by itself."""

    def group_scores(self, queries: Sequence[str], documents: Sequence[Sequence[str]]) -> Tensor:
        """[B, n] float32 with gradient: the logit of each document."""
        rows = [(query, text) for query, group in zip(queries, documents, strict=True) for text in group]
        return self.row_logits(rows).view(len(queries), -1)

    def rows_for(self, n_documents: int) -> int:
        """One row for each document."""
        return n_documents

    def score(self, pairs: Sequence[tuple[str, str]], batch_size: int = 32) -> Tensor:
        """[len(pairs)] float32 on the CPU: the logit of each (query, document)."""
        return self.all_logits(pairs, batch_size)


class Pairwise(Reranker):
    """A reranker that says which of two documents is better; n documents take n(n - 1) comparisons.

    Memory and time grow with the square of the documents per query: rerank few.
    """

    def group_scores(self, queries: Sequence[str], documents: Sequence[Sequence[str]]) -> Tensor:
        """[B, n] float32 with gradient: each document's mean logit of beating another.

        With one negative, BCE of these is the loss of a comparison in both orders.
        """
        rows, n = [], len(documents[0])
        if n < 2:
            raise ValueError("a pairwise reranker compares documents: give at least one negative per query")
        for query, group in zip(queries, documents, strict=True):
            rows += [(query, *pair) for pair in _ordered_pairs(group)]
        return self.row_logits(rows).view(len(queries), n, n - 1).mean(dim=2)

    def rows_for(self, n_documents: int) -> int:
        """One row for each ordered pair of documents."""
        return n_documents * (n_documents - 1)

    def score(self, pairs: Sequence[tuple[str, str]], batch_size: int = 32) -> Tensor:
        """[len(pairs)] float32 on the CPU: how likely each document is the better one of two.

        The documents of one query, wherever they stand in ``pairs``, are compared with each other in both
        orders: the mean over others of ½[p(i before j) + 1 - p(j before i)] (SYM-SUM, arXiv 2101.05667).
        A document without others has ½.
        """
        members: dict[str, list[int]] = {}
        for number, (query, _) in enumerate(pairs):
            members.setdefault(query, []).append(number)
        found = torch.full((len(pairs),), 0.5)
        for query, numbers in members.items():
            n = len(numbers)
            if n > 1:
                rows = [(query, *pair) for pair in _ordered_pairs([pairs[number][1] for number in numbers])]
                found[numbers] = _symmetric_mean(torch.sigmoid(self.all_logits(rows, batch_size)).view(n, n - 1))
        return found


def _ordered_pairs(group: Sequence[str]) -> list[tuple[str, str]]:
    """(i, j) for every i and every j ≠ i, i slowest."""
    return [(a, b) for i, a in enumerate(group) for j, b in enumerate(group) if i != j]


def _symmetric_mean(wins: Tensor) -> Tensor:
    """[n] from the probabilities [n, n - 1] that row i wins over each other."""
    n = len(wins)
    square = torch.zeros(n, n)
    square[~torch.eye(n, dtype=torch.bool)] = wins.flatten()
    return 0.5 * (square.sum(dim=1) + (n - 1) - square.sum(dim=0)) / (n - 1)


def load_model(loader: Callable[..., Any], name: str, head: str, **options: Any) -> Any:
    """The model of a folder or hub name; missing weights are an InputError unless ``head`` is "new"."""

    def load(place: str | Path) -> tuple[Any, dict[str, Any]]:
        loaded: tuple[Any, dict[str, Any]] = loader(str(place), output_loading_info=True, **options, **NO_CODE)
        return loaded

    try:
        if has_adapter_files(name):
            model, report = load_merged(Path(name), base_of(Path(name), folder_of), load)
        else:
            model, report = load(name)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"init_dict.model_type_or_dir={name}: cannot be loaded as a reranker: {reason_of(error)}"
        ) from error
    misshapen = {key if isinstance(key, str) else str(key[0]) for key in report["mismatched_keys"]}
    lacking = sorted(misshapen | {str(key) for key in report["missing_keys"]})
    if lacking and head != "new":
        raise InputError(
            f"init_dict.model_type_or_dir={name} has no trained weights for {', '.join(lacking[:4])}"
            f"{' …' if len(lacking) > 4 else ''}: name a trained reranker, or set init_dict.head=new to train one"
        )
    return model


def single_token(tokenizer: Any, word: str) -> int:
    """The id of ``word``'s only token; InputError where the tokenizer makes none, several or an unknown one."""
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1 or (tokenizer.unk_token_id is not None and ids[0] == tokenizer.unk_token_id):
        raise InputError(
            f"{tokenizer.name_or_path}: the answer {word!r} must be one known token, got {len(ids)}: "
            f"{tokenizer.convert_ids_to_tokens(ids)}; use a tokenizer that has it or name another answer"
        )
    return int(ids[0])


def _tokenizer(name: str) -> Any:
    place = base_of(Path(name), folder_of) if has_adapter_files(name) and not has_tokenizer(Path(name)) else Path(name)
    check_sentencepiece(place)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(place), **NO_CODE)
    except (OSError, ValueError) as error:
        raise InputError(
            f"init_dict.model_type_or_dir={name}: no tokenizer can be loaded from it: {reason_of(error)}"
        ) from error
    if not tokenizer.is_fast:
        raise InputError(f"{name}: a reranker needs a fast tokenizer (tokenizer.json), got {type(tokenizer).__name__}")
    return tokenizer
