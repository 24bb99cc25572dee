"""Decoder language models: what a token sees, what padding changes, capitals, special tokens, folders."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

from splade.data.tokens.tokenize import tokenize
from splade.files import InputError
from splade.models import Dense, Splade, SpladeDoc, load_retriever, save_retriever
from splade.models.backbones.decoders import ATTENTIONS, BIDIRECTIONAL, attention_of, inputs
from splade.models.backbones.layouts import LAYOUTS, backbone_of, find_head
from splade.models.backbones.loading import load_tokenizer
from splade.models.encoders.mlm import special_ids
from splade.records import Text
from tests.models.support import TEXTS, tokens, vectors
from tests.tiny import DECODERS, tiny_bpe, tiny_decoder, tiny_mlm


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module", params=DECODERS)
def decoder(request, tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("decoder"), arch=request.param)


@pytest.fixture(params=["sdpa", "eager"])
def implementation(request):
    return request.param


def with_attention(folder, attention, implementation="sdpa"):
    model = Splade(folder, attention=attention)
    model.encoders["document"].mlm.config._attn_implementation = implementation
    return model


def states(model, ids, mask):
    """The hidden states [L, D] of one text."""
    [(hidden, _)], _ = model.encoders["document"]._padded(ids, mask)
    return hidden[0]


@pytest.mark.thinned(4)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_tokens_state_depends_on_later_tokens_with_bidirectional_attention_alone(decoder, attention, implementation):
    model = with_attention(decoder, attention, implementation)
    ids, mask = tokens(model, TEXTS[:1])
    changed = ids.clone()
    changed[0, -1] = ids[0, -1] + 1
    with torch.no_grad():
        before, after = states(model, ids, mask), states(model, changed, mask)
    differs = (before - after).abs().amax(dim=1) > 1e-4  # [L]
    assert differs[-1]
    assert differs[:-1].tolist() == [attention == "bidirectional"] * (len(differs) - 1)


def test_bidirectional_states_follow_the_definition_of_attention_over_the_whole_text(llama):
    """In a layer whose attention weights are all equal each token receives the mean of all values of its text."""
    model = Splade(llama, attention="bidirectional")
    base = model.encoders["document"].mlm.model
    layer = base.layers[0]
    torch.nn.init.zeros_(layer.self_attn.q_proj.weight)
    ids, mask = tokens(model, (TEXTS[1], TEXTS[0]))
    found = []
    layer.self_attn.register_forward_hook(lambda _, __, out: found.append(out[0]))
    with torch.no_grad():
        model.encoders["document"]._padded(ids, mask)
        [both] = found  # [2, L, D], the longer text first
        for row, hidden in enumerate(both):
            n = int(mask[row].sum())
            given = layer.input_layernorm(base.embed_tokens(ids[row, :n]))
            values = layer.self_attn.v_proj(given).mean(dim=0).view(2, 8).repeat_interleave(2, dim=0).flatten()
            expected = layer.self_attn.o_proj(values)
            torch.testing.assert_close(hidden[:n], expected.expand(n, -1), atol=1e-5, rtol=1e-5)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("model_type", [name for name, layout in LAYOUTS.items() if not layout.dense])
def test_every_architecture_with_a_plain_head_has_it_and_takes_its_masks(model_type):
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    more = {"vocab_size": 60, "intermediate_size": 64, "head_dim": 8, "pad_token_id": None, "initializer_range": 0.2}
    try:
        config = AutoConfig.for_model(model_type, **sizes, **more)
    except ValueError:
        pytest.skip(f"this transformers has no {model_type}")
    config.final_logit_softcapping = None
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    ids, mask = torch.randint(3, 60, (2, 7)), torch.ones(2, 7, dtype=torch.int64)
    mask[1, 5:] = 0
    head = find_head(model)
    for attention in ATTENTIONS[: 1 + (model_type in BIDIRECTIONAL)]:
        assert attention_of(model, attention, "here") == attention
        given = inputs(model, ids, mask, attention)
        with torch.no_grad():
            hidden = backbone_of(model)(**given).last_hidden_state
            torch.testing.assert_close(head.decoder(head.transform(hidden)), model(**given).logits)
            changed = backbone_of(model)(**{**given, "input_ids": torch.where(mask.bool(), ids, 3)}).last_hidden_state
            torch.testing.assert_close(changed[1, :5], hidden[1, :5])
            later = ids.clone()
            later[0, -1] = (ids[0, -1] + 1) % 60
            moved = backbone_of(model)(**{**given, "input_ids": later}).last_hidden_state
        assert torch.allclose(moved[0, 0], hidden[0, 0], atol=1e-4) == (attention == "causal")


@pytest.mark.thinned(4)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_padding_on_either_side_and_in_any_number_changes_no_vector(decoder, attention, implementation):
    model = with_attention(decoder, attention, implementation)
    with torch.no_grad():
        alone = torch.cat([model("document", *tokens(model, [text])) for text in TEXTS])
        ids, mask = tokens(model, TEXTS)
        torch.testing.assert_close(model("document", ids, mask), alone, atol=1e-4, rtol=1e-4)
        model.tokenizer("document").padding_side = "left"
        left, of_left = tokens(model, TEXTS)
        assert of_left[3, 0] == 0
        torch.testing.assert_close(model("document", left, of_left), alone, atol=1e-4, rtol=1e-4)
        junk = torch.where(mask.bool(), ids, 300)
        assert model("document", junk, mask).equal(model("document", ids, mask))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_an_empty_text_has_a_zero_vector_and_every_gradient_is_finite(llama, attention):
    model = Splade(llama, attention=attention).train()
    ids, mask = tokens(model, TEXTS)
    mask[1] = 0
    weights = model("document", ids, mask)
    assert not weights[1].any()
    weights.sum().backward()
    assert all(torch.isfinite(part.grad).all() for part in model.parameters())


def test_mixed_precision_gives_finite_vectors_near_the_full_precision_ones(llama):
    model = Splade(llama, attention="bidirectional")
    exact = vectors(model, TEXTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        near = vectors(model, TEXTS)
    assert torch.nn.functional.cosine_similarity(near, exact).min() > 0.99


def test_attention_is_causal_unless_said_otherwise(llama):
    assert vectors(Splade(llama), TEXTS).equal(vectors(Splade(llama, attention="causal"), TEXTS))
    assert Splade(llama).settings()["attention"] == "causal"


def test_attention_that_cannot_be_had_is_refused_in_words(llama, mlm):
    with pytest.raises(ValueError, match=r"init_dict\.attention must be one of causal, bidirectional, got 'both'"):
        Splade(llama, attention="both")
    with pytest.raises(InputError, match=r"'bert' is an encoder, which is bidirectional: remove init_dict\.att"):
        Splade(mlm, attention="bidirectional")
    with pytest.raises(InputError, match=r"the head has no bias"):
        Splade(llama, head="tied_identity")


def test_only_architectures_with_a_known_head_are_known_to_be_bidirectional():
    assert set(BIDIRECTIONAL) <= set(LAYOUTS)
    assert set(DECODERS) <= set(BIDIRECTIONAL)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_saved_decoder_comes_back_and_is_a_causal_language_model_to_others(decoder, tmp_path, attention):
    model = Splade(decoder, attention=attention, lower_case=True, pool_special_tokens=False)
    save_retriever(model, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    assert again.settings() == model.settings()
    assert again.fingerprint() == model.fingerprint()
    assert vectors(again, TEXTS).equal(vectors(model, TEXTS))
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    batch = AutoTokenizer.from_pretrained(tmp_path / "model")(TEXTS[0], return_tensors="pt")
    if attention == "causal":
        with torch.no_grad():
            logits = plain(input_ids=batch["input_ids"]).logits[0, 1:]  # without <|begin|>
        torch.testing.assert_close(vectors(again, TEXTS[:1])[0], logits.relu().log1p().amax(0), atol=1e-5, rtol=1e-5)


def test_the_kind_of_attention_is_part_of_the_fingerprint(llama):
    prints = {Splade(llama, attention=name).fingerprint() for name in ATTENTIONS}
    assert len(prints) == 2


def test_a_tokenizer_without_padding_token_gets_one(llama):
    assert tiny_bpe().pad_token is None
    tokenizer = load_tokenizer(llama)
    assert tokenizer.pad_token == "<|endoftext|>"
    batch = tokenize(tokenizer, [Text("1", "the sun"), Text("2", "")], 16)
    assert batch.attention_mask.sum(axis=1).tolist()[1] == 1  # <|begin|> alone


def test_begin_and_end_of_text_are_left_out_of_pooling_and_bags_where_special_tokens_are(llama):
    assert special_ids(load_tokenizer(llama)) == (0, 1)
    pooled, without = (Splade(llama, pool_special_tokens=keep) for keep in (True, False))
    assert (vectors(pooled, [""]) > 0).any()
    assert not vectors(without, [""]).any()
    bag = vectors(SpladeDoc(llama), ["the sun"], "query")
    assert not bag[0, :2].any()
    assert bag.any()


def test_a_lower_casing_model_reads_capitals_as_small_letters(llama, tmp_path):
    plain, folding = Splade(llama), Splade(llama, lower_case=True)
    small, large = ["the heat of the sun"], ["The HEAT of the Sun"]
    assert vectors(plain, small).equal(vectors(folding, small))
    assert not vectors(plain, large).equal(vectors(plain, small))
    assert vectors(folding, large).equal(vectors(folding, small))
    save_retriever(folding, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    assert vectors(again, large).equal(vectors(folding, small))
    save_retriever(again, tmp_path / "again")
    assert load_retriever(tmp_path / "again").fingerprint() == folding.fingerprint() != plain.fingerprint()


def test_lower_casing_leaves_a_tokenizer_that_does_so_already_as_it_is(tmp_path):
    folder = tiny_mlm(tmp_path)
    before = load_tokenizer(folder).backend_tokenizer.to_str()
    assert Splade(folder, lower_case=True).tokenizer("document").backend_tokenizer.to_str() == before


def test_a_head_that_squashes_its_logits_goes_through_all_of_them(tmp_path):
    tokenizer = tiny_bpe()
    config = Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, head_dim=8, final_logit_softcapping=2.0, pad_token_id=None, initializer_range=0.2,
    )  # fmt: skip
    torch.manual_seed(0)
    Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for attention in ATTENTIONS:
        model = Splade(tmp_path, attention=attention, activation="relu")
        assert find_head(model.encoders["document"].mlm) is None
        assert 1 < vectors(model, TEXTS).max() <= 2


def test_a_decoder_is_a_dense_encoder_too(llama):
    model = Dense(llama)
    assert vectors(model, TEXTS).shape == (len(TEXTS), 32)
