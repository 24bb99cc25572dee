"""Averages of models: the arithmetic of their weights, and what cannot be averaged."""

import pytest
import torch

from splade.files import InputError
from splade.models import Splade, SpladeDoc, load_retriever, save_retriever
from splade.models.saving.averaging import average_models
from tests.tiny import tiny_mlm


def saved(folder, seed, *, kind=Splade, **options):
    """A model with weights of its own, in ``folder``."""
    mlm = {name: options.pop(name) for name in ("hidden",) if name in options}
    model = kind(tiny_mlm(folder / "mlm", **({"hidden": 16, "layers": 1} | mlm)), max_length=16, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator))
    save_retriever(model, folder / "model")
    return folder


def weights_of(folder):
    return dict(load_retriever(folder / "model").named_parameters())


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return [saved(tmp_path_factory.mktemp(f"model{seed}"), seed) for seed in range(3)]


@pytest.mark.parametrize(("weights", "shares"), [(None, (1 / 3, 1 / 3, 1 / 3)), ([2, 1, 1], (0.5, 0.25, 0.25))])
def test_every_weight_is_the_average_of_the_models(three, weights, shares):
    averaged = dict(average_models(three, weights).named_parameters())
    parts = [weights_of(folder) for folder in three]
    assert averaged.keys() == parts[0].keys()
    for name, value in averaged.items():
        expected = sum(share * part[name] for share, part in zip(shares, parts, strict=True))
        torch.testing.assert_close(value, expected)


def test_the_average_of_a_model_with_itself_is_the_model(three):
    averaged = dict(average_models([three[0], three[0] / "model"]).named_parameters())
    for name, value in weights_of(three[0]).items():
        assert torch.equal(averaged[name], value)


def test_the_order_does_not_matter(three):
    one, two = average_models(three, [1, 2, 5]), average_models(three[::-1], [5, 2, 1])
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value)


def test_an_average_is_saved_and_loaded_as_any_model_and_says_what_it_is_of(three, tmp_path):
    model = average_models(three[:2], [3, 1])
    save_retriever(model, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    assert [part["weight"] for part in again.extra["averaged"]] == [0.75, 0.25]
    assert again.fingerprint() == model.fingerprint()


def test_models_that_differ_are_refused_in_words(three, tmp_path):
    other_words = saved(tmp_path / "words", 0)
    tokenizer = other_words / "model" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"iron"', '"zebra"'))
    cases = {
        "two architectures: .*(16|32)": saved(tmp_path / "wide", 0, hidden=32),
        "two vocabularies": other_words,
        "two ways: activation 'log1p_relu' and 'relu'": saved(tmp_path / "relu", 0, activation="relu"),
        "two kinds, Splade and SpladeDoc": saved(tmp_path / "doc", 0, kind=SpladeDoc),
    }
    for words, other in cases.items():
        with pytest.raises(InputError, match=words):
            average_models([three[0], other])


@pytest.mark.parametrize(
    ("n", "weights", "words"),
    [
        (1, None, "1 entries: an average takes two"),
        (2, [1.0], "1 numbers for 2 checkpoints"),
        (2, [1, -1], "above 0, got -1"),
    ],
)
def test_weights_are_one_for_each_of_two_models_or_more(three, n, weights, words):
    with pytest.raises(InputError, match=words):
        average_models(three[:n], weights)
