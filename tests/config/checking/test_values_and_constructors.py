"""Every value that a setting accepts is one that its constructor takes; what is left is told in words."""

import re
from contextlib import suppress
from dataclasses import fields
from itertools import product

import pytest
from omegaconf import OmegaConf

from splade.config.checking import blame
from splade.config.checking.encoding_conflicts import mined_ranks
from splade.config.checking.settings import WRONG, Settings, read_value
from splade.config.checking.wiring import components
from splade.data.examples.false_negatives import FalseNegatives
from splade.engines import Bm25
from splade.files import InputError
from splade.indexing.format.choices import Layout
from splade.indexing.format.pruning import Pruning
from splade.losses import MaskedLanguageModel, weighted_sum
from splade.mining import Ranks
from splade.models.backbones.lora import lora_from
from splade.models.retrievers.bm25 import _saturation
from splade.regularization import penalties_from
from splade.training.step.settings import TrainingSettings
from tests.config.support import configured, refusal

TRIED = (-1e9, -1, 0, 1e-9, 0.5, 1 - 1e-9, 1, 1.5, 2, 3, 8, 1e9)
EMPTY = OmegaConf.create({})


def accepted(address):
    """The values that the table of settings accepts at ``address``, of those tried."""
    setting = Settings.shipped().find(address)
    found = [read_value(setting.kind, value, EMPTY) for value in TRIED]
    assert any(value is not WRONG for value in found), address
    return [value for value in found if value is not WRONG]


CATALOG = components().catalog


def trainer_settings():
    """Arguments of the trainer and the settings that they come from, numbers alone."""
    node = OmegaConf.to_container(CATALOG.trainer.steps, resolve=False)
    names = {field.name for field in fields(TrainingSettings)}
    found = {name: re.match(r"\$\{(?:opt:)?([\w.]+)", str(value)) for name, value in node.items() if name in names}
    rows = {name: Settings.shipped().find(match[1]) for name, match in found.items() if match}
    return {name: row.address for name, row in rows.items() if row and re.match("(int|float)", row.kind)}


@pytest.mark.parametrize(("name", "address"), trainer_settings().items())
def test_the_trainer_takes_every_value_that_its_settings_accept(name, address):
    for value in accepted(address):
        given = {"checkpoint_dir": "x", "nb_iterations": 5, "train_batch_size": 2, "lr": 1.0, name: value}
        TrainingSettings(**given).check_settings()


def test_most_settings_of_the_trainer_are_tried():
    assert len(trainer_settings()) >= 15


def regularizer_keys():
    """Each penalty with each of its numbers."""
    own = {
        "DF_FLOPS": ("every", "alpha", "beta"),
        "IDF_FLOPS": ("floor",),
        "anti_collapse": ("floor",),
        "masked_FLOPS": ("threshold",),
    }
    for name in CATALOG.regularizer:
        for key in ("lambda_q", "lambda_d", "T", "target_q", "target_d", "target_steps", *own.get(name, ())):
            yield name, key


@pytest.mark.parametrize(("name", "key"), list(regularizer_keys()))
def test_penalties_take_every_value_that_their_settings_accept(name, key, tmp_path):
    catalog = OmegaConf.to_container(CATALOG.regularizer)
    idf = tmp_path / "idf.json"
    idf.write_text('{"a": 1.0}')
    for value in accepted(f"config.regularizer.{name}.{key}"):
        settings = {"lambda_q": 1.0, "lambda_d": 1.0, "T": 5, key: value}
        settings |= {"idf": str(idf)} if name == "IDF_FLOPS" else {}
        with suppress(InputError):  # in words, with its address
            penalties_from(settings={name: settings}, catalog=catalog, ramp="quadratic")


