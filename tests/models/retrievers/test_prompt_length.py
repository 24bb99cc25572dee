"""A prompt leaves room for the text behind it."""

import pytest

from splade.data.tokens.tokenize import tokenize
from splade.files import InputError
from splade.models import Dense, Splade, SpladeDoc
from splade.records import Text
from tests.tiny import tiny_mlm

PROMPT = "find the one text that is the answer to this and what it is for "  # 15 words


@pytest.fixture(scope="module")
def mlm(tmp_path_factory):
    return tiny_mlm(tmp_path_factory.mktemp("mlm"), hidden=16, layers=1)


def test_a_prompt_as_long_as_the_length_is_refused_with_both_settings(mlm):
    told = r"config\.max_length_q=8: the prompt of every query \(hf\.data\.prompt_q=.* is \d+ tokens"
    with pytest.raises(InputError, match=told):
        Splade(mlm, prompt_q=PROMPT, max_length_q=8)
    with pytest.raises(InputError, match=r"config\.max_length=8: the prompt of every document \(hf\.data\.prompt_d"):
        SpladeDoc(mlm, prompt_d=PROMPT, max_length=8, max_length_q=100)
    with pytest.raises(InputError, match=r"hf\.data\.prompt_q"):
        Dense(mlm, prompt_q=PROMPT, max_length=8)


def test_one_token_of_the_text_is_room_enough(mlm):
    taken = len(Splade(mlm).tokenizer("query")(PROMPT)["input_ids"])
    with pytest.raises(InputError, match=f"is {taken} tokens"):
        Splade(mlm, prompt_q=PROMPT, max_length_q=taken)
    model = Splade(mlm, prompt_q=PROMPT, max_length_q=taken + 1)
    queries = [Text("a", "king"), Text("b", "honey")]
    first, second = tokenize(model.tokenizer("query"), queries, taken + 1, PROMPT).input_ids
    assert (first != second).any()


def test_a_shorter_length_of_an_encoder_is_held_against_the_prompt_too(mlm):
    tokenizer = Splade(mlm).tokenizer("query")
    with pytest.raises(InputError, match="nothing of the text would be left"):
        tokenize(tokenizer, [Text("a", "king")], 8, PROMPT)
