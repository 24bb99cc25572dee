"""Every shipped config, with tiny models and toy data for its own, takes an optimizer step."""

from pathlib import Path

import pytest
from omegaconf import DictConfig

from splade.config import choose, compose, conf_dir, config_names, configure
from tests.tiny import tiny_cross_encoder, tiny_mlm, tiny_t5

INFERENCE_ONLY = {"efficient_splade/config_V_from_huggingface", "config_reranker_toy"}
TRAINED = [name for name in config_names(conf_dir()) if name not in INFERENCE_ONLY]
TOY_DATA = {
    "triplets": "toy",
    "triplets_with_distil": "toy_with_teacher",
    "hard_negatives": "toy_hard_negatives",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "mlm": tiny_mlm(folder / "mlm", hidden=16, layers=1),
        "query": tiny_mlm(folder / "query", hidden=16, layers=1, seed=1),
        "cross_encoder": tiny_cross_encoder(folder / "cross_encoder", hidden=16, layers=1),
        "rankT5": tiny_t5(folder / "t5", hidden=16, layers=1),
    }


def with_tiny_parts(name: str, models: dict[str, Path], checkpoint_dir: Path) -> tuple[str, DictConfig]:
    """The command that trains the config ``name``, and its config made tiny."""
    published = compose(choose({"SPLADE_CONFIG_NAME": name}))
    reranker = published.config.get("reranker_type")
    many = published.config.get("hf_training", False)
    overrides = [f"config.checkpoint_dir={checkpoint_dir}", f"train/data={TOY_DATA[published.data.type]}"]
    overrides.append(f"init_dict.model_type_or_dir={models[reranker or 'mlm']}")
    overrides.append(f"config.max_length={64 if reranker else 16}")
    if published.init_dict.get("model_type_or_dir_q"):
        overrides.append(f"init_dict.model_type_or_dir_q={models['query']}")
    group, steps, batch = ("hf.training", "max_steps", "per_device_train_batch_size")
    if not many:
        group, steps, batch = "config", "nb_iterations", "train_batch_size"
    overrides += [f"{group}.{steps}=1", f"{group}.warmup_steps=0", f"{group}.{batch}=2", f"{group}.fp16=false"]
    if many:
        overrides.append("hf.data.n_negatives=3")
    if reranker:
        overrides += ["data.n_negatives=2", "config.bf16=false"]
    else:
        overrides.append("validation=none")
    command = "hf_train_reranker" if reranker else "hf_train" if many else "train"
    return command, configure(command, overrides, {"SPLADE_CONFIG_NAME": name})


@pytest.mark.parametrize("name", TRAINED)
def test_every_config_takes_an_optimizer_step(name, models, tmp_path):
    from splade.hf_train import hf_train
    from splade.hf_train_reranker import hf_train_reranker
    from splade.train import train

    command, cfg = with_tiny_parts(name, models, tmp_path / "checkpoint")
    {"train": train, "hf_train": hf_train, "hf_train_reranker": hf_train_reranker}[command](cfg)
    assert (tmp_path / "checkpoint" / "model" / "config.json").is_file()
    assert (tmp_path / "checkpoint" / "config.yaml").is_file()
