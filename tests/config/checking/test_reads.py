"""Following interpolations from node to value."""

from omegaconf import OmegaConf

from splade.config.checking.reads import arguments, interpolations, reads, references
from splade.config.composing.resolvers import register


def tree(text: str):
    register()
    return OmegaConf.create(text)


def test_interpolations_are_found_with_what_is_nested_in_them():
    assert list(interpolations("a ${b} ${c.${d}} \\${e}")) == ["b", "c.${d}"]
    assert list(arguments("a.b,${when:c,1,x,y},[1,2],'p,q'")) == ["a.b", "${when:c,1,x,y}", "[1,2]", "'p,q'"]


def test_a_choice_reads_its_name_and_what_is_chosen_but_nothing_else():
    table = "{a: {x: '${v.a}'}, b: {x: '${v.b}'}}"
    cfg = tree(f"{{catalog: {table}, v: {{kind: a, a: 1, b: 2}}, node: '${{catalog.${{v.kind}}}}'}}")
    found = reads(cfg, ["node"], {"catalog", "node"})
    assert found.of("v.kind") == {"node"}
    assert found.of("v.a") == {"node"}
    assert found.of("v.b") == set()


def test_when_reads_only_the_branch_it_takes():
    cfg = tree("{v: {way: true, a: 1, b: 2}, node: '${when:v.way,true,${v.a},${v.b}}'}")
    assert reads(cfg, ["node"], {"node"}).readers.keys() == {"v.way", "v.a"}


def test_what_is_needed_and_absent_is_missing_and_what_is_optional_is_not():
    cfg = tree("{v: {a: null, b: '???'}, node: {p: '${v.a}', q: '${v.b}', r: '${opt:v.c,1}', s: '${first:v.d,v.e}'}}")
    assert set(reads(cfg, ["node"], {"node"}).missing) == {"v.a", "v.b", "v.e"}


def test_values_that_refer_to_values_are_followed():
    cfg = tree("{v: {a: '${v.b}', b: '${.c}', c: 3}, node: '${v.a}'}")
    assert reads(cfg, ["node"], {"node"}).readers.keys() == {"v.a", "v.b", "v.c"}


def test_a_read_of_a_group_reads_what_is_in_it():
    cfg = tree("{v: {g: {x: 1}}, node: '${v.g}'}")
    assert reads(cfg, ["node"], {"node"}).of("v.g.x") == {"node"}


def test_references_tell_whether_they_are_optional():
    cfg = tree("{v: {a: 1}}")
    assert [tuple(r) for r in references("${opt:v.a,2}/${v.a}", cfg)] == [("v.a", True), ("v.a", False)]
