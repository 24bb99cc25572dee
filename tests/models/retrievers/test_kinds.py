"""The retrievers: which vectors come from where, what trains, what is refused."""

import math

import pytest
import torch

from splade.encoding import Encoder
from splade.files import InputError
from splade.models import Dense, Splade, SpladeDoc, SpladeLexical, SpladeTopK, load_retriever, save_retriever
from splade.models.encoders.own_tokens import TokenBag
from splade.models.heads.tops import keep_largest
from splade.records import Text
from tests.models.support import TEXTS, HandMadeMlm, tokens, vectors
from tests.tiny import tiny_mlm


@pytest.mark.parametrize("model_type", ["modernbert", "not in the table"])
def test_the_vector_of_a_hand_made_model_is_the_one_worked_by_hand(mlm, model_type):
    model = Splade(mlm)
    model.encoders["document"].mlm = HandMadeMlm(model_type)
    ids, mask = torch.tensor([[1, 2, 0], [3, 0, 0]]), torch.tensor([[1, 1, 0], [1, 0, 0]])
    # token 1: (1, .5, 0); token 2: (0, 2.5, 0); token 3: (2, -1.5, 0); padding would give (0, .5, -1)
    weights = model("document", ids, mask)
    assert weights[0].tolist() == pytest.approx([math.log(2), math.log(3.5), 0])
    assert weights[1].tolist() == pytest.approx([math.log(3), 0, 0])


def test_weights_are_float32_not_negative_and_as_wide_as_the_vocabulary(mlm):
    model = Splade(mlm)
    weights = vectors(model, TEXTS)
    assert weights.dtype == torch.float32
    assert weights.shape == (len(TEXTS), model.vocab_size) == (len(TEXTS), len(model.tokenizer("query")))
    assert (weights >= 0).all()


@pytest.mark.parametrize("agg", ["max", "sum"])
@pytest.mark.parametrize("pool_special_tokens", [True, False])
def test_a_longer_neighbour_in_the_batch_does_not_change_a_vector(mlm, agg, pool_special_tokens):
    # in float64, for sums of float32 depend on their order by more than what is tested here
    model = Splade(mlm, agg=agg, pool_special_tokens=pool_special_tokens).double()
    together = vectors(model, [*TEXTS, "water " * 100])
    for text, row in zip(TEXTS, together, strict=False):
        torch.testing.assert_close(vectors(model, [text])[0], row, rtol=1e-6, atol=0)
    rough = Splade(mlm, agg=agg, pool_special_tokens=pool_special_tokens)
    torch.testing.assert_close(vectors(rough, [*TEXTS, "water " * 100]), together, rtol=1e-5, atol=1e-5)


def test_extra_columns_of_padding_do_not_change_a_vector(mlm):
    model = Splade(mlm).double()
    ids, mask = tokens(model, TEXTS)
    wider = torch.nn.functional.pad(ids, (0, 30)), torch.nn.functional.pad(mask, (0, 30))
    with torch.no_grad():
        torch.testing.assert_close(model("document", *wider), model("document", ids, mask), rtol=1e-6, atol=0)


def test_an_empty_text_has_a_finite_vector_and_a_zero_one_without_special_tokens(mlm):
    assert torch.isfinite(vectors(Splade(mlm), ["", "king"])).all()
    bare = Splade(mlm, pool_special_tokens=False)
    weights = vectors(bare, ["", "king"])
    assert weights[0].count_nonzero() == 0
    assert weights[1].count_nonzero() > 0


@pytest.mark.parametrize("kind", [Splade, SpladeDoc, Dense])
@pytest.mark.parametrize("side", ["query", "document"])
def test_a_row_without_any_token_has_the_zero_vector_and_a_batch_may_have_no_columns(mlm, kind, side):
    model = kind(mlm)
    ids = torch.tensor([[0, 0], [2, 3]])
    weights = model(side, ids, torch.tensor([[0, 0], [1, 1]]))
    assert weights[0].count_nonzero() == 0
    assert torch.isfinite(weights).all()
    nothing = torch.zeros(2, 0, dtype=torch.int64)
    assert model(side, nothing, nothing).count_nonzero() == 0


def test_leaving_special_tokens_out_of_the_pooling_leaves_only_their_positions_out(mlm):
    with_them, without = Splade(mlm), Splade(mlm, pool_special_tokens=False)
    ids, mask = tokens(with_them, TEXTS[:1])
    encoder = with_them.encoders["document"]
    with torch.no_grad():
        logits = encoder.mlm(input_ids=ids, attention_mask=mask).logits[0, 1:-1]  # all but [CLS] and [SEP]
    torch.testing.assert_close(vectors(without, TEXTS[:1])[0], torch.log1p(torch.relu(logits)).amax(dim=0))


