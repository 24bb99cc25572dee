"""A tiny model of each kind, made once."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from splade.encoding import Encoder
from splade.explaining import Explainer
from splade.models import (
    Retriever,
    Splade,
    SpladeBm25,
    SpladeDoc,
    SpladeIdf,
    SpladeLexical,
    SpladeMlp,
    SpladeTable,
    SpladeTopK,
)
from tests.tiny import tiny_decoder, tiny_mlm


@pytest.fixture(scope="session")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Retriever]:
    """``model_of(kind)``, a key of `KINDS`."""
    folder = tmp_path_factory.mktemp("explained")

    @cache
    def made(name: str) -> Path:
        if name == "decoder":
            return tiny_decoder(folder / name)
        return tiny_mlm(folder / name, seed=len(name))

    idf = folder / "idf.json"
    idf.write_text(json.dumps({"heat": 2.5, "sun": 3.0, "water": 1.5, "the": 0.1, "f": 2.0}))
    (folder / "idf.about.json").write_text(json.dumps({"mean_length": 6.0}))
    return cache(lambda kind: KINDS[kind](made, idf))


KINDS: dict[str, Callable[..., Retriever]] = {
    "shared": lambda made, idf: Splade(made("mlm")),
    "separate": lambda made, idf: Splade(made("mlm"), model_type_or_dir_q=made("other")),
    "sum": lambda made, idf: Splade(made("mlm"), agg="sum"),
    "sum of queries, with a prompt": lambda made, idf: Splade(made("mlm"), agg_q="sum", prompt_q="search for "),
    "without special tokens": lambda made, idf: Splade(made("mlm"), pool_special_tokens=False),
    "lexical": lambda made, idf: SpladeLexical(made("mlm"), lexical_type="both"),
    "topk": lambda made, idf: SpladeTopK(made("mlm"), top_d=6, top_q=4),
    "doc": lambda made, idf: SpladeDoc(made("mlm")),
    "idf": lambda made, idf: SpladeIdf(made("mlm"), idf=idf),
    "table": lambda made, idf: SpladeTable(made("mlm")),
    "mlp": lambda made, idf: SpladeMlp(made("mlm")),
    "bm25": lambda made, idf: SpladeBm25(made("mlm"), idf=idf, idf_floor=0.0),
    "decoder": lambda made, idf: Splade(made("decoder"), attention="bidirectional"),
}


@pytest.fixture
def explainer_of(model_of: Callable[[str], Retriever]) -> Callable[..., Explainer]:
    """``explainer_of(kind)`` is the explainer of the tiny model of that kind."""

    def explainer(kind: str, **options: object) -> Explainer:
        model = model_of(kind)
        return Explainer(Encoder(model, "query"), Encoder(model, "document"), name=kind, **options)

    return explainer
