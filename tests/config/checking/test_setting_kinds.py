"""Kinds of settings, and the table of them against the wiring."""

import re

import pytest
from omegaconf import OmegaConf

from splade.config.checking.conflicts import canonical
from splade.config.checking.reads import interpolations
from splade.config.checking.settings import WRONG, Setting, Settings, read_value
from splade.config.checking.signatures import accepted_arguments, located
from splade.config.checking.validate import leaves
from splade.config.checking.wiring import components

EMPTY = OmegaConf.create({"catalog": {"loss": {"KlDiv": "x"}}})


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("bool", "false", False),
        ("bool", "Yes", True),
        ("bool", 0, WRONG),
        ("int", "12", 12),
        ("int", 12.0, 12),
        ("int", True, WRONG),
        ("int >= 1", 0, WRONG),
        ("float", "2e-5", 2e-5),
        ("float > 0", 0, WRONG),
        ("float >= 0", 0, 0.0),
        ("float >= 0 and < 1", 1, WRONG),
        ("float >= 0 and <= 1", "1", 1.0),
        ("int and <= 3", 4, WRONG),
        ("float", float("nan"), WRONG),
        ("str", 7, "7"),
        ("path", ["a"], WRONG),
        ("list of int", ["1", 2], [1, 2]),
        ("list of path", ["a", None], WRONG),
        ("list of (path or null)", ["a", None], ["a", None]),
        ("int >= 1 or list of int", [5, 10], [5, 10]),
        ("one of a, b", "b", "b"),
        ("one of a, b", "c", WRONG),
        ("one of catalog.loss", "KlDiv", "KlDiv"),
        ("'eval_only'", "eval_only", "eval_only"),
        ("'eval_only'", "eval", WRONG),
        ("bool", None, None),
    ],
)
def test_a_value_is_read_as_its_kind_or_refused(kind, value, found):
    read = read_value(kind, value, EMPTY)
    assert read is found if found is WRONG else (read == found and type(read) is type(found))


def test_a_star_stands_for_one_name():
    setting = Setting("config.regularizer.*.T", "int", "")
    assert setting.matches("config.regularizer.FLOPS.T")
    assert not setting.matches("config.regularizer.T")


def test_both_spellings_of_a_metric_are_one():
    assert canonical("MRR@10") == canonical("mrr_10")
    assert canonical("ndcg@10") == canonical("ndcg_cut_10")


def wired_texts() -> list[tuple[str, str]]:
    raw = OmegaConf.to_container(components(), resolve=False)
    return [(place, str(leaf)) for place, leaf in leaves(raw)]


def test_the_table_of_settings_and_the_wiring_name_the_same_values():
    wired = set(components())
    read = set()
    for _, text in wired_texts():
        for inner in interpolations(text):
            words = re.split(r"[,:${}]+", inner)
            read |= {word for word in words if re.fullmatch(r"[A-Za-z_]+(\.\w+)+|\w*factor\w*", word)}
    read = {address for address in read if address.split(".")[0] not in wired} | {"rerank_collection", "rerank_runs"}
    listed = {row.address.split(".*")[0] for row in Settings.shipped().rows}
    assert read == listed


def nodes_with_a_target() -> list[tuple[str, dict]]:
    found = []

    def walk(place: str, node: object) -> None:
        if isinstance(node, dict):
            if "${" not in node.get("_target_", "${"):
                found.append((place, node))
            for name, child in node.items():
                walk(f"{place}.{name}" if place else name, child)

    walk("", OmegaConf.to_container(components(), resolve=False))
    return found


def test_every_wired_class_takes_every_argument_it_is_given():
    for place, node in nodes_with_a_target():
        accepted = accepted_arguments(located(node["_target_"]))
        assert accepted is None or {key for key in node if not key.startswith("_")} <= accepted, place


def test_every_dotted_path_of_the_catalog_leads_somewhere():
    for place, text in wired_texts():
        if text.startswith("splade."):
            assert callable(located(text)), place
