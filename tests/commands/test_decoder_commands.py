"""A decoder language model goes through the commands as any other model does."""

import pytest
from transformers import AutoModelForCausalLM

from splade.files import read_json
from splade.models import load_retriever
from tests.commands.world import SMALL
from tests.tiny import tiny_decoder


@pytest.mark.slow
@pytest.mark.parametrize("group", ["decoder", "decoder_lora"])
def test_a_decoder_is_trained_saved_indexed_and_searched(group, splade, workplace, tmp_path):
    tiny_decoder(tmp_path / "llama")
    where = [f"config.{name}_dir={tmp_path / name}" for name in ("checkpoint", "index", "out")]
    named = [f"model={group}", f"init_dict.model_type_or_dir={tmp_path / 'llama'}"]
    splade("all", *where, *named, *SMALL, cwd=workplace, SPLADE_CONFIG_NAME="config_default")
    model = load_retriever(tmp_path / "checkpoint" / "model")
    assert model.settings()["attention"] == "bidirectional"
    assert model.settings()["lower_case"] is True
    AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint" / "model")
    [run] = (tmp_path / "out").glob("*/run.json")
    assert all(read_json(run).values())
    assert read_json(tmp_path / "out" / "perf_all_datasets.json")
    assert (tmp_path / "checkpoint" / "model" / "adapter").is_dir() == (group == "decoder_lora")
