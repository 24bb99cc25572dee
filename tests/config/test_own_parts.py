"""Penalties, readers, strategies and export targets of one's own, by config alone; what is wrong is told in words."""

import sys

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from splade.config import configure, save_config
from splade.data import open_collection, open_queries
from splade.files import InputError
from splade.records import Text
from splade.workflow.checks import check_search
from tests.config.support import configured, refusal

PARTS = """
import numpy as np
from splade.records import Text
from splade.data.collections.file_collection import FileCollection


class Hoyer:
    def __init__(self, eps=1e-6, floor=0.0):
        self.eps, self.floor = eps, floor

    def __call__(self, vectors):
        return vectors.sum() * self.eps


class Search:
    def __init__(self, index, *, depth=3):
        pass

    def __call__(self, work):
        work.counts[:] = -1


class NoCall:
    def __init__(self, index):
        pass


class NoIndex:
    def __call__(self, work):
        pass


class Target:
    def __init__(self, digits=3):
        self.digits = digits


def lines(path):
    with open(path) as file:
        for number, line in enumerate(file.read().splitlines()):
            yield Text(str(number), line)


def doubled(path):
    yield Text("1", "a")
    yield Text("1", "b")


def nothing(path):
    return []


class Files(FileCollection):
    pass


number = 3
"""


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "own_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_parts", None)


@pytest.mark.parametrize(
    "named",
    [["config.regularizer.Mine.reg=own_parts.Hoyer"], ["+catalog.regularizer.Mine=own_parts.Hoyer"]],
    ids=["path", "catalog"],
)
def test_a_penalty_of_ones_own_is_made_with_its_arguments(named):
    given = [f"config.regularizer.Mine.{each}" for each in ("lambda_d=0.5", "eps=0.25", "floor=2")]
    penalties = instantiate(configured(*named, *given, command="train").penalties)
    (mine,) = [penalty for penalty in penalties if penalty.name == "Mine"]
    assert (mine.side, mine.weight(0), vars(mine.measure)) == ("document", 0.5, {"eps": 0.25, "floor": 2.0})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["reg=own_parts.Hoyer", "lambda_d=1", "epz=1"], "config.regularizer.Mine.epz: there is no such setting"),
        (["reg=own_parts.Hoyer", "eps=1"], "config.regularizer.Mine has neither lambda_q nor lambda_d"),
        (["reg=Hoyr", "lambda_d=1"], "or a dotted path such as my_module.MyClass"),
        (["reg=FLOPS", "lambda_d=1", "eps=1"], "config.regularizer.Mine.eps: there is no such setting"),
    ],
)
def test_a_slip_in_the_settings_of_an_own_penalty_is_refused(given, told):
    assert told in refusal(*(f"config.regularizer.Mine.{each}" for each in given), command="train")


def test_a_penalty_that_cannot_be_imported_is_told_with_its_address():
    cfg = configured(
        "config.regularizer.Mine.reg=own_parts.None_", "config.regularizer.Mine.lambda_d=1", command="train"
    )
    with pytest.raises(Exception, match=r"config\.regularizer\.Mine\.reg: own_parts\.None_ cannot be imported"):
        instantiate(cfg.penalties)


def test_a_reader_stands_before_the_path_by_its_path_or_its_name(tmp_path):
    (tmp_path / "a.txt").write_text("honey\nengines")
    (tmp_path / "b.tsv").write_text("1\thoney\n")
    paths = ["data.COLLECTION_PATH=notes:a.txt", "data.Q_COLLECTION_PATH=[notes:a.txt,b.tsv]"]
    paths += ["config.retrieval_name=[A,B]", "~data.EVAL_QREL_PATH", "~config.eval_metric"]
    cfg = configured("+catalog.reader.notes=own_parts.lines", *paths)
    assert cfg.index.collection == "own_parts.lines:a.txt"
    assert list(cfg.retrieve.queries) == ["own_parts.lines:a.txt", "b.tsv"]
    read = open_collection(f"own_parts.lines:{tmp_path / 'a.txt'}")
    assert list(read) == [Text("0", "honey"), Text("1", "engines")]
    assert list(open_queries(f"own_parts.lines:{tmp_path / 'a.txt'}").iterate(1)) == [Text("1", "engines")]
    assert (read["1"], len(read), "2" in read) == ("engines", 2, False)
    assert list(open_collection(f"own_parts.Files:{tmp_path / 'b.tsv'}")) == [Text("1", "honey")]


@pytest.mark.parametrize(
    ("reader", "told"),
    [
        ("own_parts.doubled", r"own_parts\.doubled:x: text 2 has the id '1', which another has"),
        ("own_parts.nothing", r"own_parts\.nothing:x: the reader found no texts"),
        ("own_parts.number", "own_parts.number is a int; a reader is a function or class of a path"),
        ("own_parts.lost", r"own_parts\.lost cannot be imported"),
    ],
)
def test_a_wrong_reader_is_told_of(reader, told):
    with pytest.raises(InputError, match=told):
        list(open_collection(f"{reader}:x"))


def test_a_strategy_is_named_by_its_path_or_by_a_catalog_line():
    for asked in (
        ["config.search.strategy=own_parts.Search"],
        ["+catalog.strategy.mine=own_parts.Search", "config.search.strategy=mine"],
    ):
        cfg = configured(*asked, command="retrieve")
        assert cfg.search.strategy == "own_parts.Search"
        check_search(cfg)
    assert configured("config.search.strategy=exhaustive", command="retrieve").search.strategy == "exhaustive"


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ("own_parts.NoCall", r"'own_parts.NoCall' has no method __call__\(self, work\)"),
        ("own_parts.NoIndex", "'own_parts.NoIndex' must be made of an index"),
        ("own_parts.lines", "'own_parts.lines' must be a class, got function"),
        ("own_parts.Lost", r"own_parts\.Lost cannot be imported"),
        ("bogus", r"config\.search\.strategy=bogus: strategy must be one of auto, .*, or the dotted path of a class"),
    ],
)
def test_a_wrong_strategy_is_refused_before_the_search(strategy, told):
    with pytest.raises(InputError, match=told):
        check_search(configured(f"config.search.strategy={strategy}", command="retrieve"))


@pytest.mark.parametrize(
    "named",
    [["export._target_=own_parts.Target"], ["+catalog.export.mine=own_parts.Target", "config.export=mine"]],
    ids=["path", "catalog"],
)
def test_an_export_target_of_ones_own_is_made_with_its_arguments_alone(named):
    cfg = configured(*named, "+export.digits=2", command="create_anserini")
    assert vars(instantiate(cfg.export)) == {"digits": 2}


def test_a_saved_config_keeps_the_users_catalog_and_arguments(tmp_path):
    asked = ["+catalog.loss.Mine=splade.losses.BCE", "config.loss=Mine", "~config.augment_pairs"]
    asked += ["+catalog.reader.notes=own_parts.lines", "config.regularizer.Mine.reg=own_parts.Hoyer"]
    asked += ["config.regularizer.Mine.lambda_d=0.5", "config.regularizer.Mine.eps=0.25"]
    first = configured(*asked, command="train")
    save_config(first, tmp_path / "config.yaml")
    again = configure("train", [], {"SPLADE_CONFIG_FULLPATH": str(tmp_path / "config.yaml")})
    for node in ("loss", "penalties"):
        assert OmegaConf.to_container(again[node], resolve=True) == OmegaConf.to_container(first[node], resolve=True)
    assert again.catalog.reader.notes == "own_parts.lines"
