"""The table of heads: for each architecture, base model + transform + decoder is the model's own logits."""

import copy
import logging

import pytest
import torch
import transformers

from splade.models import Splade
from splade.models.backbones import layouts
from splade.models.backbones.layouts import find_head
from tests.models.support import TEXTS, HandMadeMlm, vectors
from tests.tiny import tiny_mlm

SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
OTHERS = {
    "albert": ("Albert", {"embedding_size": 8, "bos_token_id": 2, "eos_token_id": 3}),
    "bert": ("Bert", {}),
    "camembert": ("Camembert", {"bos_token_id": 2, "eos_token_id": 3}),
    "electra": ("Electra", {"embedding_size": 8}),
    "mpnet": ("MPNet", {"bos_token_id": 2, "eos_token_id": 3}),
    "roberta": ("Roberta", {"bos_token_id": 2, "eos_token_id": 3}),
    "xlm-roberta": ("XLMRoberta", {"bos_token_id": 2, "eos_token_id": 3}),
}


@pytest.mark.parametrize("model_type", OTHERS)
def test_the_parts_of_the_head_compute_the_models_own_logits(model_type):
    name, more = OTHERS[model_type]
    config = getattr(transformers, f"{name}Config")(**SIZES, **more)
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForMaskedLM")(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    assert config.model_type == model_type
    ids = torch.randint(5, 60, (2, 7))
    head = find_head(model)
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids).last_hidden_state
        torch.testing.assert_close(head.decoder(head.transform(hidden)), model(input_ids=ids).logits)


@pytest.mark.parametrize("arch", ["bert", "distilbert", "roberta", "modernbert"])
@pytest.mark.parametrize("agg", ["max", "sum"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_an_encoder_gives_what_the_masked_language_models_logits_give(arch, agg, tmp_path):
    model = Splade(tiny_mlm(tmp_path, arch=arch), agg=agg)
    batch = model.tokenizer("document")(list(TEXTS), padding=True, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        logits = model.encoders["document"].mlm(**batch).logits
    weights = torch.log1p(torch.relu(logits)) * batch["attention_mask"].unsqueeze(2)
    expected = weights.amax(dim=1) if agg == "max" else weights.sum(dim=1)
    torch.testing.assert_close(vectors(model, TEXTS), expected)
    assert 3 < (expected > 0).sum(dim=1).float().mean() < 60


def test_an_unknown_architecture_goes_through_its_full_logits_and_says_so(mlm, monkeypatch, caplog):
    known = vectors(Splade(mlm), TEXTS)
    monkeypatch.setattr(layouts, "LAYOUTS", {})
    with caplog.at_level(logging.WARNING, logger="splade"):
        unknown = Splade(mlm)
    assert "full logits are used" in caplog.text
    torch.testing.assert_close(vectors(unknown, TEXTS), known)


def test_a_model_whose_head_has_other_parts_than_the_table_says_is_unknown():
    model = HandMadeMlm()
    assert find_head(model) is not None
    del model.head
    assert find_head(model) is None


def test_a_copied_model_uses_its_own_weights(mlm):
    model = Splade(mlm)
    before = vectors(model, TEXTS)
    twin = copy.deepcopy(model)
    twin.encoders["document"].mlm.get_output_embeddings().bias.data += 1
    assert not vectors(twin, TEXTS).equal(before)
    assert vectors(model, TEXTS).equal(before)
