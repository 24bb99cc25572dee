"""Turns, orders of documents, collections of files and published settings of the search benchmark."""

import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks.search import comparison, contestants, older, orders, vectors
from benchmarks.search.__main__ import main
from benchmarks.search.bmp_peer import Bmp
from benchmarks.search.building import FIGURES
from benchmarks.search.comparison import Choices, compare
from benchmarks.search.engine import Engine
from benchmarks.search.ours import Ours
from benchmarks.search.seismic_peer import PUBLISHED_DOCS, published
from benchmarks.search.timing import SLOW, exact_scores, in_turn, recall, seconds_alone, truth_of
from splade import InvertedIndex
from splade.files import write_json

OURS = "splade-float32"  # the folder of our index


class Clocked(Engine):
    """An engine whose seconds are known: 1, 2, 3, … times a unit, in the order of its calls."""

    name = index = "clocked"

    def __init__(self, unit):
        self.unit, self.calls = unit, 0

    def search(self, queries, k):
        self.calls += 1
        return np.full((queries.shape[0], k), self.calls), np.arange(1, queries.shape[0] + 1) * self.unit * self.calls


def test_a_query_takes_the_median_of_its_rounds_without_the_first():
    engine = Clocked(0.001)
    turns = in_turn([engine], sp.csr_matrix((2, 5)), 1, 3)
    assert turns.spent[engine] == pytest.approx([3.0, 4.5, 6.0])  # calls 2, 3, 4
    assert turns.seconds[engine] == pytest.approx([0.003, 0.006])
    assert (turns.answers[engine] == 4).all()


def test_a_slow_engine_has_one_round_that_counts():
    slow, quick = Clocked(SLOW), Clocked(0.001)
    turns = in_turn([slow, quick], sp.csr_matrix((2, 5)), 1, 3)
    assert (slow.calls, quick.calls) == (2, 4)
    assert len(turns.spent[slow]) == 1


def test_queries_of_one_call_are_timed_in_calls_of_their_own():
    engine = Clocked(0.001)
    assert seconds_alone(engine, sp.csr_matrix((2, 5)), 1) == pytest.approx([0.003, 0.004])  # calls 1 3 5 and 2 4 6


