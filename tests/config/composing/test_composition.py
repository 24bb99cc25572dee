"""What overrides and groups do to the values."""

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from splade.config import ConfigError, choose, compose, configure
from splade.data import read_scores, write_scores
from tests.config.support import configured


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("override", "address", "value"),
    [
        ("config.regularizer.FLOPS.lambda_q=0.06", "config.regularizer.FLOPS.lambda_q", 0.06),
        ("init_dict.model_type_or_dir=bert-base-uncased", "model.model_type_or_dir", "bert-base-uncased"),
        ("init_dict.model_type_or_dir=bert-base-uncased", "model.tokenizer", "bert-base-uncased"),
        ("retrieve_evaluate=msmarco", "search.top_k", 1000),
        ("train/data=distil_from_ensemble", "examples._target_", "splade.data.HardNegatives"),
        ("loss=pairwise", "loss._target_", "splade.losses.PairwiseNLL"),
        ("config.pretrained_no_yamlconfig=true", "checkpoint.pretrained", True),
        ("config.index_retrieve_batch_size=100", "encoder.batch_size", 100),
        ("config.matching_type=splade_doc", "model._target_", "splade.models.SpladeDoc"),
        ("config.micro_batch_size=4", "trainer.micro_batch_size", 4),
        ("+quantization_factor_document=50", "anserini.quantization_factor_document", 50),
        ("+beir.dataset=scifact", "beir.dataset", "scifact"),
        ("+beir.dataset_path=data/beir", "beir.path", "data/beir"),
        ("config.lr='3e-5'", "trainer.lr", 3e-5),
        ("config.nb_iterations=1.5e2", "trainer.nb_iterations", 150),
        ("config.fp16='false'", "trainer.fp16", False),
        ("config.overwrite_final='True'", "trainer.overwrite_final", True),
        ("model.agg=sum", "model.agg", "sum"),
        ("+loss.extra_key=1", "loss.extra_key", None),
    ],
)
def test_a_published_override_reaches_its_component(override, address, value):
    if value is None:
        with pytest.raises(ConfigError, match="takes no such argument"):
            configured(override)
    else:
        of_any_command = configured(override, command="")  # some belong to one command, and others refuse them
        assert OmegaConf.select(of_any_command, address) == value


def test_an_option_replaces_what_the_group_set_before():
    assert set(configured("regularizer=flopsd_small").penalties.settings["FLOPS"]) == {
        "reg", "lambda_d", "T", "targeted_rep",
    }  # fmt: skip
    assert "augment_pairs" not in configured("loss=bce").config


def test_components_of_ones_own_need_no_change_to_the_package():
    path = "splade.models.SpladeDoc"
    assert configured(f"model._target_={path}").model._target_ == path
    assert "freeze_d_model" not in configured(f"model._target_={path}").model
    cfg = configured(f"+catalog.model.mine={path}", "config.matching_type=mine")
    assert (cfg.model._target_, "freeze_d_model" in cfg.model) == (path, False)
    cfg = configured("+catalog.loss.Mine=splade.losses.BCE", "config.loss=Mine", "~config.augment_pairs")
    assert cfg.loss._target_ == "splade.losses.BCE"


@pytest.mark.parametrize("value", ["false", '"false"', '"False"', "null"])
def test_a_config_file_that_turns_hf_training_off_trains_in_steps(value, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"defaults: [config_default, _self_]\nconfig: {{hf_training: {value}}}\n")
    cfg = configure("train", [], {"SPLADE_CONFIG_FULLPATH": str(file)})
    assert (cfg.kinds.trainer, cfg.trainer._target_) == ("steps", "splade.training.Trainer")
    assert cfg.loss._target_ == "splade.losses.InBatchPairwiseNLL"


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("name", "overrides", "with_teacher"),
    [
        ("config_default", ["loss=pairwise"], False),
        ("config_default", ["loss=kl"], True),
        (
            "config_default",
            ["+catalog.loss.Mine=splade.losses.KlDiv", "config.loss=Mine", "~config.augment_pairs"],
            True,
        ),
        ("config_hf_splade_sigir23_32neg_nodistil", None, False),
        ("config_hf_splade_sigir23_32neg_distil", None, True),
        ("config_reranker_train_toy", None, False),
    ],
)
def test_candidates_need_scores_only_where_the_loss_learns_from_them(name, overrides, with_teacher):
    given = [] if overrides is None else ["train/data=toy_hard_negatives", *overrides]
    command = "hf_train_reranker" if "reranker" in name else "train"
    assert configured(*given, name=name, command=command).examples.with_teacher is with_teacher


