"""Queries without a transformer, or without expansion: weights worked by hand, what learns and what does not."""

import math
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splade.files import InputError
from splade.models import Splade, SpladeDoc, SpladeIdf, SpladeMlp, SpladeTable, load_retriever, save_retriever
from splade.models.encoders.own_tokens import LearnedTable, TokenTable
from splade.models.heads.sparse_head import sparse_rows
from splade.models.saving.sparse_encoder_files import obstacle
from tests.models.support import TEXTS, tokens, vectors

IDF = {"bee": 2.0, "honey": 3.5, "king": 0.0, "[CLS]": 9.0, "[SEP]": 9.0}


def words(model, row):
    names = model.tokenizer("query").convert_ids_to_tokens(row.nonzero().flatten().tolist())
    return dict(zip(names, row[row > 0].tolist(), strict=True))


def test_each_token_of_a_query_weighs_its_idf_once_and_specials_weigh_nothing(mlm, json_file):
    model = SpladeIdf(mlm, idf=json_file(IDF))
    queries = vectors(model, ["bee bee honey king ship", "king", ""], "query")
    assert [words(model, row) for row in queries] == [{"bee": 2.0, "honey": 3.5}, {}, {}]
    assert vectors(model, TEXTS).equal(vectors(Splade(mlm), TEXTS))


def test_a_table_of_ones_is_the_binary_bag(mlm, json_file):
    vocabulary = SpladeDoc(mlm).tokenizer("query").get_vocab()
    model = SpladeIdf(mlm, idf=json_file(dict.fromkeys(vocabulary, 1)))
    assert vectors(model, TEXTS, "query").equal(vectors(SpladeDoc(mlm), TEXTS, "query"))


@pytest.mark.parametrize("activation", ["relu", "log1p_relu", "log1p_log1p_relu"])
def test_learned_weights_start_as_the_binary_bag(mlm, activation):
    for kind in (SpladeTable, SpladeMlp):
        model = kind(mlm, activation_q=activation)
        torch.testing.assert_close(vectors(model, TEXTS, "query"), vectors(SpladeDoc(mlm), TEXTS, "query"))


def test_a_learned_weight_is_the_logarithm_of_one_more_than_a_linear_function_of_the_embedding():
    bag = LearnedTable(torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]]), dropped=[])
    bag.projection.weight.data = torch.tensor([[1.0, -1.0]])
    bag.projection.bias.data = torch.tensor([0.5])
    table = [math.log(1 + 1.5), 0.0, math.log(1 + 0.5)]  # of 1.5, -0.5, 0.5
    assert bag.table().tolist() == pytest.approx(table)
    assert bag(torch.tensor([[2, 0, 0]]), torch.tensor([[1, 1, 0]])).tolist() == [
        pytest.approx([table[0], 0, table[2]])
    ]


def test_of_a_repeated_token_the_largest_weight_counts(mlm):
    model = SpladeMlp(mlm)
    encoder = model.encoders["query"]
    torch.nn.init.normal_(encoder.projection.weight, generator=torch.Generator().manual_seed(3))
    ids, mask = tokens(model, ["bee king bee"], "query")
    with torch.no_grad():
        hidden = encoder.base(input_ids=ids, attention_mask=mask).last_hidden_state[0]
        logits = (hidden @ encoder.projection.weight[0] + encoder.projection.bias).relu()
    expected = {"bee": max(logits[1].item(), logits[3].item()), "king": logits[2].item()}
    expected = {word: weight for word, weight in expected.items() if weight > 0}
    assert words(model, vectors(model, ["bee king bee"], "query")[0]) == pytest.approx(expected)


def test_a_trained_table_gets_the_gradient_of_the_tokens_that_are_there(mlm, json_file):
    model = SpladeIdf(mlm, idf=json_file(IDF), train_idf=True).train()
    model("query", *tokens(model, ["bee bee honey"], "query")).sum().backward()
    gradient = model.encoders["query"].weight.grad
    assert words(model, gradient) == pytest.approx({"bee": 1.0, "honey": 1.0})


def test_a_frozen_table_is_no_parameter_whatever_is_asked(mlm, json_file):
    model = SpladeIdf(mlm, idf=json_file(IDF)).train().requires_grad_(True)
    assert not model("query", *tokens(model, TEXTS, "query")).requires_grad
    assert list(model.encoders["query"].parameters()) == []


def test_weights_that_fall_below_zero_count_as_zero():
    table = TokenTable(torch.tensor([1.0, 2.0]), dropped=[])
    table.weight.data[0] = -3
    assert table(torch.tensor([[0, 1]]), torch.ones(1, 2, dtype=torch.int64)).tolist() == [[0, 2]]


@pytest.mark.parametrize("kind", [SpladeDoc, SpladeTable, SpladeMlp])
def test_rows_are_the_non_zeros_of_the_vectors(mlm, kind):
    model = kind(mlm)
    ids, mask = tokens(model, [*TEXTS, ""], "query")
    dense = sparse_rows(model("query", ids, mask).detach())
    for mine, expected in zip(model.rows("query", ids, mask), dense, strict=True):
        assert mine.tolist() == expected.tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=4), st.integers(0, 2**12 - 1))
