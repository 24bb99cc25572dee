"""Adapters: what is trained, what is saved, that training resumes and is split exactly."""

import builtins

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from splade.files import InputError
from splade.models import Splade, load_retriever, save_retriever
from splade.models.backbones.lora import Lora, lora_from, merged
from splade.training import Trainer
from tests.models.support import TEXTS, tokens, vectors
from tests.tiny import tiny_decoder, tiny_mlm
from tests.training.toy import same, state_of, toy_trainer

SMALL = {"r": 4, "alpha": 8.0}


@pytest.fixture(scope="module", params=["decoder", "mlm"])
def folder(request, tmp_path_factory):
    made = {"decoder": tiny_decoder, "mlm": tiny_mlm}[request.param]
    return made(tmp_path_factory.mktemp("model"))


def moved(model):
    """``model`` with adapters that change its vectors."""
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model


def test_fresh_adapters_change_no_vector_and_later_ones_do(folder):
    plain, adapted = vectors(Splade(folder), TEXTS), Splade(folder, lora=SMALL)
    torch.testing.assert_close(vectors(adapted, TEXTS), plain)
    assert not torch.allclose(vectors(moved(adapted), TEXTS), plain, atol=1e-3)


def test_two_models_start_with_the_same_adapters(folder):
    one, two = (Splade(folder, lora=SMALL).state_dict() for _ in range(2))
    assert same(one, two)


def test_an_adapted_layer_gives_the_sum_that_the_paper_defines(tmp_path):
    model = moved(Splade(tiny_decoder(tmp_path), lora={"r": 2, "alpha": 6.0, "target_modules": ["q_proj"]}))
    layer = model.encoders["document"].mlm.model.layers[0].self_attn.q_proj
    state = torch.randn(3, 32, generator=torch.Generator().manual_seed(0))
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert (down.shape, up.shape) == ((2, 32), (32, 2))
    expected = state @ layer.base_layer.weight.T + 3.0 * (state @ down.T @ up.T)
    torch.testing.assert_close(layer(state), expected)


