"""Costs and conditions stand beside what they are of, and in each result."""

import pytest

from splade.engines import OWN
from splade.engines.conformance import sample_for
from splade.engines.own import ON_SERVERS
from splade.files import read_json
from splade.results import read_result
from splade.workflow.costs import add_costs, build, build_costs
from tests.commands.test_engine_choice import QUERIES, TEXTS, where

LIBRARIES = {"lucene": "pyserini", "pisa": "pyterrier_pisa", "seismic": "seismic", "bmp": "bmp"}
"""Packages that engines need, which not every machine has."""
MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")


@pytest.mark.parametrize("name", [name for name in OWN if name not in ON_SERVERS])
def test_what_a_build_cost_is_known_of_what_it_built_and_stays(name, tmp_path):
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    engine = OWN[name](tmp_path / "index")
    documents = sample_for(engine.takes).as_documents()
    first = build_costs(build(engine, documents, tmp_path / "index"))
    assert {"encode_seconds", "index_seconds", "peak_memory_mb"} <= set(first)
    assert build_costs(build(engine, documents, tmp_path / "index")) == first  # kept, and none of it read
    assert build_costs(OWN[name](tmp_path / "index").open()) == first


def test_an_interrupted_build_adds_its_cost_to_that_of_its_continuation(tmp_path):
    sample, folder = sample_for("sparse"), tmp_path / "index"

    def interrupt(number):
        if number:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(OWN["inverted"](folder), sample.as_documents(read=interrupt), folder)
    add_costs(folder, {"encode_seconds": 1000.0, "peak_memory_mb": 1e6})
    costs = build_costs(build(OWN["inverted"](folder), sample.as_documents(), folder))
    assert costs["encode_seconds"] > 1000
    assert costs["peak_memory_mb"] == 1e6
    again = build(OWN["inverted"](folder), sample.as_documents(fingerprint="another"), folder)
    assert build_costs(again)["encode_seconds"] < 1000


class InOneFile(OWN["dense"]):
    """An engine whose place is a file, as one of the user's may be, or no path at all."""

    def __init__(self, folder, place):
        super().__init__(folder)
        self.place = place

    def build(self, documents):
        opened = super().build(documents)
        opened.path = self.place
        return opened


@pytest.mark.parametrize(
    ("place", "kept"), [("index/index_stats.json", True), ("https:/host/index", False), (None, False)]
)
def test_costs_stand_beside_a_file_and_nowhere_for_a_place_that_is_no_path(tmp_path, place, kept):
    engine = InOneFile(tmp_path / "index", place and tmp_path / place)
    built = build(engine, sample_for(engine.takes).as_documents(), tmp_path / "index")
    assert (build_costs(built) != {}) == kept == (tmp_path / "index" / "build_costs.json").is_file()


def test_the_costs_of_other_documents_are_not_told(tmp_path):
    sample, folder = sample_for("sparse"), tmp_path / "index"
    build(OWN["inverted"](folder), sample.as_documents(), folder)
    unmetered = OWN["inverted"](folder).build(sample.as_documents(fingerprint="another"))
    assert build_costs(unmetered) == {}


def test_a_result_says_what_it_cost_and_under_which_conditions(splade, workplace, tmp_path):
    (tmp_path / "qrels.json").write_text('{"q0": {"d0": 1}}')
    judged = [*QUERIES[:1], f"data.EVAL_QREL_PATH=[{tmp_path}/qrels.json]", *QUERIES[2:]]
    splade("index", *MODEL, TEXTS, *where(tmp_path), cwd=workplace)
    splade("retrieve", *MODEL, *judged, *where(tmp_path), "config.seed=5", cwd=workplace)
    result = read_result(tmp_path / "out" / "DEV")
    assert result.fact("costs.build") == build_costs(OWN["inverted"](tmp_path / "index").open()) != {}
    assert result.fact("costs.search.seconds") > 0
    assert result.fact("costs.search.peak_memory_mb") > 1
    assert result.fact("costs.encode_queries.seconds") > 0
    assert result.fact("conditions.seed") == 5
    assert set(result.fact("conditions")) == {"command", "seed", "revision", "versions", "machine", "written"}
    assert result.per_query["mrr_10"] == {"q0": result.metrics["mrr_10"]}
    assert "seed: 5" in (result.folder / "config.yaml").read_text()
    before = result.fact("conditions")
    splade("evaluate", *judged, *where(tmp_path), cwd=workplace)  # again, elsewhere perhaps: the search is as it was
    assert read_result(result.folder).fact("conditions") == before
    assert not list(tmp_path.glob(".*")), "costs of builds that are done are not left beside the index"
    assert read_json(tmp_path / "index" / "build_costs.json")["inverted"]["encode_seconds"] > 0