def test_rows_of_any_tokens_and_masks_are_the_non_zeros_of_the_vectors(ids, bits):
    table = TokenTable(torch.tensor([0, 1.5, 2, 0, 3, 4, 5, 6, 7, 8]), dropped=[2, 7])
    ids = torch.tensor(ids)
    mask = torch.tensor([bits >> place & 1 for place in range(ids.numel())]).view(ids.shape)
    for mine, expected in zip(table.rows(ids, mask), sparse_rows(table(ids, mask).detach()), strict=True):
        assert mine.tolist() == expected.tolist()
        assert mine.dtype == expected.dtype


def test_query_sides_do_not_alter_the_documents_fingerprint(mlm, json_file):
    name = Splade(mlm).fingerprint()
    for model in (SpladeIdf(mlm, idf=json_file(IDF)), SpladeTable(mlm), SpladeMlp(mlm)):
        assert model.fingerprint() == name


def test_a_learned_table_is_saved_as_what_it_has_become(mlm, tmp_path):
    model = SpladeTable(mlm)
    torch.nn.init.normal_(model.encoders["query"].projection.weight, generator=torch.Generator().manual_seed(3))
    save_retriever(model, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    assert vectors(again, TEXTS, "query").equal(vectors(model, TEXTS, "query"))
    assert again.encoders["query"].weight.requires_grad


def test_an_idf_file_beside_a_plain_model_weighs_its_queries(mlm, tmp_path, json_file):
    shutil.copytree(mlm, tmp_path / "model")
    json_file(IDF).rename(tmp_path / "model" / "idf.json")
    model = load_retriever(tmp_path / "model")
    assert type(model) is SpladeIdf
    assert words(model, vectors(model, ["bee honey"], "query")[0]) == {"bee": 2.0, "honey": 3.5}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bee": -1.0}, "negative or no numbers"),
        ({"bee": "much"}, "expected a JSON object of numbers by token"),
        ({"bee": True}, "expected a JSON object of numbers by token"),
        ([1.0], "expected a JSON object of numbers by token"),
        ({"giraffe": 1.0}, "none of its 1 tokens is in the model's vocabulary"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_path(mlm, json_file, values, message):
    path = json_file(values)
    with pytest.raises(InputError, match=f"{path}: .*{message}"):
        SpladeIdf(mlm, idf=path)


def test_tokens_of_another_vocabulary_are_left_out_with_a_warning(mlm, json_file, caplog):
    SpladeIdf(mlm, idf=json_file({"bee": 1.0, "giraffe": 1.0}))
    assert "1 of 2 tokens ('giraffe') are not in the model's vocabulary" in caplog.text


def test_a_table_that_is_not_there_is_refused_by_its_address(mlm, tmp_path):
    with pytest.raises(InputError, match=r"init_dict\.idf=.*idf\.json: no such file; write one with"):
        SpladeIdf(mlm, idf=tmp_path / "idf.json")
    with pytest.raises(InputError, match=r"model\.safetensors: cannot be read"):
        SpladeIdf(mlm, idf=tmp_path)


def test_queries_of_a_shared_encoder_may_be_pooled_in_their_own_way(mlm):
    model = Splade(mlm, agg_q="sum", activation_q="log1p_log1p_relu")
    assert vectors(model, TEXTS).equal(vectors(Splade(mlm), TEXTS))
    summed = Splade(mlm, agg="sum", activation="log1p_log1p_relu")
    assert vectors(model, TEXTS, "query").equal(vectors(summed, TEXTS))
    rows = model.rows("query", *tokens(model, TEXTS, "query"))
    assert rows.weights.tolist() == pytest.approx(vectors(summed, TEXTS)[vectors(summed, TEXTS) > 0].tolist())


def test_every_sparse_kind_keeps_its_largest_weights(mlm, json_file):
    for model in (
        SpladeMlp(mlm, top_d=3),
        SpladeDoc(mlm, top_d=3),
        SpladeIdf(mlm, idf=json_file(IDF), top_d=3, top_q=1),
    ):
        assert (vectors(model, TEXTS) > 0).sum(dim=1).tolist() == [3] * len(TEXTS)
        assert model.fingerprint() != Splade(mlm).fingerprint()
    assert words(model, vectors(model, ["bee honey"], "query")[0]) == {"honey": 3.5}
    assert model.rows("query", *tokens(model, ["bee honey"], "query")).weights.tolist() == [3.5]


def test_a_table_of_a_tokenizer_with_gaps_is_not_said_to_be_the_same_elsewhere(mlm, monkeypatch):
    model = SpladeDoc(mlm)
    assert obstacle(model) == ""
    numbers = model.tokenizer("query").get_vocab()
    monkeypatch.setattr(model.tokenizer("query"), "get_vocab", lambda: numbers | {"king": 400})
    assert "numbered without gaps" in obstacle(model)
