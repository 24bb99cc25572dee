"""Settings of one command that are typed after another, which would not read them."""

import pytest

from splade.config import commands
from tests.config.support import configured, refusal


@pytest.mark.parametrize("command", ["retrieve", "index", "train", "evaluate", "all", "rerank"])
def test_the_rule_about_self_matches_is_refused_where_it_would_not_be_applied(command):
    told = refusal("+beir.self_matches=off", command=command)
    assert told == (
        f"+beir.self_matches=off: only splade.beir_eval reads beir; splade.{command} would go on without it. "
        "Remove beir.self_matches"
    )


@pytest.mark.parametrize(
    ("override", "owner"),
    [("changes.merge=true", "update"), ("compare.n_queries=2", "compare")],
)
def test_other_nodes_of_single_commands_are_refused_in_the_same_way(override, owner):
    assert f"only splade.{owner} reads" in refusal(override, command="index")


def test_nodes_of_two_commands_are_refused_to_others_by_both_names():
    told = refusal("anserini.quantization_factor_query=2", command="index")
    assert "only splade.create_anserini and splade.export read anserini" in told


def test_the_command_itself_takes_its_settings():
    cfg = configured("+beir.dataset=scifact", "+beir.self_matches=off", command="beir_eval")
    assert cfg.beir.self_matches == "off"


def test_what_commands_own_no_other_command_needs():
    for row in commands().values():
        for node in row.get("owns", ()):
            others = [other for other in commands().values() if node not in other.get("owns", ())]
            needed = [need for other in others for need in other.get("needs", ())]
            assert node not in {need.partition(".")[0] for need in needed}, node


def test_settings_that_two_commands_own_are_taken_by_both_and_refused_by_others():
    assert configured("fuse.runs=[a,b]", "fuse.out=c.trec", "fuse.k=5", command="fuse").fusion.k == 5
    assert configured("fuse.k=5", command="hybrid").fusion.k == 5
    assert "only splade.fuse and splade.hybrid read fuse" in refusal("fuse.k=5", command="retrieve")
