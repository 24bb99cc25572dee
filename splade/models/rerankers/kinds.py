"""The kinds of reranker: what each asks its backbone, and where it reads the answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

from splade.files import InputError
from splade.models.backbones.adapters import base_of, has_adapter_files
from splade.models.backbones.loading import NO_CODE, folder_of, reason_of
from splade.models.rerankers.base import Pairwise, Pointwise, Reranker, load_model, single_token
from splade.models.rerankers.prompts import duo_t5, fitted, mono_t5, rank_t5, which_passage


class CrossEncoder(Pointwise):
    """A classifier of (query, document) with one label, whose logit is the score. arXiv 1901.04085."""

    kind = "cross_encoder"

    def load_backbone(self, name: str, head: str) -> Any:
        """A sequence classifier with one label; with ``head="new"`` any encoder gets one."""
        load = AutoModelForSequenceClassification.from_pretrained
        model = load_model(load, name, head, num_labels=1, ignore_mismatched_sizes=True)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = self.tokenizer.pad_token_id
        return model

    def encode(self, rows: Sequence[tuple[str, ...]]) -> dict[str, Tensor]:
        """The two texts as the tokenizer joins a pair, the longer one cut first."""
        tokens = self.tokenizer(
            [query for query, _ in rows],
            [document for _, document in rows],
            truncation="longest_first",
            max_length=self.max_length,
            padding=True,
            padding_side="right",
            return_tensors="pt",
        )
        return dict(tokens)

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """[N]: the one label's logit."""
        logits: Tensor = self.backbone(**inputs).logits  # [N, 1]
        return logits[:, 0]


class _FirstStep:
    """An encoder-decoder asked for its first decoder step."""

    backbone: Any

    def load_backbone(self, name: str, head: str) -> Any:
        """A sequence-to-sequence language model."""
        return load_model(AutoModelForSeq2SeqLM.from_pretrained, name, head)

    def first_step(self, inputs: dict[str, Tensor]) -> Tensor:
        """[N, V]: the logits of the first token of the answer."""
        config = self.backbone.config
        start = config.pad_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
        n = len(inputs["input_ids"])
        decoder = torch.full((n, 1), start, dtype=torch.int64, device=inputs["input_ids"].device)
        logits: Tensor = self.backbone(**inputs, decoder_input_ids=decoder, use_cache=False).logits  # [N, 1, V]
        return logits[:, 0]


