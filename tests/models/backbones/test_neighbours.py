"""Architectures that read padding, or their neighbours: no text's vector depends on the texts beside it."""

import logging

import pytest
import torch
import transformers

from splade.data.tokens.tokenize import tokenize
from splade.encoding import Encoder
from splade.files import InputError
from splade.models import Dense, Splade, SpladeMlp
from splade.models.backbones.layouts import LAYOUTS
from splade.models.backbones.neighbours import may_pad
from splade.models.rerankers import CrossEncoder
from splade.models.saving.sparse_encoder_files import obstacle
from splade.records import Text
from tests.models.support import TEXTS, vectors
from tests.tiny import tiny_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")

COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "initializer_range": 0.3,
}
PADDING_COUNTS = {"fnet": {"tpu_short_seq_length": 128}, "convbert": {"embedding_size": 32}, "yoso": {}}
PADDING_IS_LEFT_OUT = {"rembert": {"input_embedding_size": 32, "output_embedding_size": 32}, "deberta-v2": {}}


def made(folder, kind, more, auto=transformers.AutoModelForMaskedLM):
    """A tiny model of an architecture outside the table, and its tokenizer."""
    tokenizer = tiny_tokenizer()
    config = transformers.AutoConfig.for_model(kind, vocab_size=len(tokenizer), **COMMON, **more)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = auto.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", PADDING_COUNTS)
def test_a_vector_is_that_of_the_text_alone_where_padding_would_change_it(kind, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="splade"):
        model = Splade(made(tmp_path, kind, PADDING_COUNTS[kind]), max_length=64)
    assert f"padding changes the states of the model type '{kind}'" in caplog.text
    alone = torch.cat([vectors(model, [text]) for text in TEXTS])
    torch.testing.assert_close(vectors(model, TEXTS), alone)
    texts = [Text(str(number), text) for number, text in enumerate(TEXTS)]
    rows = Encoder(model, "document").encode_all(texts).rows
    assert "it pads texts" in obstacle(model)  # Sentence Transformers would give other vectors
    assert len(rows.weights) == (alone > 0).sum()
    torch.testing.assert_close(torch.from_numpy(rows.weights), alone[alone > 0])


@pytest.mark.parametrize("kind", PADDING_IS_LEFT_OUT)
def test_an_unknown_architecture_that_leaves_padding_out_is_padded(kind, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="splade"):
        model = Splade(made(tmp_path, kind, PADDING_IS_LEFT_OUT[kind]), max_length=64)
    assert "padding changes" not in caplog.text
    assert model.encoders["document"].pads
    torch.testing.assert_close(vectors(model, TEXTS), torch.cat([vectors(model, [text]) for text in TEXTS]))


def test_dense_vectors_query_weights_and_rerankers_do_not_depend_on_neighbours_either(tmp_path):
    folder = made(tmp_path / "mlm", "fnet", PADDING_COUNTS["fnet"])
    for model in (Dense(folder, max_length=64), SpladeMlp(folder, max_length=64, activation_q="log1p_relu")):
        for side in ("query", "document"):
            alone = torch.cat([vectors(model, [text], side) for text in TEXTS])
            torch.testing.assert_close(vectors(model, TEXTS, side), alone)
    classifier = transformers.AutoModelForSequenceClassification
    reranker = CrossEncoder(made(tmp_path / "pairs", "fnet", {**PADDING_COUNTS["fnet"], "num_labels": 1}, classifier))
    pairs = [("sea", text) for text in TEXTS]
    alone = torch.cat([reranker.score([pair]) for pair in pairs])
    torch.testing.assert_close(reranker.score(pairs), alone)
    grouped = reranker.eval().group_scores(["sea"], [list(TEXTS)])[0]
    torch.testing.assert_close(grouped, alone)


def test_training_sees_the_vectors_of_texts_alone_and_their_gradients(tmp_path):
    model = Splade(made(tmp_path, "fnet", PADDING_COUNTS["fnet"]), max_length=64)
    weight = model.encoders["document"].mlm.get_input_embeddings().weight

    def gradient(texts):
        tokens = tokenize(model.tokenizer("document"), [Text("", text) for text in texts], 64)
        ids, mask = torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
        return torch.autograd.grad(model("document", ids, mask).square().sum(), weight)[0]

    torch.testing.assert_close(gradient(TEXTS), sum(gradient([text]) for text in TEXTS), rtol=1e-4, atol=1e-4)


def test_a_model_whose_vectors_change_from_time_to_time_is_refused_in_words(tmp_path):
    lsh = {"attn_layers": ["lsh"], "lsh_attn_chunk_length": 8, "num_buckets": 4, "hash_seed": None}
    sizes = {"axial_pos_embds": False, "is_decoder": False, "feed_forward_size": 64, "attention_head_size": 8}
    folder = made(tmp_path, "reformer", lsh | sizes)
    with pytest.raises(InputError, match="'reformer' gives a text another vector each time, or beside other texts"):
        Splade(folder, max_length=64)


def test_a_model_that_cannot_read_short_texts_is_refused_in_words(tmp_path):
    folder = made(tmp_path, "nystromformer", {"num_landmarks": 8, "segment_means_seq_len": 64})
    with pytest.raises(InputError, match="'nystromformer' cannot read texts of a few tokens"):
        Splade(folder, max_length=64)


def test_trying_a_model_leaves_the_random_numbers_as_they_are(tmp_path):
    folder = made(tmp_path, "yoso", {})
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    Splade(folder, max_length=64)
    assert torch.rand(3).equal(expected)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("kind", [kind for kind in LAYOUTS if kind in transformers.CONFIG_MAPPING])
def test_no_architecture_of_the_table_lets_padding_into_a_state(kind, monkeypatch):
    config = transformers.AutoConfig.for_model(
        kind,
        vocab_size=90,
        **COMMON | {"pad_token_id": 1},
        bos_token_id=2,
        eos_token_id=3,
        cls_token_id=2,
        sep_token_id=3,
    )
    config.num_key_value_heads, config.head_dim = 4, 8
    causal = type(config) not in transformers.MODEL_FOR_MASKED_LM_MAPPING
    auto = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForMaskedLM
    torch.manual_seed(0)
    model = auto.from_config(config).eval()
    monkeypatch.setattr("splade.models.backbones.layouts.LAYOUTS", {})
    assert may_pad(lambda ids, mask: model(input_ids=ids, attention_mask=mask).logits, model, 48, 1)
