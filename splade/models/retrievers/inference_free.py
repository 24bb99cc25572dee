"""Retrievers whose queries go through no transformer: bags of tokens, plain or with a weight for each token."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splade.models.backbones.loading import folder_of
from splade.models.encoders.mlm import MlmEncoder, one_of, special_ids
from splade.models.encoders.own_tokens import LearnedTable, TokenBag, TokenTable
from splade.models.encoders.token_tables import IDF, STATIC_FOLDER, read_table
from splade.models.heads.activations import ACTIVATIONS
from splade.models.retrievers.base import tokenizer_for
from splade.models.retrievers.splade import MlmRetriever


class SpladeDoc(MlmRetriever):
    """Documents as in :class:`splade.models.Splade`; a query is the binary bag of its own tokens, without any encoder.

    Padding, [CLS], [SEP] and mask tokens are left out of the bag. Arguments as in :class:`splade.models.Splade`.
    """

    query_folder = (STATIC_FOLDER, "")

    def __init__(
        self,
        model_type_or_dir: str | Path,
        *,
        agg: str = "max",
        activation: str = "log1p_relu",
        tokenizer: str | Path | None = None,
        max_length: int = 256,
        max_length_q: int | None = None,
        head: str = "pretrained",
        head_bias: float | None = None,
        pool_special_tokens: bool = True,
        prompt_d: str | None = None,
        attention: str | None = None,
        lower_case: bool = False,
        lora: Mapping[str, Any] | None = None,
        top_q: int = -1,
        top_d: int = -1,
    ) -> None:
        own = tokenizer_for(model_type_or_dir, tokenizer, lower_case=lower_case)
        special = special_ids(own)
        document = MlmEncoder(
            model_type_or_dir,
            agg=agg,
            activation=activation,
            head=head,
            head_bias=head_bias,
            unpooled=() if pool_special_tokens else special,
            attention=attention,
            lora=lora,
        )
        super().__init__(
            document,
            TokenBag(document.vocab_size, special),
            tokenizer=own,
            max_length=max_length,
            max_length_q=max_length_q,
            prompt_d=prompt_d,
            top_q=top_q,
            top_d=top_d,
        )
        self.pool_special_tokens, self.lower_case = pool_special_tokens, lower_case

    def _weigh_queries(self, side: TokenBag) -> None:
        self.encoders["query"] = side.eval()


class SpladeIdf(SpladeDoc):
    """Documents as in :class:`splade.models.Splade`; a query's own tokens weigh their IDF (arXiv 2411.04403).

    ``idf`` is a JSON file {token: weight}, as ``splade idf`` writes it and as OpenSearch's models carry it, or a
    folder with a table; where None, the ``idf.json`` beside the model. It stays as it is unless ``train_idf``.
    Other arguments as in :class:`SpladeDoc`.
    """

    query_folder = (STATIC_FOLDER, "idf")

    def __init__(
        self, model_type_or_dir: str | Path, *, idf: str | Path | None = None, train_idf: bool = False, **options: Any
    ) -> None:
        super().__init__(model_type_or_dir, **options)
        path = Path(idf) if idf else folder_of(model_type_or_dir) / IDF
        weights = read_table(path, self._tokenizer, self.vocab_size, "init_dict.idf")
        self._weigh_queries(TokenTable(weights, special_ids(self._tokenizer), frozen=not train_idf))
        self.train_idf = train_idf

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "train_idf": self.train_idf}


class SpladeTable(SpladeDoc):
    """Documents as in :class:`splade.models.Splade`; a query's own tokens have learned weights (arXiv 2505.01452).

    The weight of a token is ``activation_q(w · E[token] + b)``, ``E`` starting as the document model's word
    embeddings; it starts at 1 for every token. ``table`` is a folder with weights that were learned before: they
    are then learned on, each by itself. Other arguments as in :class:`SpladeDoc`.
    """

    query_folder = (STATIC_FOLDER, "table")

    def __init__(
        self,
        model_type_or_dir: str | Path,
        *,
        activation_q: str | None = None,
        table: str | Path | None = None,
        **options: Any,
    ) -> None:
        activation_q = activation_q or "log1p_relu"
        one_of("init_dict.activation_q", activation_q, ACTIVATIONS)
        super().__init__(model_type_or_dir, **options)
        special = special_ids(self._tokenizer)
        if table:
            weights = read_table(Path(table), self._tokenizer, self.vocab_size, "table")
            self._weigh_queries(TokenTable(weights, special))
        else:
            embeddings = _as_wide(self._document.model.get_input_embeddings().weight, self.vocab_size)
            self._weigh_queries(LearnedTable(embeddings, special, activation=activation_q))
        self.activation_q = activation_q

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "activation_q": self.activation_q}


def _as_wide(embeddings: Tensor, vocab_size: int) -> Tensor:
    """Word embeddings [V, D] of as many terms as the head has; rows for terms without an embedding are zeros."""
    missing = vocab_size - len(embeddings)
    if missing <= 0:
        return embeddings[:vocab_size]
    return torch.cat([embeddings, embeddings.new_zeros(missing, embeddings.shape[1])])