def test_one_encoder_serves_both_sides_and_a_second_one_only_queries(mlm, other_mlm):
    documents, queries = Splade(mlm), Splade(other_mlm)
    both = Splade(mlm, model_type_or_dir_q=other_mlm)
    assert vectors(documents, TEXTS, "query").equal(vectors(documents, TEXTS, "document"))
    assert vectors(both, TEXTS, "document").equal(vectors(documents, TEXTS))
    assert vectors(both, TEXTS, "query").equal(vectors(queries, TEXTS))
    assert not vectors(both, TEXTS, "query").equal(vectors(both, TEXTS, "document"))


def test_two_encoders_from_one_folder_have_separate_weights(mlm):
    model = Splade(mlm, model_type_or_dir_q=mlm)
    model("query", *tokens(model, TEXTS, "query")).sum().backward()
    assert all(weight.grad is None for weight in model.encoders["document"].parameters())
    assert any(weight.grad is not None for weight in model.encoders["query"].parameters())


def test_a_frozen_document_encoder_stays_in_evaluation_mode_and_out_of_the_gradient(mlm, other_mlm):
    model = Splade(mlm, model_type_or_dir_q=other_mlm, freeze_d_model=True).train()
    assert not any(part.training for part in model.encoders["document"].modules())
    assert all(part.training for part in model.encoders["query"].modules())
    model.requires_grad_(True)  # even then
    ids, mask = tokens(model, TEXTS)
    first, second = model("document", ids, mask), model("document", ids, mask)
    assert not first.requires_grad
    assert first.equal(second), "dropout is on in a frozen encoder"
    assert model("query", ids, mask).requires_grad
    assert not any(
        weight.requires_grad
        for weight in Splade(mlm, model_type_or_dir_q=other_mlm, freeze_d_model=True).encoders["document"].parameters()
    )


def test_freezing_the_only_encoder_is_refused(mlm):
    with pytest.raises(ValueError, match="freeze_d_model=true leaves nothing to train"):
        Splade(mlm, freeze_d_model=True)


def test_training_mode_turns_dropout_on_and_gradients_reach_every_layer(mlm):
    model = Splade(mlm).train()
    ids, mask = tokens(model, TEXTS)
    assert not model("document", ids, mask).equal(model("document", ids, mask))
    model("query", ids, mask).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_mixed_precision_still_gives_float32_near_the_full_precision_value(mlm):
    model = Splade(mlm)
    ids, mask = tokens(model, TEXTS)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model("document", ids, mask)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, vectors(model, TEXTS), rtol=0.05, atol=0.15)


def test_a_query_of_splade_doc_is_the_bag_of_its_own_tokens(mlm):
    model = SpladeDoc(mlm)
    tokenizer = model.tokenizer("query")
    bag = vectors(model, ["the king of the sea", "bee", ""], "query")
    words = [{tokenizer.convert_ids_to_tokens(int(term)) for term in row.nonzero().flatten()} for row in bag]
    assert words == [{"the", "king", "of", "sea"}, {"bee"}, set()]
    assert set(bag.unique().tolist()) == {0.0, 1.0}
    assert vectors(model, TEXTS, "document").equal(vectors(Splade(mlm), TEXTS))


def test_a_bag_drops_padding_cls_sep_and_mask_even_when_their_id_is_zero(mlm):
    model = SpladeDoc(mlm)
    tokenizer = model.tokenizer("query")
    assert tokenizer.pad_token_id == 0
    special = [tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id]
    ids = torch.tensor([[*special, 9, 9]])
    assert model("query", ids, torch.ones_like(ids)).nonzero().tolist() == [[0, 9]]


def test_a_bag_keeps_a_term_of_id_zero_that_is_not_special_and_skips_masked_positions():
    bag = TokenBag(5, dropped=[4])
    assert bag(torch.tensor([[0, 4, 2]]), torch.tensor([[1, 1, 0]])).tolist() == [[1, 0, 0, 0, 0]]


@pytest.mark.parametrize("lexical_type", ["query", "document", "both"])
def test_a_lexical_side_keeps_only_the_texts_own_terms(mlm, lexical_type):
    model = SpladeLexical(mlm, lexical_type=lexical_type)
    full = vectors(Splade(mlm), TEXTS)
    own = vectors(SpladeDoc(mlm), TEXTS, "query")
    for side in ("query", "document"):
        expected = full * own if lexical_type in (side, "both") else full
        assert vectors(model, TEXTS, side).equal(expected)


def test_top_k_keeps_the_largest_weights_of_each_side(mlm):
    model = SpladeTopK(mlm, top_d=5, top_q=0)
    full, kept = vectors(model, TEXTS, "query"), vectors(model, TEXTS, "document")
    assert full.equal(vectors(Splade(mlm), TEXTS))
    for row, cut in zip(full, kept, strict=True):
        strongest = row.topk(5)
        assert cut.topk(5).values.equal(strongest.values)
        assert cut.count_nonzero() == 5


def test_of_equal_weights_the_lower_term_ids_are_kept():
    weights = torch.tensor([[1.0, 3.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0, 7.0]])
    assert keep_largest(weights, 3).tolist() == [[1, 3, 0, 2, 0], [0, 0, 0, 0, 7]]
    assert keep_largest(weights, 9) is weights


