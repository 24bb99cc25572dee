"""SPLADE, and its variants that weigh both sides with a masked language model's head."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from splade.models.encoders.mlm import MlmEncoder, Pooling, one_of, special_ids
from splade.models.encoders.own_tokens import TokenBag
from splade.models.heads.activations import ACTIVATIONS
from splade.models.heads.pooling import AGGREGATIONS
from splade.models.retrievers.base import tokenizer_for
from splade.models.retrievers.sparse import SparseRetriever


class MlmRetriever(SparseRetriever):
    """Documents go through a masked language model's head; what queries go through, subclasses say.

    These set ``pool_special_tokens`` and ``lower_case``, as their arguments of these names say.
    """

    pool_special_tokens: bool
    lower_case: bool

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), **self._pooling_settings(), "lower_case": self.lower_case}

    def document_settings(self) -> dict[str, Any]:
        return {**super().document_settings(), **self._pooling_settings()}

    def _pooling_settings(self) -> dict[str, Any]:
        """Keyword arguments for the document encoder: its pooling, and attention and lower-casing where set."""
        encoder = self._document
        chosen = {"attention": encoder.attention, "lower_case": self.lower_case}  # left out where they change nothing
        return {
            "agg": encoder.agg,
            "activation": encoder.activation,
            "pool_special_tokens": self.pool_special_tokens,
            **{name: value for name, value in chosen.items() if value},
        }


class Splade(MlmRetriever):
    """Both sides weigh every term with a masked language model's head (SPLADE v2, arXiv 2109.10086).

    For a text of tokens i and a vocabulary of terms j::

        logit[i, j] = head(transformer(text)[i])[j]
        w[j] = max over i of log(1 + relu(logit[i, j]))
        score(query, document) = sum over j of w_query[j] * w_document[j]

    ``model_type_or_dir`` is a folder or hub name of a masked language model; ``model_type_or_dir_q`` a
    second one for queries, over the same vocabulary (one encoder serves both sides where None or empty).
    ``freeze_d_model`` trains the query encoder alone. ``tokenizer`` is a folder or name, by default the
    model's own. ``agg``: "max" or "sum"; ``activation``: "log1p_relu", "log1p_log1p_relu", "relu"; ``agg_q`` and
    ``activation_q``: those of queries, the same where None.

    ``head``: "pretrained" refuses weights without a trained head; "tied_identity" starts from an encoder
    without one, with ``head_bias`` (-5 by default) for all terms, and wants ``pool_special_tokens=False``,
    which keeps [CLS] and [SEP] out of the pooling; "new" initialises a missing head at random.
    ``prompt_q`` and ``prompt_d`` are put before every query and document; of their weights the ``top_q`` and
    ``top_d`` largest are kept, all where ≤ 0, the lower term ids of equal ones. ``lower_case``: texts are lower-cased
    before they are tokenised. ``attention``: "causal" (the default) or "bidirectional", of decoder language models.
    ``lora``: train low-rank adapters alone (r, alpha, dropout, target_modules).
    """

    def __init__(
        self,
        model_type_or_dir: str | Path,
        *,
        model_type_or_dir_q: str | Path | None = None,
        freeze_d_model: bool = False,
        agg: str = "max",
        activation: str = "log1p_relu",
        agg_q: str | None = None,
        activation_q: str | None = None,
        tokenizer: str | Path | None = None,
        max_length: int = 256,
        max_length_q: int | None = None,
        head: str = "pretrained",
        head_bias: float | None = None,
        pool_special_tokens: bool = True,
        prompt_q: str | None = None,
        prompt_d: str | None = None,
        top_q: int = -1,
        top_d: int = -1,
        attention: str | None = None,
        lower_case: bool = False,
        lora: Mapping[str, Any] | None = None,
    ) -> None:
        if freeze_d_model and not model_type_or_dir_q:
            raise ValueError(
                "init_dict.freeze_d_model=true leaves nothing to train without a query encoder of its own; set "
                "init_dict.model_type_or_dir_q, or init_dict.freeze_d_model=false"
            )
        own = tokenizer_for(model_type_or_dir, tokenizer, model_type_or_dir_q, lower_case=lower_case)
        unpooled = () if pool_special_tokens else special_ids(own)
        pooling = Pooling(agg, activation)
        pooling_q = _pooling_q(agg_q, activation_q, pooling)
        options: dict[str, Any] = {
            "head": head,
            "head_bias": head_bias,
            "unpooled": unpooled,
            "attention": attention,
            "lora": lora,
        }
        document = MlmEncoder(model_type_or_dir, **pooling._asdict(), **options)
        query = MlmEncoder(model_type_or_dir_q, **pooling_q._asdict(), **options) if model_type_or_dir_q else None
        super().__init__(
            document,
            query,
            tokenizer=own,
            max_length=max_length,
            max_length_q=max_length_q,
            freeze_document=freeze_d_model,
            prompt_q=prompt_q,
            prompt_d=prompt_d,
            top_q=top_q,
            top_d=top_d,
            pooling_q=None if pooling_q == pooling else pooling_q,
        )
        self.pool_special_tokens, self.lower_case = pool_special_tokens, lower_case

    def settings(self) -> dict[str, Any]:
        pooling_q = {
            f"{name}_q": value for name, value in (self._pooling_q or Pooling("", ""))._asdict().items() if value
        }
        return {**super().settings(), "freeze_d_model": self._frozen, **pooling_q}


class SpladeLexical(Splade):
    """Term weights without expansion: only the text's own tokens keep theirs.

    ``lexical_type`` says on which side: "query", "document" or "both". Other arguments as in :class:`Splade`.
    """

    def __init__(self, model_type_or_dir: str | Path, *, lexical_type: str = "query", **options: Any) -> None:
        one_of("init_dict.lexical_type", lexical_type, ("query", "document", "both"))
        super().__init__(model_type_or_dir, **options)
        for side, prompt in self._prompts.items():
            if prompt and lexical_type in (side, "both"):
                raise ValueError(
                    f"the prompt {prompt!r} would count as words of every {side} with init_dict.lexical_type="
                    f"{lexical_type}; leave hf.data.prompt_{side[0]} out"
                )
        self.lexical_type = lexical_type
        self.bag = TokenBag(self.vocab_size, special_ids(self._tokenizer))

    def refine(self, side: str, weights: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        if self.lexical_type not in (side, "both"):
            return weights
        return weights * self.bag(input_ids, attention_mask)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "lexical_type": self.lexical_type}

    def document_settings(self) -> dict[str, Any]:
        return {**super().document_settings(), "lexical": self.lexical_type in ("document", "both")}


class SpladeTopK(Splade):
    """:class:`Splade` under the name that says that ``top_d`` and ``top_q`` are given."""

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "top_d": self.tops["document"], "top_q": self.tops["query"]}

    def document_settings(self) -> dict[str, Any]:
        return {**super().document_settings(), "top": max(self.tops["document"], 0)}


def _pooling_q(agg: str | None, activation: str | None, document: Pooling) -> Pooling:
    if agg:
        one_of("init_dict.agg_q", agg, AGGREGATIONS)
    if activation:
        one_of("init_dict.activation_q", activation, ACTIVATIONS)
    return Pooling(agg or document.agg, activation or document.activation)