def test_published_settings_of_seismic_keep_as_many_postings_as_documents_allow():
    whole, half = published(PUBLISHED_DOCS), published(PUBLISHED_DOCS // 2)
    assert [engine.made_by.kept for engine in whole] == [2000, 2000, 2000, 3000, 4000, 4000]
    assert [engine.made_by.kept for engine in half] == [1000, 1000, 1000, 1500, 2000, 2000]
    assert len({engine.index for engine in whole}) == 4
    assert [engine.name.split(" kept")[0] for engine in whole][:2] == [
        "Seismic preset 1× .97 DotVByte",
        "Seismic preset 1.5× .95",
    ]


@pytest.mark.parametrize("in_order", [False, True])
def test_engines_have_names_of_their_own_and_each_index_is_built_by_name(in_order):
    every = [*contestants.exact(in_order=in_order), *contestants.approximate(78_000, in_order=in_order)[1:]]
    assert len({engine.name for engine in every}) == len(every)
    for engine in every:
        assert contestants.by_index(engine.index, 78_000).index == engine.index


def test_what_is_compared_with_an_older_version_has_the_same_names():
    names = [(Ours(**way).name, older.Older(**way).name) for way in older.pairs()]
    assert all(ours == theirs for ours, theirs in names)


class Drawn:
    """A collection of files: documents in two kinds, each with terms of its own, mixed; weights are whole numbers."""

    folder: ClassVar[str] = "mine"

    def __init__(self, root: Path, *, write: bool = True):
        self.files = [root / self.folder / f"{name}.npz" for name in ("docs", "queries", "calibration")]
        if not write:
            return
        rng = np.random.default_rng(3)
        kinds = rng.integers(0, 2, 400)
        dense = (rng.integers(1, 30, (400, 40)) * (rng.random((400, 40)) < 0.3)).astype(np.float32)
        dense[kinds == 0, 20:], dense[kinds == 1, :20] = 0, 0
        self.files[0].parent.mkdir(exist_ok=True)
        for file, rows in zip(self.files, (dense, dense[:6], dense[6:10]), strict=True):
            sp.save_npz(file, sp.csr_matrix(rows))


def test_a_collection_of_files_is_named_after_their_folder_and_keeps_its_calibration(tmp_path):
    files = Drawn(tmp_path).files
    collection = vectors.given(tmp_path / "out", files[:2], calibration=files[2])
    assert collection.folder.name == "mine-docs"
    assert list(collection.queries) == ["queries"]
    assert collection.calibrated == "4 queries of calibration.npz"
    lengths = np.diff(sp.load_npz(files[0]).tocsc().indptr)
    assert collection.vectors.lengths().tolist() == lengths.tolist()


def test_files_that_changed_are_refused_in_the_place_of_the_old_ones(tmp_path):
    files = Drawn(tmp_path).files
    vectors.given(tmp_path / "out", files[:2])
    sp.save_npz(files[0], sp.csr_matrix(np.eye(40, dtype=np.float32)))
    with pytest.raises(SystemExit, match="mine-docs was made of other files"):
        vectors.given(tmp_path / "out", files[:2])


@pytest.fixture(scope="module")
def ordered(tmp_path_factory):
    """A collection, and its folder of indexes with ours, clustered."""
    root = tmp_path_factory.mktemp("ordered")
    collection = vectors.given(root / "out", Drawn(root).files[:2])
    indexes = collection.folder / "indexes"
    index = InvertedIndex.from_csr(collection.vectors.matrix(), cluster=True)
    index.save(indexes / OURS)
    return collection, indexes, index


def test_the_clustered_order_is_that_of_a_clustered_index(ordered):
    collection, _, index = ordered
    order = orders.order_of(orders.CLUSTERED, collection.vectors)
    assert sorted(order.tolist()) == list(range(400))
    assert order.tolist() == index.blocks.order.tolist() != list(range(400))
    assert orders.order_of(orders.GIVEN, collection.vectors).tolist() == list(range(400))


@pytest.mark.parametrize("order", [orders.GIVEN, orders.CLUSTERED])
def test_bmp_finds_every_document_in_either_order(ordered, order):
    pytest.importorskip("bmp")
    collection, indexes, _ = ordered
    engine, part = Bmp(8, order), indexes / f"{order}.part"
    for name in ("index", "inputs"):
        (part / name).mkdir(parents=True)
    engine.build(collection.vectors, part / "inputs", part / "index", 1)
    engine.open(part / "index")
    queries = collection.queries["queries"]
    scores = exact_scores(collection.vectors, queries, 300, collection.folder / "exact")
    for k in (10, 300):
        docs, seconds = engine.search(queries, k)
        counts = truth_of(scores, k).counts
        assert [len(set(found[found >= 0])) for found in docs] == counts.tolist()
        assert recall(docs, queries, collection.vectors.matrix(), truth_of(scores, k)) == 1
        assert (seconds > 0).all()
    engine.close()


def test_the_work_of_scoring_everything_is_all_blocks_and_all_postings(ordered):
    collection, indexes, index = ordered
    engine, queries = Ours("exhaustive"), collection.queries["queries"]
    engine.open(indexes / OURS)
    work = engine.work(queries, 10)
    mass = (queries.sign() @ collection.vectors.lengths()).mean()
    assert work.blocks == work.all_blocks == index.blocks.n_blocks
    assert work.postings == pytest.approx(mass)


def files(collection):
    return Drawn(collection.folder.parents[1], write=False).files[:2]


def test_the_command_writes_all_tables_and_verdicts_and_batches_find_the_same(ordered, monkeypatch):
    collection, indexes, _ = ordered
    seconds = {"threads": 1, "wall_s": 1.0, "processor_s": 1.0, "peak_mb": 1.0}
    postings = collection.vectors.n_postings
    write_json(indexes / OURS / FIGURES, {"engine": OURS, "bytes": postings, "postings": postings} | seconds)
    wanted = [f"splade {strategy}" for strategy in ("auto", "exhaustive", "block_max", "approximate")]
    choices = Choices(
        queries=6, sets=[], k=[5], threads=[1, 2], batch=6, batch_k=[20], engines=wanted, rounds=1, auto_rounds=1,
        build_threads=1, rebuild=[], in_order=False,
    )  # fmt: skip
    found = compare(collection, choices)
    assert {row["recall"] for row in found["searches"] if row["exact"]} == {1.0}
    assert {row["recall"] for row in found["batches"] if row["engine"].startswith("splade auto")} == {1.0}
    monkeypatch.setattr(comparison, "compare", lambda *_: found)
    command = ["search", "--vectors", *map(str, files(collection)), "--folder", str(collection.folder.parent)]
    monkeypatch.setattr(sys, "argv", command)
    for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    main()
    assert "**mine-docs**, 400 documents:" in (collection.folder.parent / "targets.md").read_text()
    text = (collection.folder.parent / "search-mine-docs.md").read_text()
    for head in ("queries, exact", "queries, approximate", "`auto` beside its two", "Batches", "Indexes"):
        assert f"**{head}**" in text


@pytest.mark.slow
def test_an_older_version_answers_from_a_process_of_its_own(ordered, monkeypatch, tmp_path):
    monkeypatch.setenv(older.TREE, str(Path(__file__).parents[2]))
    collection, indexes, _ = ordered
    part = tmp_path / "part"
    for name in ("index", "inputs"):
        (part / name).mkdir(parents=True)
    engine = older.Older("auto")
    engine.build(collection.vectors, part / "inputs", part / "index", 1)
    engine.open(part / "index")
    docs, seconds = engine.search(collection.queries["queries"], 10)
    engine.close()
    ours = Ours("auto")
    ours.open(indexes / OURS)
    assert (docs == ours.search(collection.queries["queries"], 10)[0]).all()
    assert (seconds > 0).all()
