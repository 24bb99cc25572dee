"""Queries without their lightest terms, by the settings of a search: given as vectors or encoded now."""

from types import SimpleNamespace

import numpy as np
import pytest

from splade.config import configure
from splade.engines.protocol import Queries, Texts
from splade.files import InputError, read_json
from splade.mine import about, search_with
from splade.records import SparseBatch
from splade.workflow.searching import pruned_queries
from tests.data.writing import jsonl
from tests.kernels.cases import batch

DOCS = [
    {"id": "d1", "vector": {"sea": 2.0, "sun": 1.0}},
    {"id": "d2", "vector": {"sun": 3.0, "snow": 1.0}},
    {"id": "d3", "vector": {"snow": 2.0}},
]
ASKED = [
    {"id": "q1", "vector": {"sea": 4.0, "sun": 3.0, "snow": 3.0}},
    {"id": "q2", "vector": {"sun": 1.0}},
    {"id": "q3", "vector": {"ski": 9.0, "sea": 3.0, "snow": 1.0}},  # no document has ski
]
SEARCH = (
    "data.Q_VECTORS_PATH=[queries.jsonl]",
    "data.EVAL_QREL_PATH=[null]",
    "config.retrieval_name=[NAME]",
    "config.top_k=10",
    "config.index_dir=DIR",
    "config.out_dir=OUT",
)


@pytest.fixture
def place(tmp_path, splade):
    jsonl(tmp_path / "docs.jsonl", DOCS)
    jsonl(tmp_path / "queries.jsonl", ASKED)
    splade("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR", cwd=tmp_path)
    return tmp_path


def results(place):
    folder = place / "OUT/NAME"
    return read_json(folder / "run.json"), *(read_json(folder / f"stats/{name}_stats.json") for name in ("q", "search"))


def test_given_queries_are_searched_with_their_heaviest_terms_and_the_stored_facts_say_so(place, splade):
    splade("retrieve", *SEARCH, "config.search.prune_mass=0.7", cwd=place)
    run, counts, facts = results(place)
    # q1: sea and, of the equal ones, the term that the index numbers first, sun, reach .7 of 10; q3: sea has 3 of 4
    assert run == {"q1": {"d1": 11.0, "d2": 9.0}, "q2": {"d2": 3.0, "d1": 1.0}, "q3": {"d1": 6.0}}
    assert counts["L0_q"] == pytest.approx(4 / 3)
    assert facts["query_pruning"] == {"top_terms": None, "mass": 0.7, "terms_before": 6, "terms_kept": 4}
    # postings of sea, sun and snow: 1, 2 and 2 of 3 documents; sea in 2, sun in 2, snow in no query of 3
    assert facts["flops"] == pytest.approx((1 * 2 + 2 * 2) / 9)


def test_with_both_rules_the_fewer_terms_stay_and_without_them_nothing_is_said(place, splade):
    splade("retrieve", *SEARCH, "config.search.prune_mass=0.7", "config.search.prune_top_terms=1", cwd=place)
    run, _, facts = results(place)
    assert run["q1"] == {"d1": 8.0}
    assert facts["query_pruning"]["terms_kept"] == 3
    splade("retrieve", *SEARCH, cwd=place)
    run, _, facts = results(place)
    assert run["q1"] == {"d1": 11.0, "d2": 12.0, "d3": 6.0}
    assert "query_pruning" not in facts


def test_encoded_queries_are_pruned_as_given_ones(workplace, splade, tmp_path):
    model = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")
    where = (f"config.index_dir={tmp_path}/index", f"config.out_dir={tmp_path}/out")
    texts = ("data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]", "data.EVAL_QREL_PATH=[null]")
    named = (*texts, "config.retrieval_name=[NAME]", "config.top_k=5", "config.search.prune_top_terms=2")
    splade("index", *model, "data.COLLECTION_PATH=data/msmarco/full_collection", where[0], cwd=workplace)
    splade("retrieve", *model, *named, *where, cwd=workplace)
    stats = read_json(tmp_path / "out/NAME/stats/q_stats.json")
    assert stats["L0_q"] == 2
    assert read_json(tmp_path / "out/NAME/stats/search_stats.json")["query_pruning"]["terms_kept"] == 16


def test_mining_searches_with_pruned_queries_and_knows_negatives_that_were_mined_otherwise():
    searched = []
    opened = SimpleNamespace(n_docs=5, search=lambda queries, *_, **__: searched.append(queries.vectors))
    engine = SimpleNamespace(exists=lambda: True, open=lambda: opened)
    asking = SimpleNamespace(vectors=lambda texts, name: Queries(batch(texts)))
    source = SimpleNamespace(queries=lambda opened, force: asking, fingerprint="f")
    chosen = SimpleNamespace(at=lambda folder: engine, source=source, name="inverted")
    toy, places = {"SPLADE_CONFIG_NAME": "config_distil_toy"}, ("config.checkpoint_dir=C", "config.out_dir=O")
    plain = configure("mine", places, toy)
    pruned = configure("mine", (*places, "config.search.prune_top_terms=1"), toy)
    search_with(pruned, chosen)([[1, 3, 2]])
    assert searched[0].rows.columns.tolist() == [1]
    assert about(pruned, chosen)["search"].pop("query_pruning") == "config.search.prune_top_terms=1"
    assert "query_pruning" not in about(plain, chosen)["search"]


def test_queries_without_terms_are_not_pruned_and_it_is_refused_in_words(place, splade, capsys):
    settings = {"prune_top_terms": 3, "prune_mass": 1.0}
    with pytest.raises(InputError, match=r"config.search.prune_top_terms=3: only sparse queries have terms"):
        pruned_queries(Queries(Texts(("q",), ("a text",))), settings)
    with pytest.raises(SystemExit):
        splade("retrieve", "engine=bm25", "config.search.prune_mass=0.5", cwd=place)
    assert "config.search.prune_mass=0.5: this engine takes texts" in capsys.readouterr().err


def test_a_share_of_one_hands_the_queries_on_as_they_are():
    asked = Queries(batch(np.eye(3)))
    settings = {"prune_top_terms": None, "prune_mass": 1.0}
    assert pruned_queries(asked, settings) == (asked, {})
    assert isinstance(asked.vectors, SparseBatch)
