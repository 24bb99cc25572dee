"""A dense folder of Sentence Transformers in commands: used as it says, trained on, and beside other engines."""

import json
import shutil

import numpy as np
import pytest

from splade.config import configure
from splade.dense.index import DenseIndex
from splade.evaluation.runs import read_run
from splade.files import InputError
from splade.models import Dense, load_retriever, save_retriever
from splade.workflow.hybrid import parts_of
from splade.workflow.model_loading import as_trained, retriever_from, starting_model
from tests.commands.world import PASSAGES, QUESTIONS, SMALL_HF
from tests.models.support import TEXTS, vectors
from tests.tiny import tiny_encoder

DENSE = "config.matching_type=dense"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of 20 tokens, mean pooling and unit length, with a prompt for queries."""
    root = tiny_encoder(tmp_path_factory.mktemp("dense") / "model", hidden=16, layers=1)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    described(root, kinds, similarity_fn_name="cosine", prompts={"query": "find the ", "document": ""})
    return root


@pytest.fixture(scope="module")
def projected(place, tmp_path_factory):
    """The same with a projection, which cannot be computed here."""
    root = tmp_path_factory.mktemp("projected") / "model"
    shutil.copytree(place, root)
    described(root, {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"})
    return root


def described(root, kinds, **config):
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (root / "1_Pooling").mkdir(exist_ok=True)
    for name, value in {
        "modules.json": modules,
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": 20},
        "config_sentence_transformers.json": config,
    }.items():
        (root / name).write_text(json.dumps(value))


def named(folder, *overrides, command="index"):
    return configure(command, [f"init_dict.model_type_or_dir={folder}", *overrides])


def used(folder, *overrides):
    return retriever_from(named(folder, "config.pretrained_no_yamlconfig=true", *overrides))


def test_it_is_used_with_its_own_pooling_length_prompts_and_unit_length(place, caplog):
    for overrides in ([DENSE], []):  # it says itself that it is dense
        caplog.clear()
        model = used(place, *overrides)
        assert type(model) is Dense
        assert (model.normalize, model.pooling, model.max_length("query")) == (True, "mean", 20)
        assert (model.prompt("query"), model.prompt("document")) == ("find the ", "")
        (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("splade")]
        assert "max_length=20 (config.max_length=128 is not read)" in said
        assert ("a Dense (config.matching_type=splade is not read)" in said) == (not overrides)


def test_what_the_user_names_holds_and_is_said(place, caplog):
    model = used(place, DENSE, "init_dict.normalize=false", "config.max_length=9")
    assert (model.normalize, model.max_length("document")) == (False, 9)
    assert "init_dict.normalize=False in place of True" in caplog.text
    assert vectors(model, TEXTS).norm(dim=1).min() > 1.1


def test_a_remark_on_the_comparison_is_made_once_and_not_where_the_user_chose(place, tmp_path, caplog):
    root = tmp_path / "model"
    shutil.copytree(place, root)
    described(root, {"": "Transformer", "1_Pooling": "Pooling"}, similarity_fn_name="cosine")
    assert used(root, DENSE).normalize
    assert caplog.text.count("compares by cosine and has no Normalize module") == 1
    caplog.clear()
    assert not used(root, DENSE, "init_dict.normalize=false").normalize
    assert "compares by cosine" not in caplog.text


def test_a_trained_dense_model_may_be_compared_by_cosine_and_a_plain_one_too(tmp_path, caplog):
    plain = tiny_encoder(tmp_path / "plain", hidden=16, layers=1)
    assert used(plain, DENSE, "init_dict.normalize=true").normalize
    assert not used(plain, DENSE).normalize
    save_retriever(Dense(plain), tmp_path / "model")
    trained = [f"config.checkpoint_dir={tmp_path}", DENSE]
    assert retriever_from(configure("index", [*trained, "init_dict.normalize=true"])).normalize
    assert "init_dict.normalize=True in place of False" in caplog.text


def test_another_pooling_and_another_kind_are_refused_where_they_are_named(place):
    with pytest.raises(InputError, match=r"init_dict\.pooling=cls, but the model in .* has pooling=mean"):
        used(place, DENSE, "init_dict.pooling=cls")
    with pytest.raises(InputError, match=r"config\.matching_type=splade means .*, but the model in .* is a Dense"):
        used(place, "config.matching_type=splade")


def test_a_training_goes_on_from_it_as_it_is_and_the_saved_config_says_so(place, caplog):
    cfg = named(place, DENSE, command="train")
    model = starting_model(cfg)
    assert (type(model), model.normalize, model.max_length("query")) == (Dense, True, 20)
    saved = as_trained(cfg, model)
    assert (saved.init_dict.normalize, saved.config.max_length, saved.hf.data.prompt_q) == (True, 20, "find the ")
    assert "language model alone" not in caplog.text
    assert not starting_model(named(place, DENSE, "init_dict.normalize=false", command="train")).normalize


def test_a_model_that_cannot_be_computed_is_refused_in_use_and_lends_a_training_its_transformer(projected, caplog):
    for overrides in ([DENSE], []):
        with pytest.raises(InputError, match="holds Transformer then Pooling then Dense; of dense models, only"):
            used(projected, *overrides)
    model = starting_model(named(projected, DENSE, command="train"))
    assert (type(model), model.normalize, model.max_length("document")) == (Dense, False, 128)
    assert "holds Transformer then Pooling then Dense" in caplog.text
    assert "In this training the language model alone is taken; pooling, lengths and prompts are the co" in caplog.text


def test_beside_other_engines_it_has_its_own_length_unless_the_user_names_one(place, tmp_path):
    asked = ("hybrid.engines=[inverted,dense]", f"hybrid.dense={place}", f"config.index_dir={tmp_path}",
             "config.pretrained_no_yamlconfig=true", f"config.out_dir={tmp_path}")  # fmt: skip
    for more, length in (([], 20), (["config.max_length=11"], 11)):
        model = parts_of(configure("hybrid", [*asked, *more]))[1].chosen.source.model
        assert (type(model), model.max_length("document"), model.normalize) == (Dense, length, True)


def test_trained_on_indexed_and_searched_its_scores_are_cosines(splade, workplace, place, tmp_path):
    where = [f"config.{name}_dir={tmp_path / name}" for name in ("checkpoint", "index", "out")]
    splade("all", *where, f"init_dict.model_type_or_dir={place}", *SMALL_HF, cwd=workplace,
           SPLADE_CONFIG_NAME="config_hf_dense_sigir23_32neg_nodistil")  # fmt: skip
    model = load_retriever(tmp_path / "checkpoint" / "model")
    assert model.normalize
    assert not vectors(model, TEXTS).equal(vectors(load_retriever(place), TEXTS))  # it learned
    index = DenseIndex.open(tmp_path / "index")
    np.testing.assert_allclose(np.linalg.norm(index.vectors, axis=1), 1, rtol=1e-5)
    path, *_ = (tmp_path / "out").glob("*/run.json")
    scores = [score for found in read_run(path).values() for score in found.values()]
    assert len(scores) == len(QUESTIONS) * len(PASSAGES)
    assert max(map(abs, scores)) <= 1 + 1e-6
