"""SPLADE with BM25 inside: BM25's own score, the head's beside it, what learns, and what is kept in a folder."""

import json
import math

import pytest
import torch

from splade.files import InputError
from splade.models import Splade, SpladeBm25, SpladeDoc, load_retriever, save_retriever
from splade.models.encoders.lexical_weights import Saturation
from splade.models.retrievers.bm25 import EXPANSION, STRENGTH
from splade.models.saving.lexical_addition import with_bm25
from splade.training.distributed.sharding import _units
from splade.training.step.optimizer import adamw
from tests.models.support import TEXTS, tokens, vectors

IDF = {"bee": 3.5, "honey": 5.5, "king": 1.5, "the": 0.1, "[CLS]": 9.0, "[SEP]": 9.0}


@pytest.fixture
def model(mlm, json_file):
    return SpladeBm25(mlm, idf=json_file(IDF), mean_length=4.0)


def lexical_part(model, texts, side):
    """The vectors without what the head gives, as words."""
    model.lexical.expansion.data.zero_()
    names = model.tokenizer(side).convert_ids_to_tokens(list(range(model.vocab_size)))
    return [
        {names[term]: row[term].item() for term in row.nonzero().flatten().tolist()}
        for row in vectors(model, texts, side)
    ]


def test_without_expansion_the_score_is_bm25(model):
    documents = ["bee bee honey the king", "honey", "the the king", ""]
    found = lexical_part(model, documents, "document")
    asked = lexical_part(model, ["the honey honey bee king", ""], "query")
    assert set(asked[0]) == {"bee", "honey"}  # the others are not above the floor of 1.5
    assert asked[1] == {}

    def by_hand(idf, frequency, length):  # k1 1.2, b .75, 4 tokens on average
        return STRENGTH**2 * (idf - 1.5) * frequency / (frequency + 1.2 * (0.25 + 0.75 * length / 4))

    expected = [by_hand(3.5, 2, 5) + by_hand(5.5, 1, 5), by_hand(5.5, 1, 1), 0, 0]
    scores = [sum(weight * document.get(word, 0) for word, weight in asked[0].items()) for document in found]
    assert scores == pytest.approx(expected)


def test_the_head_stands_beside_it_with_its_own_weight(model, mlm):
    for side in ("query", "document"):
        own = vectors(model, TEXTS, side) - EXPANSION * vectors(Splade(mlm), TEXTS, side)
        expected = torch.zeros_like(own)
        for row, words in zip(expected, lexical_part(model, TEXTS, side), strict=True):
            for word, weight in words.items():
                row[model.tokenizer(side).convert_tokens_to_ids(word)] = weight
        torch.testing.assert_close(own, expected, atol=1e-5, rtol=0)
        model.lexical.expansion.data.fill_(EXPANSION)


def test_neither_padding_nor_the_order_of_words_changes_a_lexical_weight(model):
    alone = lexical_part(model, ["bee honey bee"], "document")[0]
    beside = lexical_part(model, ["honey bee bee", "a bridge over the river for the train and the ship"], "document")[0]
    assert alone == pytest.approx(beside)


def test_saturation_is_a_share_that_grows_with_frequency_and_falls_with_length():
    share = Saturation(k1=1.2, b=0.75, mean_length=10.0)
    frequencies = torch.tensor([1.0, 2.0, 5.0, 5.0])
    lengths = torch.tensor([10.0, 10.0, 10.0, 40.0])
    assert share(frequencies, lengths).tolist() == pytest.approx([1 / 2.2, 2 / 3.2, 5 / 6.2, 5 / (5 + 1.2 * 3.25)])
    binary = Saturation(k1=0.0, b=0.75, mean_length=10.0)
    assert binary(frequencies, lengths).tolist() == [1, 1, 1, 1]


def test_weights_and_expansion_learn_at_the_rate_of_tables_and_do_not_decay(model):
    model.train()
    ids, mask = tokens(model, ["bee honey"])
    (model("query", ids, mask) * model("document", ids, mask)).sum().backward()
    assert set(model.lexical.weight.grad.nonzero().flatten().tolist()) == set(ids[0, 1:-1].tolist())
    assert model.lexical.expansion.grad.item() > 0
    groups = adamw(model, lr=1e-5, weight_decay=0.01, lr_query_table=1e-3).param_groups
    own = next(group for group in groups if group["lr"] == 1e-3)
    assert {id(weight) for weight in own["params"]} == {id(weight) for weight in model.lexical.parameters()}
    assert own["weight_decay"] == 0


