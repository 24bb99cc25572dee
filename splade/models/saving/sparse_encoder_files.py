"""The files that make a folder of ours a Sentence Transformers ``SparseEncoder`` (version 5; version 6 reads it too).

The document model lies at the root, where a Router finds it under the empty name; so one folder is a plain masked
language model, a ``SparseEncoder`` and a retriever of ours. What Sentence Transformers cannot do is not written.
"""

import copy
from pathlib import Path
from typing import Any

from splade.files import write_json
from splade.models.encoders.own_tokens import TokenBag
from splade.models.retrievers.base import Retriever
from splade.models.retrievers.sparse import SparseRetriever

KINDS = ("Splade", "SpladeTopK", "SpladeDoc", "SpladeIdf", "SpladeTable")
THEIR_ACTIVATION = {"log1p_relu": "relu", "log1p_log1p_relu": "log1p_relu"}
"""Ours by the whole function, theirs by what stands inside a final log1p."""

MODELS = "sentence_transformers.sparse_encoder.models"
MLM, POOLING = f"{MODELS}.MLMTransformer", f"{MODELS}.SpladePooling"
STATIC, ROUTER = f"{MODELS}.SparseStaticEmbedding", "sentence_transformers.models.Router"
VERSION = "5.0.0"  # of the form, not of anything that is installed


def obstacle(model: Retriever) -> str:
    """Why Sentence Transformers cannot make the vectors of ``model``, in words; empty where it can."""
    known = type(model).__name__ in KINDS and type(model).__module__.startswith("splade.")
    if not (known and isinstance(model, SparseRetriever)):
        return f"it has nothing like {type(model).__name__}"
    tops = {max(top, 0) for top in model.tops.values()}
    reasons = {
        "it pools special tokens too (pool_special_tokens is false)": not getattr(model, "pool_special_tokens", True),
        "it has no decoder language models in this place": any(
            getattr(encoder, "attention", None) for encoder in model.encoders.values()
        ),
        "it pads texts, which changes the vectors of this architecture": not all(
            getattr(encoder, "pads", True) for encoder in model.encoders.values()
        ),
        "it takes a table for tokens numbered without gaps (the tokenizer has some)": _has_gaps(model),
        "it has one limit for both sides (top_q and top_d differ)": len(tops) > 1,
        "it takes a logarithm after every activation (activation is relu)": "relu" in _activations(model),
        "one encoder reads all texts to one length (max_length and max_length_q differ)": (
            model.shares_encoder and model.max_length("query") != model.max_length("document")
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def write_sparse_encoder(model: SparseRetriever, folder: Path) -> None:
    """Add the files to ``folder``, which holds the weights and tokenizers of ``model`` already."""
    top = max(model.tops["document"], 0)
    about: dict[str, Any] = {
        "model_type": "SparseEncoder",  # without it a random auto-encoder would be put behind the model
        "__version__": {"sentence_transformers": VERSION},
        "prompts": {side: model.prompt(side) for side in ("query", "document")},
        "default_prompt_name": None,
        "similarity_fn_name": "dot",
    }
    write_json(folder / "config_sentence_transformers.json", about | ({"max_active_dims": top} if top else {}))
    _write_transformer(model, "document", folder)
    if model.shares_encoder and model.pools_alike:
        _write_pooling(model, "document", folder / "1_SpladePooling")
        write_json(folder / "modules.json", [_module(0, "", MLM), _module(1, "1_SpladePooling", POOLING)])
    else:
        _write_pooling(model, "document", folder / "document_1_SpladePooling")
        _write_router(folder, _query_modules(model, folder))


def save_token_table(model: Retriever, bag: TokenBag, folder: Path) -> None:
    """Write the weights of query tokens, with a tokenizer that cuts queries where ``model`` does.

    Sentence Transformers wants as many tokens as weights: terms of a head that has more get names of their own.
    """
    tokenizer = copy.deepcopy(model.tokenizer("query"))
    tokenizer.model_max_length = model.max_length("query") - tokenizer.num_special_tokens_to_add()
    tokenizer.add_tokens([f"[term_{term}]" for term in range(len(tokenizer), model.vocab_size)])
    bag.save(folder)
    tokenizer.save_pretrained(folder)


def _query_modules(model: SparseRetriever, folder: Path) -> dict[str, str]:
    """The types of the query side's modules by their names, which are folders below ``folder``, in order."""
    own = "" if model.shares_encoder else model.query_folder[0]
    if not model.shares_encoder and isinstance(model.encoders["query"], TokenBag):
        return {own: STATIC}
    if own:
        _write_transformer(model, "query", folder / own)
    _write_pooling(model, "query", folder / "query_1_SpladePooling")
    return {own: MLM, "query_1_SpladePooling": POOLING}


def _write_router(folder: Path, query: dict[str, str]) -> None:
    document = {"": MLM, "document_1_SpladePooling": POOLING}
    router = {
        "types": {name: f"{kind}.{kind.rsplit('.', 1)[1]}" for name, kind in {**query, **document}.items()},
        "structure": {"query": list(query), "document": list(document)},
        "parameters": {"default_route": "document", "allow_empty_key": True},
    }
    write_json(folder / "router_config.json", router)
    write_json(folder / "modules.json", [_module(0, "", ROUTER)])


def _write_transformer(model: SparseRetriever, side: str, folder: Path) -> None:
    settings = {"max_seq_length": model.max_length(side), "do_lower_case": False}
    write_json(folder / "sentence_bert_config.json", settings)


def _write_pooling(model: SparseRetriever, side: str, folder: Path) -> None:
    pooling = model.term_pooling(side)
    assert pooling is not None
    folder.mkdir()
    settings = {
        "pooling_strategy": pooling.agg,
        "activation_function": THEIR_ACTIVATION[pooling.activation],
        "word_embedding_dimension": model.vocab_size,
    }
    write_json(folder / "config.json", settings)


def _module(number: int, path: str, kind: str) -> dict[str, Any]:
    return {"idx": number, "name": str(number), "path": path, "type": kind}


def _has_gaps(model: SparseRetriever) -> bool:
    """True where a table holds the weights of query tokens, and their ids leave some numbers out."""
    if model.shares_encoder or not isinstance(model.encoders["query"], TokenBag):
        return False
    return set(model.tokenizer("query").get_vocab().values()) != set(range(len(model.tokenizer("query"))))


def _activations(model: SparseRetriever) -> set[str]:
    """The activations of all heads of ``model``."""
    poolings = [model.term_pooling(side) for side in ("query", "document")]
    return {pooling.activation for pooling in poolings if pooling is not None}