class RankT5(_FirstStep, Pointwise):
    """A T5 whose score is one token's logit at the first decoder step. arXiv 2210.10634."""

    kind = "rankT5"

    def __init__(
        self,
        model_type_or_dir: str | Path,
        *,
        max_length: int = 256,
        head: str = "pretrained",
        answer_token: str = "<extra_id_10>",
    ) -> None:
        super().__init__(model_type_or_dir, max_length=max_length, head=head)
        self.answer_token = answer_token
        self.answer_id = single_token(self.tokenizer, answer_token)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make this reranker again from its folder."""
        return {**super().settings(), "answer_token": self.answer_token}

    def encode(self, rows: Sequence[tuple[str, ...]]) -> dict[str, Tensor]:
        """The prompt ``rank_t5``."""
        return self.padded(fitted(rank_t5, self.tokenizer, rows, self.max_length))

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """[N]: the logit of the answer token."""
        return self.first_step(inputs)[:, self.answer_id]


class _TrueOrFalse(_FirstStep, Reranker):
    """An encoder-decoder that answers with the tokens of "true" and "false", taken from its tokenizer."""

    def __init__(self, model_type_or_dir: str | Path, *, max_length: int = 256, head: str = "pretrained") -> None:
        super().__init__(model_type_or_dir, max_length=max_length, head=head)
        self.true_id, self.false_id = (single_token(self.tokenizer, word) for word in ("true", "false"))

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """[N]: the log-odds of "true" against "false"."""
        step = self.first_step(inputs)
        return step[:, self.true_id] - step[:, self.false_id]


class MonoT5(_TrueOrFalse, Pointwise):
    """A T5 that says true or false of a document; the score is the log-odds. arXiv 2003.06713."""

    kind = "monoT5"

    def encode(self, rows: Sequence[tuple[str, ...]]) -> dict[str, Tensor]:
        """The prompt ``mono_t5``."""
        return self.padded(fitted(mono_t5, self.tokenizer, rows, self.max_length))


class DuoT5(_TrueOrFalse, Pairwise):
    """A T5 that says whether the first of two documents is the better one. arXiv 2101.05667."""

    kind = "duoT5"

    def encode(self, rows: Sequence[tuple[str, ...]]) -> dict[str, Tensor]:
        """The prompt ``duo_t5``."""
        return self.padded(fitted(duo_t5, self.tokenizer, rows, self.max_length))


class PairwisePrompt(_FirstStep, Pairwise):
    """A language model, decoder or encoder-decoder, asked which of two passages is better: A or B.

    Scores compare the two answers' tokens, so nothing is generated. After arXiv 2306.17563.
    """

    kind = "pairwise_prompt"

    def __init__(self, model_type_or_dir: str | Path, *, max_length: int = 256, head: str = "pretrained") -> None:
        super().__init__(model_type_or_dir, max_length=max_length, head=head)
        self.is_decoder = not self.backbone.config.is_encoder_decoder
        words = ("A", "B")
        if self.is_decoder:
            self.answer_ids = [continuation_token(self.tokenizer, "Passage", word) for word in words]
        else:
            self.answer_ids = [single_token(self.tokenizer, word) for word in words]

    def load_backbone(self, name: str, head: str) -> Any:
        """A language model, of the form that the folder's config tells."""
        try:
            place = base_of(Path(name), folder_of) if has_adapter_files(name) else name
            config = AutoConfig.from_pretrained(str(place), **NO_CODE)
        except (OSError, ValueError) as error:
            raise InputError(f"init_dict.model_type_or_dir={name}: cannot be loaded: {reason_of(error)}") from error
        form = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        return load_model(form.from_pretrained, name, head)

    def encode(self, rows: Sequence[tuple[str, ...]]) -> dict[str, Tensor]:
        """The prompt ``which_passage``; for a decoder without an end mark after it."""
        ids = fitted(which_passage, self.tokenizer, rows, self.max_length)
        if self.is_decoder:
            ends = {self.tokenizer.eos_token_id, self.tokenizer.sep_token_id} - {None}
            ids = [row[:-1] if row[-1] in ends else row for row in ids]
        return self.padded(ids)

    def logits(self, inputs: dict[str, Tensor]) -> Tensor:
        """[N]: the log-odds of answer A against answer B."""
        first, second = self.answer_ids
        step = self._last_step(inputs) if self.is_decoder else self.first_step(inputs)  # [N, V]
        return step[:, first] - step[:, second]

    def _last_step(self, inputs: dict[str, Tensor]) -> Tensor:
        """[N, V]: a decoder's logits after each row's last token."""
        last = inputs["attention_mask"].sum(dim=1) - 1
        logits: Tensor = self.backbone(**inputs, use_cache=False).logits  # [N, L, V]
        return logits[torch.arange(len(last), device=last.device), last]


def continuation_token(tokenizer: Any, before: str, word: str) -> int:
    """The id of the token that writes ``word`` after ``before`` and a space."""
    start = tokenizer(before, add_special_tokens=False)["input_ids"]
    whole = tokenizer(f"{before} {word}", add_special_tokens=False)["input_ids"]
    if whole[: len(start)] != start or len(whole) != len(start) + 1 or whole[-1] == tokenizer.unk_token_id:
        raise InputError(
            f"{tokenizer.name_or_path}: the answer {word!r} after {before!r} must be one known token, "
            f"got {tokenizer.convert_ids_to_tokens(whole[len(start) :])}; use another model"
        )
    return int(whole[-1])
