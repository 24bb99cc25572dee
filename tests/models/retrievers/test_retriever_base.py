"""The two kinds of retrievers: what both are, and what one of them alone is."""

import math

import pytest
import torch
from torch import nn
from transformers import AutoModelForMaskedLM

from splade.models import Dense, DenseRetriever, Retriever, SparseRetriever, Splade, load_retriever, save_retriever
from splade.models.saving.checkpoint import KINDS
from tests.models.support import TEXTS, vectors


class HalfDense(Dense):
    """A dense retriever from outside the package, with a step of its own behind the encoder."""

    def finish(self, side, encoded, input_ids, attention_mask):
        return encoded / 2


def test_neither_kind_of_retriever_is_a_kind_of_the_other():
    assert SparseRetriever.__bases__ == DenseRetriever.__bases__ == (Retriever,)
    for kind in KINDS.values():
        assert issubclass(kind, SparseRetriever) != issubclass(kind, DenseRetriever)


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_every_published_kind_names_the_engine_that_keeps_its_vectors(name, kind):
    assert kind.engine == ("dense" if name == "Dense" else "inverted")


def test_what_belongs_to_sparse_vectors_is_not_found_in_a_dense_retriever(mlm):
    sparse, dense = Splade(mlm), Dense(mlm)
    for name in ("tops", "refine", "pools_alike", "term_pooling"):
        assert (hasattr(sparse, name), hasattr(dense, name)) == (True, False)
    with pytest.raises(TypeError, match="top_d"):
        Dense(mlm, top_d=3)


def test_a_dense_retriever_from_outside_the_package_finishes_its_vectors_and_is_loaded_again(mlm, tmp_path):
    model, plain = HalfDense(mlm), Dense(mlm)
    assert vectors(model, TEXTS).equal(vectors(plain, TEXTS) / 2)
    save_retriever(model, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    assert type(again) is HalfDense
    assert vectors(again, TEXTS).equal(vectors(model, TEXTS))
    assert again.fingerprint() == model.fingerprint()


def test_a_retriever_is_a_module_whose_engine_its_subclasses_say():
    assert issubclass(Retriever, nn.Module)
    assert not hasattr(Retriever, "engine")


def test_a_score_is_that_of_the_three_lines_in_the_docstring(mlm):
    lines = (
        "logit[i, j] = head(transformer(text)[i])[j]",
        "w[j] = max over i of log(1 + relu(logit[i, j]))",
        "score(query, document) = sum over j of w_query[j] * w_document[j]",
    )
    assert "\n".join(f"        {line}" for line in lines) in Splade.__doc__
    model, plain = Splade(mlm), AutoModelForMaskedLM.from_pretrained(mlm).eval()

    def by_the_lines(text):
        with torch.no_grad():
            logits = plain(**model.tokenizer("document")(text, return_tensors="pt")).logits[0].tolist()  # [L][V]
        return [max(math.log1p(max(logit[j], 0.0)) for logit in logits) for j in range(model.vocab_size)]

    query, document = by_the_lines(TEXTS[0]), by_the_lines(TEXTS[1])
    score = sum(w_query * w_document for w_query, w_document in zip(query, document, strict=True))
    found = vectors(model, TEXTS[:1], "query") @ vectors(model, TEXTS[1:2]).T
    assert found.item() == pytest.approx(score, rel=1e-5)
