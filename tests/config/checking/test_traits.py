"""What the wiring knows of a part is said by its class, however a config names it."""

import sys

import pytest

from splade.config import ConfigError, configure
from splade.config.checking.signatures import located
from splade.config.checking.traits import UNSAID, says
from splade.config.checking.wiring import components
from splade.losses import Needs, Scores
from splade.losses import says as loss_says
from tests.config.support import configured, refusal
from tests.sampled import sampled

OWN = """
from splade.losses import Loss


class Plain(Loss):
    def __init__(self, temperature=1.0, probability=9):
        self.temperature, self.probability = temperature, probability

    def value(self, scores):
        return scores.group.sum() * 0


class Taught(Plain):
    needs_teacher = True


class InBatch(Plain):
    needs_in_batch = True
    min_documents = 1


class Hiding(Plain):
    takes = ("probability",)


class Odd(Plain):
    takes = ("lr",)


def made():
    return Plain()
"""
FORMS = {
    "target": ["loss._target_={path}"],
    "catalog": ["+catalog.loss.Mine={path}", "config.loss=Mine"],
    "many": ["+catalog.training_loss.Mine={path}", "hf.training.training_loss=Mine"],
}
LOSSES = [
    (kind, name, str(path))
    for kind in ("loss", "training_loss", "reranker_loss")
    for name, path in components().catalog[kind].items()
]


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "own_losses.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_losses", None)


def both(name, *overrides, config=None):
    """What the two ways to name a loss of one's own give: the wired nodes, or the refusal."""
    found = []
    for form in (FORMS["target"], FORMS["many" if config else "catalog"]):
        given = [*(part.format(path=f"own_losses.{name}") for part in form), *overrides]
        try:
            cfg = configured(*given, name=config, command="train")
            found.append((dict(cfg.loss), dict(cfg.examples), cfg.trainer.get("in_batch_negatives")))
        except ConfigError as error:
            found.append(str(error))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.slow
def test_an_own_loss_is_wired_alike_however_it_is_named():
    hard = ("train/data=toy_hard_negatives", "~config.augment_pairs")
    loss, examples, _ = both("Plain", *hard)
    assert (loss, examples["with_teacher"]) == ({"_target_": "own_losses.Plain"}, False)
    assert both("Taught", *hard)[1]["with_teacher"] is True
    assert both("made", *hard)[1]["with_teacher"] is False
    assert both("Plain", *hard, "+loss.temperature=2")[0] == {"_target_": "own_losses.Plain", "temperature": 2}
    assert both("Hiding", "config.mlm_probability=0.4")[0] == {"_target_": "own_losses.Hiding", "probability": 0.4}
    assert both("Plain")[2] is True  # in-batch negatives of the default config stay: a warning tells of them


@pytest.mark.thinned(4)
@pytest.mark.parametrize(
    ("name", "overrides", "told"),
    [
        ("Taught", [], "the loss own_losses.Taught learns from teacher scores, and data.type=triplets has none"),
        ("Plain", ["train/data=toy_pairs"], "the loss own_losses.Plain needs negatives, and data.type=pairs has none"),
        ("InBatch", ["~config.augment_pairs"], "the loss own_losses.InBatch needs config.augment_pairs="),
        ("Plain", ["+loss.temprature=2"], "loss.temprature: own_losses.Plain takes no such argument; did you mean"),
        ("Plain", ["config.mlm_probability=0.4"], "config.mlm_probability=0.4: nothing in this configuration reads it"),
        ("Odd", [], "own_losses.Odd.takes names 'lr'; accepted are weights, catalog, probability"),
        ("Nowhere", [], "loss: own_losses.Nowhere cannot be imported"),
    ],
)
def test_an_own_loss_is_refused_in_the_same_words_however_it_is_named(name, overrides, told):
    assert told in both(name, *overrides)


@pytest.mark.slow
def test_the_multi_negative_trainer_treats_both_ways_alike_too():
    loss, examples, _ = both("Taught", "+loss.temperature=2", config="config_hf_toy")
    assert (loss["temperature"], examples["with_teacher"]) == (2, True)
    assert both("Plain", config="config_hf_toy")[1]["with_teacher"] is False
    told = both("Taught", "~hf.data", "train/data=toy", config="config_hf_toy")
    assert "the loss own_losses.Taught learns from teacher scores, and data.type=triplets has none" in told


def test_a_shipped_loss_named_by_its_path_is_held_to_what_its_name_is():
    asked = ["train/data=toy_hard_negatives"]
    told = refusal(*asked, "loss._target_=splade.losses.KlDiv")
    assert told == refusal(*asked, "config.loss=KlDiv")
    assert "not KlDiv, which looks at no other query" in told


def test_a_data_set_and_a_model_say_themselves_what_they_have():
    cfg = components()
    have = {name: says(str(node._target_), "has_negatives") for name, node in cfg.catalog.train_data.items()}
    assert [name for name in have if not have[name]] == ["pairs", "texts"]
    teachers = {name: says(str(node._target_), "has_teacher") for name, node in cfg.catalog.train_data.items()}
    assert [name for name in teachers if not teachers[name]] == ["triplets", "pairs", "texts"]
    own = {name: says(str(node._target_), "own_query_encoder") for name, node in cfg.catalog.model.items()}
    assert [name for name in own if own[name]] == ["splade_mlp"]


@pytest.mark.parametrize(("kind", "name", "path"), LOSSES, ids=[f"{kind}.{name}" for kind, name, _ in LOSSES])
def test_a_loss_of_the_catalog_needs_no_more_than_its_class_or_function_says(kind, name, path):
    told = located(path)
    if "weights" in told.takes:
        return
    loss = told()
    for trait in ("needs_teacher", "needs_in_batch", "in_batch_documents", "of_tokens"):
        assert getattr(loss, trait) == getattr(told, trait), trait
    assert loss.min_documents >= told.min_documents


def test_every_fact_has_an_answer_for_those_that_say_nothing():
    assert set(Needs.__annotations__) - {"needs_document_keys"} <= set(UNSAID)
    assert says("splade.losses.no.such", "needs_teacher") is False
    with pytest.raises(ValueError, match="needs_teachr: no such need"):
        loss_says(needs_teachr=True)
    assert Scores  # of one module with them


def test_a_config_with_traits_of_an_earlier_version_is_used_without_them(tmp_path, caplog):
    file = tmp_path / "config.yaml"
    file.write_text("defaults: [config_default, _self_]\ntraits: {with_teacher: {Mine: false}}\n")
    cfg = configure("train", [], {"SPLADE_CONFIG_FULLPATH": str(file)})
    assert "traits" not in cfg
    assert "traits: no longer read; a class says itself" in caplog.text


@pytest.mark.parametrize(
    ("command", "more"),
    sampled(
        [("retrieve", ["~data.Q_COLLECTION_PATH", "data.Q_VECTORS_PATH=[q.jsonl]"]), ("evaluate", []), ("update", [])]
    ),
)
def test_a_command_without_a_model_asks_no_class(command, more, run_python):
    code = (
        "import sys; from splade.config import configure; "
        f"configure({command!r}, {['config.loss=WeightedSum', 'config.loss_weights.KlDiv=1', *more]}); "
        "print('torch' in sys.modules)"
    )
    assert run_python(code).strip() == "False"
