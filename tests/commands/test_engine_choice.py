"""The same commands run on any engine: the model's own, BM25, one of the user's, with its own settings."""

import json
import sys
import textwrap

import pytest

from splade.engines import Bm25
from splade.engines.bm25 import rankings
from splade.files import read_json
from splade.indexing import InvertedIndex
from splade.records import Text
from tests.commands.world import PASSAGES, QUESTIONS

MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")
TEXTS = "data.COLLECTION_PATH=data/msmarco/full_collection"
QUERIES = (
    "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]",
    "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]",
    "config.retrieval_name=[DEV]",
    "config.eval_metric=[[mrr_10]]",
    "config.top_k=5",
)
EXPECTED = {
    one.query_id: list(one.doc_ids)
    for one in rankings(
        [Text(f"d{number}", text) for number, text in enumerate(PASSAGES)],
        [Text(*item) for item in QUESTIONS.items()],
        5,
    )
}


def where(folder):
    return [f"config.{name}_dir={folder / name}" for name in ("index", "out")]


def run_of(folder):
    return {query: list(found) for query, found in read_json(folder / "out" / "DEV" / "run.json").items()}


@pytest.fixture(scope="module")
def qrels(workplace):
    path = workplace / "data" / "msmarco" / "dev_qrel.json"
    if not path.is_file():
        path.write_text(json.dumps({query: {f"d{number}": 1} for number, query in enumerate(QUESTIONS)}))
    return path


def test_bm25_is_indexed_searched_and_evaluated_without_a_model(splade, workplace, qrels, tmp_path):
    splade("index", "engine=bm25", TEXTS, *where(tmp_path), cwd=workplace)
    assert (Bm25(tmp_path / "index").open().metadata["k1"], Bm25(tmp_path / "index").open().n_docs) == (0.9, 12)
    splade("retrieve", "engine=bm25", *QUERIES, *where(tmp_path), cwd=workplace)
    assert run_of(tmp_path) == EXPECTED
    facts = read_json(tmp_path / "out" / "DEV" / "stats" / "search_stats.json")
    assert (facts["engine"], facts["bm25"]["analyzer"]) == ("bm25", "english")
    assert read_json(tmp_path / "out" / "DEV" / "perf.json")["mrr_10"] > 0.8
    before = (tmp_path / "index" / "index_stats.json").stat().st_mtime_ns
    splade("index", "engine=bm25", TEXTS, *where(tmp_path), cwd=workplace)
    assert (tmp_path / "index" / "index_stats.json").stat().st_mtime_ns == before
    splade("index", "engine=bm25", "engine.k1=1.2", TEXTS, *where(tmp_path), cwd=workplace)
    assert Bm25(tmp_path / "index").open().metadata["k1"] == 1.2


def test_a_folder_of_bm25_is_searched_as_such_but_not_in_place_of_a_named_model(
    splade, workplace, qrels, tmp_path, capsys
):
    splade("index", "engine=bm25", TEXTS, *where(tmp_path), cwd=workplace)
    splade("retrieve", *QUERIES, *where(tmp_path), cwd=workplace)
    assert run_of(tmp_path) == EXPECTED
    with pytest.raises(SystemExit):
        splade("retrieve", *MODEL, *QUERIES, *where(tmp_path), "config.force=true", cwd=workplace)
    assert "Search it with engine=bm25" in capsys.readouterr().err


def test_documents_are_deleted_from_bm25s_index_but_not_appended_to_it(splade, workplace, tmp_path, capsys):
    splade("index", "engine=bm25", TEXTS, *where(tmp_path), cwd=workplace)
    with pytest.raises(SystemExit):
        splade("update", f"data.APPEND_PATH={workplace / 'data/msmarco/full_collection'}", *where(tmp_path)[:1],
               cwd=workplace)  # fmt: skip
    assert "index the whole collection again" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "gone.txt").write_text("d1\n")
    splade("update", f"data.DELETE_PATH={tmp_path / 'gone.txt'}", *where(tmp_path)[:1], cwd=workplace)
    assert Bm25(tmp_path / "index").open().unknown(["d0", "d1"]) == ["d1"]


def test_one_command_runs_the_whole_baseline_and_trains_nothing(splade, workplace, qrels, tmp_path):
    splade("all", "engine=bm25", TEXTS, *QUERIES, *where(tmp_path), f"config.checkpoint_dir={tmp_path / 'c'}",
           cwd=workplace)  # fmt: skip
    assert run_of(tmp_path) == EXPECTED
    assert not (tmp_path / "c").exists()
    assert not (tmp_path / "out" / "flops.json").exists()


