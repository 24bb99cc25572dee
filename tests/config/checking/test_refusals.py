"""What is refused before anything is built, and in which words."""

import pytest

from tests.config.support import configured, refusal

HF = "config_hf_splade_l1q"


@pytest.mark.parametrize(
    ("override", "address", "near"),
    [
        ("config.augment_pair=in_batch_negatives", "config.augment_pair:", "config.augment_pairs"),
        ("confg.lr=1", "confg.lr", "config.lr"),
        ("config.model_type_or_dir=x", "config.model_type_or_dir", "init_dict.model_type_or_dir"),
        ("config.regularizer.FLOPS.lamda_q=1", "config.regularizer.FLOPS.lamda_q", "config.regularizer.FLOPS.lambda_q"),
        ("config.regularizer.FLOP.lambda_q=1", "config.regularizer.FLOP", "FLOPS"),
        ("+beir.datset=x", "beir.datset", "beir.dataset"),
        ("search.top_kk=3", "search.top_kk", "search.top_k"),
        ("+model.aggg=sum", "model.aggg", "agg"),
        ("+catalog.los.X=a.B", "catalog.los", "loss"),
        ("config.loss=KLDiv", "config.loss=KLDiv", "KlDiv"),
        ("config.matching_type=spladedoc", "config.matching_type", "splade_doc"),
        ("los=kl", "los", "loss"),
    ],
)
def test_an_unknown_name_is_told_with_its_address_and_the_nearest_valid_one(override, address, near):
    told = refusal(override)
    assert address in told
    assert f"did you mean {near}?" in told or f"did you mean '{near}'?" in told


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("config.lr=fast", "config.lr must be a number > 0, got 'fast'"),
        ("config.lr=0", "config.lr must be a number > 0"),
        ("config.nb_iterations=1.5", "config.nb_iterations must be a whole number >= 1, got 1.5"),
        ("config.nb_iterations=true", "config.nb_iterations must be a whole number"),
        ("config.fp16=maybe", "config.fp16 must be true or false, got 'maybe'"),
        ("config.retrieval_name=TOY", "config.retrieval_name must be a list of text"),
        ("config=3", "config is a group of settings"),
        ("init_dict.agg=mean", "accepted are max, sum"),
        ("config.checkpoint_dir='a/${config.lrr}'", "config.lrr"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(override, told):
    assert told in refusal(override)


@pytest.mark.parametrize(
    ("override", "by"),
    [
        ("data.TRAIN.QREL_PATH=x", "catalog.train_data.hard_negatives"),
        ("init_dict.lexical_type=document", "catalog.model.splade_lexical"),
        ("init_dict.train_idf=true", "catalog.model.splade_idf"),
        ("hf.training.learning_rate=1", "catalog.trainer.multi_negative"),
        ("data.n_negatives=4", "catalog.train_data.hard_negatives"),
    ],
)
def test_a_value_that_nothing_reads_is_refused_and_told_what_would_read_it(override, by):
    told = refusal(override)
    assert override.partition("=")[0] in told
    assert by in told


def test_settings_of_the_other_trainer_are_told_in_one_line_with_a_config_that_has_them():
    told = refusal("hf=toy", command="hf_train")
    assert len(told.splitlines()) == 1
    assert told.startswith("hf.training.training_loss, hf.training.learning_rate, ")
    assert "config.hf_training is not true" in told
    assert "SPLADE_CONFIG_NAME=config_hf_toy" in told
    assert "remove it (~hf)" in told
    assert configured("hf=toy", name="config_hf_toy", command="hf_train").trainer.max_steps == -1


def test_settings_of_the_trainer_by_steps_are_told_in_one_line_that_removes_them():
    told = refusal("config.lr=1e-4", "config.loss=KlDiv", name=HF, command="hf_train")
    assert len(told.splitlines()) == 1
    assert told.startswith("config.lr, config.loss: only the trainer by steps reads this")
    assert "Remove it (~config.lr ~config.loss)" in told


def test_a_value_that_nothing_reads_passes_where_it_says_what_happens_anyway():
    configured("init_dict.lexical_type=query")
    assert "init_dict.lexical_type" in refusal("init_dict.lexical_type=both")


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["config.random_seed=2"], "two names of one setting"),
        (["init_dict.freeze_d_model=true"], "init_dict.model_type_or_dir_q"),
        (["~config.augment_pairs"], "needs config.augment_pairs=in_batch_negatives"),
        (["config.loss=PairwiseNLL"], "goes with config.loss=InBatchPairwiseNLL"),
        (["loss=kl"], "data.type=triplets has none"),
        (["loss=pairwise", "train/data=toy_pairs"], "needs negatives"),
        (["validation=none", "config.early_stopping=true"], "early_stopping=true without validation"),
        (["config.monitoring_ckpt=loss"], "data.VALIDATION_SIZE_FOR_LOSS"),
        (["config.monitoring_ckpt=MRR@100"], "did you mean 'MRR@10'"),
        (["validation=none", "config.monitoring_ckpt=MRR@10"], "data.VALIDATION_FULL_RANKING"),
        (["config.retrieval_name=[A,B]"], "config.retrieval_name 2"),
        (["retrieve_evaluate=all", "config.retrieval_name=[A,A,B]"], "a name is there twice"),
        (["config.warmup_steps=100000"], "config.warmup_steps=100000 is more than config.nb_iterations"),
        (["config.fp16=true", "config.bf16=true"], "choose one"),
        (["init_dict.head_bias=-3"], "init_dict.head=tied_identity"),
        (["~config.regularizer.FLOPS.lambda_q", "~config.regularizer.FLOPS.lambda_d"], "neither lambda_q nor lambda_d"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides, told):
    assert told in refusal(*overrides)