CONSTRUCTORS = {
    "config.mlm_probability": lambda value: MaskedLanguageModel(probability=value),
    "config.loss_weights.KlDiv": lambda value: weighted_sum(
        {"KlDiv": value}, catalog=OmegaConf.to_container(CATALOG.loss)
    ),
    "config.prune_top_terms": lambda value: Layout(prune_top_terms=value).pruning,
    "config.prune_min_weight": lambda value: Layout(prune_min_weight=value).pruning,
    "config.prune_term_quantile": lambda value: Layout(prune_term_quantile=value).pruning,
    "config.prune_mass": lambda value: Layout(prune_mass=value).pruning,
    "config.search.prune_top_terms": lambda value: Pruning(top_terms=value).checked(),
    "config.search.prune_mass": lambda value: Pruning(mass=value).checked(),
    "config.baseline_k1": lambda value: Bm25(None, k1=value),
    "config.baseline_b": lambda value: Bm25(None, b=value),
    "config.mining.margin": lambda value: FalseNegatives(margin=value, share=None),
    "config.mining.share": lambda value: FalseNegatives(margin=None, share=value),
    "data.negative_margin": lambda value: FalseNegatives(margin=value, share=None),
    "data.negative_share": lambda value: FalseNegatives(margin=None, share=value),
    "init_dict.lora.r": lambda value: lora_from({"r": value}),
    "init_dict.lora.alpha": lambda value: lora_from({"alpha": value}),
    "init_dict.lora.dropout": lambda value: lora_from({"dropout": value}),
    "init_dict.k1": lambda value: _saturation(value, 0.75, 5.0),
    "init_dict.b": lambda value: _saturation(1.2, value, 5.0),
    "init_dict.mean_length": lambda value: _saturation(1.2, 0.75, value),
}


@pytest.mark.parametrize("address", CONSTRUCTORS)
def test_a_constructor_takes_every_value_that_its_setting_accepts(address):
    for value in accepted(address):
        CONSTRUCTORS[address](value)


def test_every_kind_of_setting_can_be_read():
    catalog = components()
    for setting in Settings.shipped().rows:
        for value in (0.5, 1, "a", True, ["a"], [1]):
            read_value(setting.kind, value, catalog)  # a kind that nobody knows would raise


def test_ranks_that_cannot_be_mined_are_conflicts_and_no_others():
    names, sizes = ("top", "n_top", "depth", "n_deep"), (0, 1, 5)
    for values in product(sizes, sizes, (1, 5), sizes):
        settings = dict(zip(names, values, strict=True))
        told = list(mined_ranks(OmegaConf.create({"config": {"mining": settings}, "mine": {"ranks": settings}})))
        try:
            Ranks(**settings).check()
        except ValueError:
            assert any("config.mining." in sentence for sentence in told), settings
        else:
            assert not told, settings


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ("init_dict.fp16=true init_dict.bf16=true", "init_dict.fp16=true and init_dict.bf16=true: choose one"),
        (
            "hf=toy hf.training.fp16=true hf.training.bf16=true",
            "hf.training.fp16=true and hf.training.bf16=true: choose",
        ),
        ("config.ema_decay=1", "config.ema_decay must be a number >= 0 and < 1, got 1"),
        ("config.prune_term_quantile=1.5", "config.prune_term_quantile must be a number >= 0 and < 1, got 1.5"),
        ("config.baseline_b=2", "config.baseline_b must be a number >= 0 and <= 1, got 2"),
        ("config.mining.top=5 config.mining.n_top=9", "config.mining.n_top=9 negatives cannot come from"),
        ("config.matching_type=dense config.index_weights=uint8", "config.index_weights=uint8: dense vectors are kept"),
    ],
)
def test_it_is_refused_before_anything_is_built(overrides, told):
    name = "config_hf_splade_l1q" if "hf=" in overrides else None
    assert told in refusal(*overrides.split(), name=name)


def test_a_number_between_two_bounds_is_accepted():
    assert configured("config.matching_type=splade_bm25", "init_dict.idf=i.json", "init_dict.b=0.5").model.b == 0.5


def test_an_error_that_names_a_setting_is_told_from_one_that_does_not():
    assert blame.names_a_setting("init_dict.k1 must be 0 or above, got -1")
    assert blame.names_a_setting("max_length (config.max_length) must be above 2, the special tokens")
    assert blame.names_a_setting("init_dict.lora: r must be at least 1")
    assert not blame.names_a_setting("operands could not be broadcast: numpy.core (3,) x.y")