def test_a_beir_set_is_evaluated_and_negatives_are_mined_by_bm25(splade, workplace, tmp_path):
    splade("beir_eval", "engine=bm25", "+beir.dataset=scifact", "+beir.dataset_path=data/beir", *where(tmp_path),
           cwd=workplace)  # fmt: skip
    assert read_json(tmp_path / "out" / "beir" / "scifact" / "perf.json")["ndcg_cut_10"] > 0.8
    training = ("data.type=hard_negatives", "data.TRAIN.D_COLLECTION_PATH=data/msmarco/full_collection",
                "data.TRAIN.Q_COLLECTION_PATH=data/msmarco/dev_queries", "data.TRAIN.QREL_PATH=qrels.json",
                "~data.TRAIN_DATA_DIR")  # fmt: skip
    (workplace / "qrels.json").write_text(json.dumps({query: {f"d{n}": 1} for n, query in enumerate(QUESTIONS)}))
    splade("mine", "engine=bm25", *training, f"config.mining.index_dir={tmp_path / 'mined'}",
           f"config.out_dir={tmp_path / 'mined'}", cwd=workplace)  # fmt: skip
    assert (tmp_path / "mined" / "negatives.jsonl.gz").is_file()
    assert Bm25(tmp_path / "mined").open().n_docs == len(PASSAGES)


def test_given_vectors_are_refused_by_an_engine_of_texts(splade, workplace, tmp_path, capsys):
    (tmp_path / "v.jsonl").write_text('{"id": "a", "vector": {"sea": 1.5}}\n')
    asked = (f"data.Q_VECTORS_PATH=[{tmp_path / 'v.jsonl'}]", "data.EVAL_QREL_PATH=[null]", *QUERIES[2:])
    for command in (("index", f"data.VECTORS_PATH={tmp_path / 'v.jsonl'}"), ("retrieve", *asked)):
        with pytest.raises(SystemExit):
            splade(*command, "engine=bm25", *where(tmp_path), cwd=workplace)
        assert "sparse vectors, and config.engine=bm25 takes texts" in " ".join(capsys.readouterr().err.split())


def test_strategy_and_its_options_reach_the_search(splade, workplace, qrels, tmp_path):
    splade("index", *MODEL, TEXTS, *where(tmp_path), cwd=workplace)
    search = ("retrieve", *MODEL, *QUERIES, *where(tmp_path))
    stats = tmp_path / "out" / "DEV" / "stats" / "search_stats.json"
    splade(*search, "engine.strategy=approximate", "engine.recall=.9", cwd=workplace)
    assert (read_json(stats)["strategy"], read_json(stats)["strategy_options"]) == ("approximate", {"recall": 0.9})
    named = "+catalog.strategy.walk=splade.search.strategies.reference.Reference"
    splade(*search, named, "engine.strategy=walk", cwd=workplace)
    assert read_json(stats)["strategy"] == "splade.search.strategies.reference.Reference"
    splade(*search, "config.search.strategy=exhaustive", cwd=workplace)
    assert (read_json(stats)["strategy"], read_json(stats).get("strategy_options")) == ("exhaustive", None)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["engine.recall=.9"], "takes no options, got 'recall'"),
        (["engine.strategy=fastest"], "strategy must be one of auto, exhaustive"),
        (["engine=bm25", "engine.analyzer=german"], "accepted are english, plain"),
        (["engine=bm25", "engine.analyser=plain"], "engine.k1, engine.b, engine.analyzer"),
        (["engine=bm35"], "engine has no option bm35"),
        (["config.engine=bm35"], "config.engine=bm35"),
        (["engine=dense"], "takes dense vectors, and this model makes sparse vectors"),
        (["engine=dense", "engine.strategy=exhaustive"], "is for inverted indexes"),
    ],
)
def test_what_an_engine_does_not_take_is_refused_before_work(given, told, splade, workplace, qrels, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        splade("retrieve", *MODEL, *QUERIES, *where(tmp_path), *given, cwd=workplace)
    assert refused.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


OWN = textwrap.dedent("""
    import numpy as np
    from splade.engines.inverted import Inverted, OpenedInverted

    class Doubled(Inverted):
        def __init__(self, folder, *, factor=2.0):
            super().__init__(folder)
            self.factor = factor

        def _opened(self, index):
            opened = DoubledOpened(index)
            opened.factor = self.factor
            return opened

    class DoubledOpened(OpenedInverted):
        def search(self, queries, k, **how):
            for ranking in super().search(queries, k, **how):
                yield ranking._replace(scores=ranking.scores * np.float32(self.factor))
""")


BY_PATH = ["engine._target_=own_engine.Doubled"]
BY_NAME = ["+catalog.engine.Doubled=own_engine.Doubled", "config.engine=Doubled"]


@pytest.mark.parametrize("named", [BY_PATH, BY_NAME])
def test_an_engine_of_ones_own_is_chosen_by_config_alone(named, splade, workplace, qrels, tmp_path, monkeypatch):
    (tmp_path / "own_engine.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "own_engine", raising=False)
    splade("index", *MODEL, TEXTS, *where(tmp_path), cwd=workplace)
    assert InvertedIndex.open(tmp_path / "index").n_docs == len(PASSAGES)
    search = ("retrieve", *MODEL, *QUERIES, *where(tmp_path))
    splade(*search, cwd=workplace)
    plain = read_json(tmp_path / "out" / "DEV" / "run.json")
    splade(*search, *named, "engine.factor=4", cwd=workplace)
    found = read_json(tmp_path / "out" / "DEV" / "run.json")
    for query, scores in plain.items():
        assert found[query] == {id: pytest.approx(4 * score, rel=1e-6) for id, score in scores.items()}
