import numpy as np
import pytest

from splade.data.tokens.tokenize import text_tokens, tokenize
from splade.records import Text
from tests.tiny import tiny_bpe, tiny_tokenizer

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##b", "dog"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    path.write_text("\n".join(VOCABULARY))
    return transformers.BertTokenizerFast(str(path))


class WithoutSpecialTokens:
    """Splits at spaces; ids are word lengths."""

    eos_token_id = 99
    pad_token_id = None

    def num_special_tokens_to_add(self):
        return 0

    def __call__(self, texts, max_length, **options):
        return {"input_ids": [[len(word) for word in text.split()][:max_length] for text in texts]}


def test_texts_are_cut_and_padded_on_the_right_in_their_order(tokenizer):
    batch = tokenize(tokenizer, [Text("x", "A dog"), Text("y", ""), Text("z", "a ab dog b c a")], max_length=6)
    assert batch.ids == ("x", "y", "z")
    assert batch.input_ids.tolist() == [[2, 5, 9, 3, 0, 0], [2, 3, 0, 0, 0, 0], [2, 5, 5, 8, 9, 3]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]
    assert batch.input_ids.dtype == batch.attention_mask.dtype == np.int64


def test_a_batch_is_as_wide_as_its_longest_text(tokenizer):
    assert tokenize(tokenizer, [Text("x", "a"), Text("y", "b")], max_length=512).input_ids.shape == (2, 3)


def test_no_texts_make_an_empty_batch(tokenizer):
    batch = tokenize(tokenizer, [], max_length=8)
    assert batch.ids == ()
    assert batch.input_ids.shape[0] == batch.attention_mask.shape[0] == 0


def test_an_empty_text_has_a_token_even_without_special_tokens():
    batch = tokenize(WithoutSpecialTokens(), [Text("x", ""), Text("y", "two words")], max_length=8)
    assert batch.input_ids.tolist() == [[99, 0], [3, 5]]
    assert batch.attention_mask.tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("max_length", [0, 2])
def test_a_length_without_room_for_text_is_an_error(tokenizer, max_length):
    with pytest.raises(ValueError, match=rf"above 2, .* got {max_length}"):
        tokenize(tokenizer, [Text("x", "a")], max_length)


def test_texts_that_are_cut_are_counted_and_those_that_just_fit_are_not():
    texts = [Text("fits", "king queen"), Text("cut", "king queen war"), Text("short", "king"), Text("empty", "")]
    assert tokenize(tiny_tokenizer(), texts, 4).n_cut == 1
    assert tokenize(tiny_tokenizer(), texts, 5).n_cut == 0
    assert tokenize(tiny_tokenizer(), texts, 5, "the ").n_cut == 1


def test_tokens_of_a_text_know_their_characters_own_and_special_ones_apart():
    text = Text("d", " The  riverx")
    found = text_tokens(tiny_tokenizer(), text, 6, prompt="a: ")
    names = tiny_tokenizer().convert_ids_to_tokens(found.input_ids.tolist())
    assert names == ["[CLS]", "a", ":", "the", "river", "[SEP]"]
    assert found.spans.tolist() == [[-1, -1]] * 3 + [[1, 4], [6, 11], [-1, -1]]
    assert found.own.tolist() == [False] * 3 + [True, True, False]


def test_tokens_of_byte_level_tokenizers_have_characters_without_the_space_before_them():
    found = text_tokens(tiny_bpe(), Text("d", "the water é"), 64)
    read = tiny_bpe().convert_ids_to_tokens(found.input_ids.tolist())
    assert read == ["<|begin|>", "th", "e", "Ġw", "at", "er", "Ġ", "Ã", "©"]
    assert found.spans.tolist()[1:6] == [[0, 2], [2, 3], [4, 5], [5, 7], [7, 9]]
    assert found.spans.tolist()[6:] == [[-1, -1], [10, 11], [10, 11]]


def test_a_text_without_tokens_has_one_that_stands_in():
    found = text_tokens(tiny_decoder_tokenizer(), Text("d", ""), 64)
    assert (len(found.input_ids), found.spans.tolist(), found.own.tolist()) == (1, [[-1, -1]], [False])


def tiny_decoder_tokenizer():
    """One that puts nothing around a text."""
    tokenizer = tiny_bpe()
    tokenizer.backend_tokenizer.post_processor = None
    return tokenizer