def test_the_adapters_alone_receive_gradients_and_few_numbers_are_trained(folder):
    model = Splade(folder, lora=SMALL).train()
    model("document", *tokens(model, TEXTS)).square().sum().backward()
    trained = {name for name, part in model.named_parameters() if part.grad is not None}
    assert trained == {name for name, part in model.named_parameters() if part.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert not any("cls." in name or "lm_head" in name for name in trained)


def test_the_saved_model_is_a_plain_one_with_the_vectors_of_the_adapted(folder, tmp_path):
    model = moved(Splade(folder, lora=SMALL))
    save_retriever(model, tmp_path / "model")
    again = load_retriever(tmp_path / "model")
    torch.testing.assert_close(vectors(again, TEXTS), vectors(model, TEXTS), atol=1e-5, rtol=1e-4)
    assert again.fingerprint() == model.fingerprint() != Splade(folder).fingerprint()
    assert not any("lora" in name for name, _ in again.named_parameters())
    assert all(part.requires_grad for part in again.parameters())
    moved(model)  # the model that was saved goes on training
    assert not torch.allclose(vectors(again, TEXTS), vectors(model, TEXTS), atol=1e-3)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft's own, of transformers
def test_peft_puts_the_saved_adapter_on_the_model_it_was_trained_for(folder, tmp_path):
    peft = pytest.importorskip("peft")
    model = moved(Splade(folder, lora=SMALL))
    save_retriever(model, tmp_path / "model")
    kind = AutoModelForMaskedLM if "Bert" in type(model.encoders["document"].mlm).__name__ else AutoModelForCausalLM
    theirs = peft.PeftModel.from_pretrained(kind.from_pretrained(folder), tmp_path / "model" / "adapter").eval()
    ids, mask = tokens(model, TEXTS[:1])
    with torch.no_grad():
        logits = theirs(input_ids=ids, attention_mask=mask).logits[0]
    torch.testing.assert_close(logits.relu().log1p().amax(0), vectors(model, TEXTS[:1])[0], atol=1e-5, rtol=1e-4)


def test_merging_leaves_the_model_as_it_was(folder):
    model = moved(Splade(folder, lora=SMALL))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert merged(model.encoders["document"].mlm) is not model.encoders["document"].mlm
    assert same(before, model.state_dict())
    plain = Splade(folder).encoders["document"].mlm
    assert merged(plain) is plain


SETTINGS = {"nb_iterations": 6, "record_frequency": 2, "warmup_steps": 0, "train_batch_size": 4}


def trainer(folder, checkpoint, **settings) -> Trainer:
    lora = {**SMALL, "dropout": 0.2}
    return toy_trainer(checkpoint, model=Splade(folder, lora=lora, max_length=16), **SETTINGS | settings)


@pytest.mark.thinned(2)
def test_a_training_that_was_interrupted_ends_with_the_same_adapters(folder, tmp_path):
    straight = trainer(folder, tmp_path / "straight")
    straight.run()
    stopped = trainer(folder, tmp_path / "stopped")
    take = stopped.optimizer_step.take

    def interrupted(step):
        if step == 4:
            raise KeyboardInterrupt
        return take(step)

    stopped.optimizer_step.take = interrupted
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    again = trainer(folder, tmp_path / "stopped")
    again.run()
    one, two = state_of(again)["model"], state_of(straight)["model"]
    assert same(one, two)
    start = trainer(folder, tmp_path / "start").model.state_dict()
    changed = {name for name, weight in two.items() if not weight.equal(start[name])}
    assert changed
    assert all("lora_" in name for name in changed)
    assert load_retriever(tmp_path / "straight" / "model").extra["training_step"] > 0


def gradient(trainer) -> dict[str, torch.Tensor]:
    """Of the first global batch, with adapters that are past their start."""
    moved(trainer.model)
    trainer.parts.model.train()
    trainer.optimizer_step.add_gradient(0, 0)
    return {name: part.grad for name, part in trainer.model.named_parameters() if part.grad is not None}


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    "split", [{"micro_batch_size": 1}, {"micro_batch_tokens": 24}, {"gradient_checkpointing": True}]
)
def test_micro_batches_and_checkpointing_give_the_gradient_of_the_whole_batch(folder, tmp_path, split):
    whole, parts = gradient(trainer(folder, tmp_path / "whole")), gradient(trainer(folder, tmp_path / "parts", **split))
    assert whole.keys() == parts.keys()
    assert whole
    for name, expected in whole.items():
        torch.testing.assert_close(parts[name], expected, atol=1e-4, rtol=1e-3)


def test_what_cannot_be_adapted_is_refused_in_words(folder):
    with pytest.raises(InputError, match=r"target_modules=\['nowhere'\]: no such layers .* called .*(q_proj|query)"):
        Splade(folder, lora={"target_modules": ["nowhere"]})
    with pytest.raises(ValueError, match=r"init_dict\.lora\.rank: there are r, alpha, dropout, target_modules"):
        Splade(folder, lora={"rank": 3})
    with pytest.raises(ValueError, match="r must be at least 1"):
        Splade(folder, lora={"r": 0})
    with pytest.raises(InputError, match="is of the head, which is not adapted"):
        Splade(folder, lora={"target_modules": ["lm_head", "cls.predictions.decoder"]})


def test_without_peft_the_message_says_what_to_install(folder, monkeypatch):
    load = builtins.__import__

    def without_peft(name, *rest, **more):
        if name.split(".")[0] == "peft":
            raise ImportError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_peft)
    with pytest.raises(InputError, match=r"pip install 'splade\[lora\]'"):
        Splade(folder, lora=SMALL)
    Splade(folder)


def test_settings_that_are_not_given_have_defaults():
    assert lora_from(None) is None
    assert lora_from({"r": None}) is None
    assert lora_from({"r": 3, "alpha": None}) == Lora(r=3)
    assert lora_from({"target_modules": ["q_proj"]}) == Lora(target_modules=("q_proj",))
