"""The graph of a side: for every architecture and kind of model the weights of transformers and NumPy, or the model."""

import numpy as np
import onnxruntime
import pytest
import torch

from splade.files import InputError, write_json
from splade.models import Dense, Splade, SpladeBm25, SpladeDoc, SpladeLexical, SpladeMlp
from splade.models.graphs.onnx import write_graph
from tests.tiny import ARCHITECTURES, tiny_decoder, tiny_mlm, tiny_vocabulary

SHAPES = ((1, 1), (3, 11), (5, 40))
"""Texts and tokens of the batches that are compared: none of them is the traced one."""


def weights_of(path, ids, mask):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]


def batch_of(n, length, vocab_size, seed=0):
    """Ids and mask of ``n`` texts, one of full length."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, length + 1, (n,), generator=generator)
    lengths[0] = length
    mask = (torch.arange(length) < lengths[:, None]).long()
    return torch.randint(5, vocab_size, (n, length), generator=generator).masked_fill(mask == 0, 0), mask


@pytest.mark.thinned(4)
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_graph_gives_the_weights_of_the_language_models_logits(tmp_path, architecture):
    model = Splade(tiny_mlm(tmp_path / "model", arch=architecture), max_length=64)
    write_graph(model, "document", tmp_path / "graph.onnx")
    for n, length in SHAPES:
        ids, mask = batch_of(n, length, model.vocab_size)
        with torch.no_grad():
            logits = model.encoders["document"].mlm(input_ids=ids, attention_mask=mask).logits.numpy()
        logits[mask.numpy() == 0] = 0
        expected = np.log1p(np.maximum(logits, 0)).max(axis=1)
        np.testing.assert_allclose(weights_of(tmp_path / "graph.onnx", ids, mask), expected, atol=1e-4)


def idf(folder):
    write_json(folder / "idf.json", {word: 0.5 + number % 7 for number, word in enumerate(tiny_vocabulary())})
    return folder / "idf.json"


def mlp(source):
    model = SpladeMlp(source, max_length=64)
    torch.nn.init.normal_(model.encoders["query"].projection.weight, generator=torch.Generator().manual_seed(1))
    return model


KINDS = {
    "BM25 inside": (lambda source: SpladeBm25(source, idf=idf(source), mean_length=9.0, max_length=64), "document"),
    "sum": (lambda source: Splade(source, agg="sum", pool_special_tokens=False, max_length=64), "document"),
    "lexical": (lambda source: SpladeLexical(source, lexical_type="both", max_length=64), "query"),
    "own tokens weighed": (mlp, "query"),
    "BM25 in queries": (lambda source: SpladeBm25(source, idf=idf(source), mean_length=9.0, max_length=64), "query"),
    "pooled otherwise": (lambda source: Splade(source, agg_q="sum", activation_q="relu", max_length=64), "query"),
    "without queries": (lambda source: SpladeDoc(source, max_length=64), "document"),
    "two encoders": (
        lambda source: Splade(source, model_type_or_dir_q=tiny_mlm(source / "q", seed=1), max_length=64),
        "query",
    ),
    "causal decoder": (lambda source: Splade(tiny_decoder(source / "d"), max_length=64), "document"),
    "whole decoder": (
        lambda source: Splade(tiny_decoder(source / "d"), attention="bidirectional", max_length=64),
        "document",
    ),
}


@pytest.mark.thinned(4)
@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_of_every_kind_of_model_gives_its_weights(tmp_path, kind):
    make, side = KINDS[kind]
    model = make(tiny_mlm(tmp_path / "model"))
    write_graph(model, side, tmp_path / "graph.onnx")
    for n, length in SHAPES:
        ids, mask = batch_of(n, length, model.vocab_size)
        with torch.no_grad():
            expected = model(side, ids, mask).numpy()
        assert expected.any()
        np.testing.assert_allclose(weights_of(tmp_path / "graph.onnx", ids, mask), expected, atol=1e-4)


class Squared(Splade):
    def finish(self, side, encoded, input_ids, attention_mask):
        return encoded**2


@pytest.mark.parametrize(("kind", "told"), [(Dense, "takes sparse models"), (Squared, "put what it does")])
def test_a_model_that_no_graph_is_made_of_is_refused_in_words(source, tmp_path, kind, told):
    with pytest.raises(InputError, match=told):
        write_graph(kind(source), "document", tmp_path / "graph.onnx")
    assert not (tmp_path / "graph.onnx").exists()