def test_dense_vectors_are_the_mean_of_a_texts_states_or_its_first(encoder):
    mean, first = Dense(encoder), Dense(encoder, pooling="cls")
    ids, mask = tokens(mean, TEXTS)
    with torch.no_grad():
        states = mean.encoders["document"].base(input_ids=ids, attention_mask=mask).last_hidden_state
    by_hand = torch.stack([row[: int(count)].mean(dim=0) for row, count in zip(states, mask.sum(dim=1), strict=True)])
    torch.testing.assert_close(vectors(mean, TEXTS), by_hand)
    torch.testing.assert_close(vectors(first, TEXTS), states[:, 0])
    assert not mean.is_sparse
    assert mean.vocab_size == 32


def test_lengths_are_kept_per_side(mlm):
    model = Splade(mlm, max_length=100, max_length_q=20)
    assert (model.max_length("document"), model.max_length("query")) == (100, 20)
    assert Splade(mlm, max_length=100).max_length("query") == 100


def test_a_length_beyond_the_models_positions_is_refused_by_name(mlm, tmp_path):
    with pytest.raises(InputError, match=r"config\.max_length=513: the document encoder has positions for 512"):
        Splade(mlm, max_length=513)
    with pytest.raises(InputError, match=r"config\.max_length_q=600"):
        Splade(mlm, max_length_q=600)
    with pytest.raises(ValueError, match=r"config\.max_length must be at least 1, got 0"):
        Splade(mlm, max_length=0)
    roberta = tiny_mlm(tmp_path, arch="roberta")
    assert Splade(roberta, max_length=512).max_length("query") == 512
    with pytest.raises(InputError, match="positions for 512"):
        Splade(roberta, max_length=513)


def test_sides_over_different_vocabularies_are_refused(mlm, tmp_path):
    wider = tiny_mlm(tmp_path / "wider", vocab_extra=["zebra"])
    with pytest.raises(InputError, match="vocabulary"):
        Splade(mlm, model_type_or_dir_q=wider)
    with pytest.raises(InputError, match=r"the tokenizer has \d+ tokens but the model only \d+ terms"):
        Splade(mlm, tokenizer=wider)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (wider / file).unlink()
    with pytest.raises(InputError, match=r"the query encoder gives \d+ terms and the document encoder \d+"):
        Splade(mlm, model_type_or_dir_q=wider)


def test_same_width_but_other_words_is_refused(tmp_path):
    one = tiny_mlm(tmp_path / "one", vocab_extra=["zebra"])
    two = tiny_mlm(tmp_path / "two", vocab_extra=["giraffe"])
    with pytest.raises(InputError, match="term ids would mean different words"):
        Splade(one, model_type_or_dir_q=two)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("agg", "mean", r"init_dict\.agg must be one of max, sum, got 'mean'"),
        ("activation", "gelu", r"init_dict\.activation must be one of log1p_relu.*got 'gelu'"),
        ("head", "none", r"init_dict\.head must be one of pretrained, tied_identity.*got 'none'"),
        ("head_bias", -3.0, r"head_bias=-3\.0 is only read with init_dict\.head=tied_identity"),
    ],
)
def test_an_unknown_choice_is_refused_with_the_accepted_ones(mlm, argument, value, message):
    with pytest.raises(ValueError, match=message):
        Splade(mlm, **{argument: value})


def test_an_unknown_side_or_lexical_type_is_refused(mlm):
    model = Splade(mlm)
    for call in (lambda: model("docs", *tokens(model, TEXTS)), lambda: model.tokenizer("docs")):
        with pytest.raises(ValueError, match="side must be 'query' or 'document', got 'docs'"):
            call()
    with pytest.raises(ValueError, match=r"init_dict\.lexical_type must be one of query, document, both"):
        SpladeLexical(mlm, lexical_type="queries")


def test_a_prompt_is_read_before_every_text_of_its_side_and_saved(mlm, tmp_path):
    model = Splade(mlm, prompt_q="find the ")
    plain = Splade(mlm)
    for asked in (model, saved_and_loaded(model, tmp_path)):
        texts = [Text("1", "honey bee")]
        prompted = Encoder(asked, "query").encode_all(texts).rows
        spelled_out = Encoder(plain, "query").encode_all([Text("1", "find the honey bee")]).rows
        assert prompted.columns.tolist() == spelled_out.columns.tolist()
        documents = Encoder(asked, "document").encode_all(texts).rows
        assert documents.columns.tolist() == Encoder(plain, "document").encode_all(texts).rows.columns.tolist()
    assert model.fingerprint() == plain.fingerprint()
    assert Splade(mlm, prompt_d="passage: ").fingerprint() != plain.fingerprint()


def saved_and_loaded(model, folder):
    save_retriever(model, folder / "model")
    return load_retriever(folder / "model")


def test_a_prompt_on_a_lexical_side_is_refused(mlm):
    with pytest.raises(ValueError, match="would count as words of every query"):
        SpladeLexical(mlm, lexical_type="query", prompt_q="find the ")