def test_the_fingerprint_knows_the_lexical_weights_and_what_saturates_them(model, mlm, json_file):
    name = model.fingerprint()
    assert SpladeBm25(mlm, idf=json_file(IDF), mean_length=4.5).fingerprint() != name
    assert Splade(mlm).fingerprint() != name
    model.lexical.weight.data[7] += 1e-3
    assert model.fingerprint() != name


def test_a_saved_model_needs_no_file_of_idf(model, tmp_path):
    model.lexical.weight.data.add_(0.25)
    model.lexical.expansion.data.fill_(0.75)
    save_retriever(model, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    assert again.lexical.expansion.item() == 0.75
    assert again.lexical.weight.equal(model.lexical.weight)
    assert vectors(again, TEXTS).equal(vectors(model, TEXTS))


def test_the_mean_length_comes_from_what_lies_beside_the_idf(mlm, json_file):
    path = json_file(IDF)
    path.with_suffix(".about.json").write_text(json.dumps({"mean_length": 6.5}))
    assert SpladeBm25(mlm, idf=path).saturation.mean_length == 6.5
    with pytest.raises(InputError, match=r"^init_dict\.idf=.*gone\.json: no such file; write one with .*splade\.idf"):
        SpladeBm25(mlm, idf=path.with_name("gone.json"))


def test_a_trained_model_gets_lexical_weights_and_keeps_its_own_settings(mlm, tmp_path, json_file):
    trained = Splade(mlm, activation="log1p_log1p_relu", max_length=9, max_length_q=7, top_d=8)
    save_retriever(trained, tmp_path / "model", extra={"step": 3})
    lexical = {"idf": json_file(IDF), "mean_length": 4.0, "expansion": 0.2}
    model = with_bm25(tmp_path / "model", **lexical)
    made = SpladeBm25(mlm, activation="log1p_log1p_relu", max_length=9, max_length_q=7, top_d=8, **lexical)
    for side in ("query", "document"):
        assert vectors(model, TEXTS, side).equal(vectors(made, TEXTS, side))
    assert model.settings() == made.settings()
    assert model.extra == {"step": 3, "before_bm25": str(tmp_path / "model")}


def test_lexical_weights_are_exchanged_for_those_of_another_collection(model, tmp_path, json_file):
    save_retriever(model, tmp_path / "model")
    other = json_file(IDF | {"sun": 7.0})
    again = with_bm25(tmp_path / "model", idf=other, mean_length=9.0)
    assert again.saturation.mean_length == 9.0
    assert lexical_part(again, ["the sun"], "query")[0] == {"sun": pytest.approx(STRENGTH * math.sqrt(5.5))}


def test_a_model_without_one_head_for_both_sides_gets_none(mlm, tmp_path, json_file):
    save_retriever(SpladeDoc(mlm), tmp_path / "model")
    with pytest.raises(InputError, match=r"init_dict\.model_type_or_dir=.*model is a SpladeDoc: .* Splade model"):
        with_bm25(tmp_path / "model", idf=json_file(IDF), mean_length=9.0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, r"init_dict\.idf=.*value\.json: the mean length .* init_dict\.mean_length"),
        ({"mean_length": 0.0}, r"init_dict\.mean_length must be above 0, got 0\.0"),
        ({"mean_length": 4.0, "k1": -1.0}, r"init_dict\.k1 must be 0 or above, got -1\.0"),
        ({"mean_length": 4.0, "b": math.inf}, r"init_dict\.b must be from 0 to 1, got inf"),
        ({"mean_length": 4.0, "prompt_q": "find the "}, r"the prompt 'find the ' .* leave hf\.data\.prompt_q out"),
        ({"mean_length": 4.0, "idf": None}, r"init_dict\.idf is not given.*splade\.idf"),
    ],
)
def test_what_cannot_be_is_refused(mlm, json_file, options, told):
    with pytest.raises((InputError, ValueError), match=told):
        SpladeBm25(mlm, **{"idf": json_file(IDF), **options})


@pytest.mark.parametrize("side", ["query", "document"])
def test_a_model_with_prompts_is_not_given_lexical_weights_and_its_prompt_is_named(mlm, json_file, tmp_path, side):
    save_retriever(Splade(mlm, **{f"prompt_{side[0]}": "find the "}), tmp_path / "prompted")
    told = rf"init_dict\.model_type_or_dir=.*prompted: this model puts the prompt 'find the ' before every {side}"
    with pytest.raises(InputError, match=told):
        with_bm25(tmp_path / "prompted", idf=json_file(IDF), mean_length=4.0)


def test_lexical_weights_are_a_unit_of_their_own_where_weights_are_spread_over_processes(model):
    found = [(sides, unit) for sides, unit in _units(model) if unit is model.lexical]
    assert found == [(frozenset({"query", "document"}), model.lexical)]