def test_the_multi_negative_trainers_teacher_losses_need_a_teacher_too():
    told = refusal("hf.training.training_loss=kldiv", "train/data=toy", "~hf.data", name=HF, command="hf_train")
    assert "hf.training.training_loss=kldiv learns from teacher scores" in told


def test_settings_that_say_the_same_twice_pass():
    configured("config.random_seed=123", "config.monitoring_ckpt=mrr_10", "config.regularizer=eval_only")


def test_a_command_asks_only_for_what_it_needs():
    missing = ("~data.TRAIN_DATA_DIR", "~config.lr")
    told = refusal(*missing, command="train")
    assert "data.TRAIN_DATA_DIR is needed by examples" in told
    assert "config.lr is needed by trainer" in told
    configured(*missing, command="index")
    configured("~data.type", command="index")
    assert "config.checkpoint_dir" in refusal("config.checkpoint_dir=null", command="index")
    assert "beir.dataset is needed" in refusal(command="beir_eval")
    configured("config.index_dir=???", command="train")


def test_unknown_names_are_refused_by_every_command():
    for command in ("train", "index", "evaluate", "rerank"):
        assert "config.lr?" in refusal("config.lrr=1", command=command)


def test_all_mistakes_of_a_kind_are_told_at_once():
    told = refusal("config.lrr=1", "config.losss=KlDiv")
    assert "did you mean config.lr?" in told
    assert "did you mean config.loss?" in told


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["config.loss=WeightedSum"], "config.loss=WeightedSum needs config.loss_weights"),
        (["config.loss=WeightedSum", "config.loss_weights.MLM=1"], "config.loss_weights.MLM: no such loss"),
        (["config.loss=WeightedSum", "config.loss_weights.KLDiv=1"], "config.loss_weights.KLDiv: no such loss"),
        (
            ["config.loss=WeightedSum", "config.loss_weights.KlDiv=-1"],
            "config.loss_weights.KlDiv must be a number >= 0",
        ),
        (["config.loss=KlDiv", "config.loss_weights.KlDiv=1"], "nothing in this configuration reads it"),
        (
            ["config.loss=WeightedSum", "config.loss_weights.KlDiv=1", "train/data=toy"],
            "config.loss=KlDiv learns from teacher scores, and data.type=triplets has none",
        ),
        (
            ["config.loss=WeightedSum", "config.loss_weights.InBatchPairwiseNLL=1"],
            "config.loss=InBatchPairwiseNLL needs config.augment_pairs=in_batch_negatives",
        ),
    ],
)
def test_a_mix_of_losses_is_refused_where_its_parts_would_be(overrides, told):
    assert told in refusal("train/data=toy_hard_negatives", "~config.augment_pairs", *overrides)


@pytest.mark.thinned(2)
@pytest.mark.parametrize("kind", ["splade_doc", "splade_idf", "splade_table", "splade_mlp"])
def test_queries_that_are_their_own_tokens_have_no_prompt_and_no_pooling(kind):
    for override in ("hf.data.prompt_q=find the", "init_dict.agg_q=sum"):
        told = refusal(f"config.matching_type={kind}", override)
        assert override.split("=")[0] in told
        assert "catalog.model.splade" in told