def test_the_first_candidate_may_be_the_positive_where_there_are_no_qrels():
    given = ["train/data=toy_hard_negatives", "loss=pairwise", "~data.TRAIN.QREL_PATH", "data.positive_first=true"]
    examples = configured(*given, command="train").examples
    assert (examples.qrels, examples.positive_first) == (None, True)


def test_the_multi_negative_trainer_takes_its_settings_from_hf():
    trainer = configured("hf.training.learning_rate=3e-4", name="config_hf_splade_l1q", command="hf_train").trainer
    assert trainer._target_ == "splade.training.hf_settings.scheduled"
    assert (trainer.trainer.lr, trainer.trainer.penalty_documents, trainer.max_steps) == (3e-4, "pooled", 150000)


def test_unshared_weights_give_queries_an_encoder_from_the_same_start():
    cfg = configured("hf.model.shared_weights=false", name="config_hf_splade_l1q", command="hf_train")
    assert cfg.model.model_type_or_dir_q == cfg.model.model_type_or_dir
    assert configured(name="config_hf_splade_l1q", command="hf_train").model.model_type_or_dir_q is None


def test_a_config_of_ones_own_may_build_on_a_shipped_one(tmp_path):
    (tmp_path / "config_mine.yaml").write_text("defaults: [config_default, _self_]\nconfig: {lr: 7e-4}\n")
    values = compose(choose({}, "config_mine", str(tmp_path)), ["loss=pairwise"])
    assert (values.config.lr, values.config.loss, values.config.seed) == (7e-4, "PairwiseNLL", 123)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("loss=kll", "did you mean 'kl'"),
        ("train/dat=toy", "did you mean 'train/data'"),
        ("config.lr", "cannot read the override 'config.lr'"),
        ("config.lr=[1", "cannot read the override"),
        ("~config.nothing", "config.nothing"),
        ("config.lr=1,2", "--multirun"),
    ],
)
def test_an_override_that_cannot_be_used_is_told_in_words(override, told):
    with pytest.raises(ConfigError, match=told.replace("[", r"\[")):
        compose(choose({}), [override])


@pytest.mark.parametrize(
    ("text", "told"),
    [("a: [1\n", "not a YAML file"), ("", "holds none"), ("defaults: [nowhere]\n", "nowhere")],
)
def test_a_file_that_is_no_config_is_told_in_words(text, told, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        compose(choose({"SPLADE_CONFIG_FULLPATH": str(tmp_path)}))


@pytest.mark.slow
def test_several_files_of_teacher_scores_become_one(tmp_path):
    files = [tmp_path / name for name in ("one.jsonl", "two.jsonl")]
    for number, file in enumerate(files):
        scores = read_scores(configured("train/data=toy_hard_negatives", "loss=kl").data.TRAIN.DATASET_PATH)
        write_scores(file, {query: {id: score + number for id, score in row.items()} for query, row in scores.items()})
    given = ["train/data=toy_hard_negatives", "loss=kl", f"data.TRAIN.DATASET_PATH=[{files[0]},{files[1]}]"]
    given += ["config.teacher.normalize=z_score", "config.teacher.rescore_mean=1", "config.teacher.rescore_std=2"]
    cfg = configured(*given, "config.teacher.weights=[2,1]", "config.teacher.temperature=3", command="train")
    assert cfg.trainer.teacher_temperature == 3.0
    teacher = instantiate(cfg.examples)._groups.scores
    assert (teacher.mean(), teacher.std()) == (pytest.approx(1, abs=1e-4), pytest.approx(2, rel=1e-4))
