"""Texts on the command line are what was typed, whatever Hydra's grammar makes of such signs."""

from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from splade.config.composing.compose import parse_overrides, quoted


def read(override):
    (found,) = parse_overrides([override])
    return OmegaConf.create({"value": found.value()}).value


@given(st.text(alphabet="ab \\'\"$ {}[]()=,:#é水\n\t?~+", max_size=12))
@example('it\'s, "so" [1] ${x} \\')
@example("2024")
@example("null")
@example("\\${a}\\'")
def test_a_quoted_text_comes_back_as_it_was(text):
    own_quotes = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if not own_quotes and text != "???":
        assert read(quoted(f"explain.text={text}")) == text


def test_a_value_in_quotes_is_taken_as_hydra_reads_it():
    assert read(quoted("explain.text='a, b'")) == "a, b"
    assert quoted("word") == "word"
