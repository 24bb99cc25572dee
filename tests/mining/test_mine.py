import json
import shutil
import signal

import numpy as np
import pytest

from splade.data import open_queries, read_scores
from splade.files import InputError, read_json
from splade.indexing import InvertedIndex
from splade.mining import Chooser, Ranks, mine
from splade.mining.pieces import Pieces
from splade.records import SparseBatch
from splade.search import Searcher
from tests import forked
from tests.data.writing import tsv

N_QUERIES, N_DOCS, WIDTH = 40, 120, 30
RANKS = Ranks(top=5, n_top=5, depth=40, n_deep=7)


def vectors(n, prefix, seed):
    """Sparse vectors with small whole weights, so that scores tie often."""
    weights = np.random.default_rng(seed).choice(3, (n, WIDTH), p=[0.7, 0.2, 0.1])
    rows = InvertedIndex.from_csr(matrix(weights)).vectors(np.arange(n))
    return SparseBatch(tuple(f"{prefix}{number}" for number in range(n)), rows, WIDTH)


def matrix(weights):
    from scipy.sparse import csr_matrix

    return csr_matrix(weights.astype(np.float32))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    tsv(folder / "q/raw.tsv", [(f"q{number}", f"text {number}") for number in range(N_QUERIES)])
    documents, queries = vectors(N_DOCS, "d", 0), vectors(N_QUERIES, "q", 1)
    index = InvertedIndex.from_csr(documents)
    chance = np.random.default_rng(2)
    # Every third query has no positive.
    positives = {
        f"q{number}": {f"d{doc}" for doc in chance.integers(N_DOCS, size=3)}
        for number in range(N_QUERIES)
        if number % 3
    }
    return folder, index, queries, positives


def searching(world, n_threads=1, fail_at=None):
    """A search that fails when the query with number ``fail_at`` comes."""
    _, index, queries, _ = world
    searcher = Searcher(index)

    def search(texts):
        numbers = [int(text.id[1:]) for text in texts]
        if fail_at is not None and fail_at in numbers:
            raise KeyboardInterrupt
        rows = InvertedIndex.from_csr(queries).vectors(np.array(numbers))
        batch = SparseBatch(tuple(text.id for text in texts), rows, WIDTH)
        return searcher.search(batch, k=RANKS.depth, n_threads=n_threads)

    return lambda: search


def run(world, path, piece=7, about=None, **options):
    queries = open_queries(world[0] / "q")
    chooser = Chooser(RANKS, world[3])
    return mine(queries, chooser, searching(world, **options), path, about or {"model": "m"}, piece)


@pytest.fixture(scope="module")
def undisturbed(world):
    path = world[0] / "straight" / "negatives.jsonl.gz"
    return path, run(world, path)


def test_negatives_are_the_ranks_of_a_brute_force_without_the_answers(world, undisturbed):
    _, index, queries, positives = world
    dense = np.zeros((2, max(N_DOCS, N_QUERIES), WIDTH), np.float32)
    for part, rows in enumerate((index.vectors(np.arange(N_DOCS)), queries.rows)):
        owner = np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets))
        dense[part, owner, rows.columns] = rows.weights
    scores = dense[1][:N_QUERIES] @ dense[0][:N_DOCS].T
    mined = read_scores(undisturbed[0])
    assert list(mined) == [f"q{number}" for number in range(N_QUERIES) if number % 3]
    for query, negatives in mined.items():
        row = scores[int(query[1:])]
        order = [doc for doc in np.argsort(-row, kind="stable")[: RANKS.depth] if row[doc] > 0]
        left = [f"d{doc}" for doc in order if f"d{doc}" not in positives[query]]
        assert list(negatives)[:5] == left[:5]
        assert set(negatives) <= set(left)
        assert len(negatives) == min(len(left), 12)
        assert negatives == {id: row[int(id[1:])] for id in negatives}
        assert not set(negatives) & positives[query]


def test_the_statistics_say_what_is_in_the_file(world, undisturbed):
    path, statistics = undisturbed
    mined = read_scores(path)
    assert statistics["queries"] == len(world[3])
    assert statistics["negatives"] == sum(map(len, mined.values()))
    assert statistics["negatives_per_query"] == statistics["negatives"] / len(world[3])
    assert statistics["positives"] == sum(map(len, world[3].values()))
    assert 0 < statistics["positives_found_share"] < 1
    assert read_json(path.with_name("negatives.stats.json"))["statistics"] == statistics


@pytest.mark.parametrize(("piece", "n_threads"), [(1, 1), (5, 2), (1000, 2)])
def test_neither_batches_nor_threads_change_what_is_mined(world, undisturbed, tmp_path, piece, n_threads):
    statistics = run(world, tmp_path / "negatives.jsonl.gz", piece, n_threads=n_threads)
    assert (tmp_path / "negatives.jsonl.gz").read_bytes() == undisturbed[0].read_bytes()
    assert statistics == undisturbed[1]


def test_an_order_of_queries_does_not_change_what_each_is_given(world, undisturbed, tmp_path):
    tsv(tmp_path / "q/raw.tsv", [(f"q{number}", f"text {number}") for number in reversed(range(N_QUERIES))])
    mine(open_queries(tmp_path / "q"), Chooser(RANKS, world[3]), searching(world), tmp_path / "n.jsonl", {})
    assert read_scores(tmp_path / "n.jsonl") == read_scores(undisturbed[0])


@pytest.mark.parametrize("fail_at", [1, 20, 38])
def test_an_interrupted_mining_goes_on_to_the_same_bytes(world, undisturbed, tmp_path, fail_at):
    path = tmp_path / "negatives.jsonl.gz"
    with pytest.raises(KeyboardInterrupt, match="the same command continues there"):
        run(world, path, fail_at=fail_at)
    assert not path.exists()
    statistics = run(world, path)
    assert path.read_bytes() == undisturbed[0].read_bytes()
    assert statistics == undisturbed[1]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["negatives.jsonl.gz", "negatives.stats.json"]


def test_a_finished_file_is_not_searched_for_again(world, undisturbed):
    assert run(world, undisturbed[0], fail_at=1) == undisturbed[1]


def test_a_file_of_other_settings_or_changed_by_hand_is_not_overwritten(world, undisturbed, tmp_path):
    shutil.copytree(undisturbed[0].parent, tmp_path / "copy")
    path = tmp_path / "copy" / "negatives.jsonl.gz"
    with pytest.raises(InputError, match=r"made with other model\. Name another config\.out_dir"):
        run(world, path, about={"model": "another"})
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InputError, match="changed after it was written"):
        run(world, path)
    path.with_name("negatives.stats.json").unlink()
    with pytest.raises(InputError, match=r"there is no negatives\.stats\.json"):
        run(world, path)


def test_pieces_about_something_else_are_begun_anew(world, undisturbed, tmp_path, caplog):
    path = tmp_path / "negatives.jsonl.gz"
    with pytest.raises(KeyboardInterrupt):
        run(world, path, about={"model": "another"}, fail_at=38)
    run(world, path)
    assert "left by a run with other model; begun anew" in caplog.text
    assert path.read_bytes() == undisturbed[0].read_bytes()


def test_a_damaged_piece_and_what_follows_it_are_made_again(world, undisturbed, tmp_path, caplog):
    path = tmp_path / "negatives.jsonl.gz"
    with pytest.raises(KeyboardInterrupt):
        run(world, path, fail_at=38)
    pieces = sorted((tmp_path / ".negatives.jsonl.gz.pieces").glob("*.jsonl"))
    assert len(pieces) >= 3
    octets = bytearray(pieces[1].read_bytes())
    octets[-5] ^= 1
    pieces[1].write_bytes(octets)
    run(world, path)
    assert "this piece is damaged; going back to what came before it" in caplog.text
    assert path.read_bytes() == undisturbed[0].read_bytes()


def test_a_kill_while_the_file_is_put_together_costs_nothing(world, undisturbed, tmp_path, monkeypatch):
    path = tmp_path / "negatives.jsonl.gz"

    def killed(*_):
        raise SystemExit

    for name in ("splade.mining.pieces.write_json", "splade.mining.pieces.shutil.rmtree"):
        pieces = Pieces(path, {"a": 1})
        if not pieces.n_queries:
            pieces.add(2, [("q", {"d": 1.0})], {"queries": 2})
        with monkeypatch.context() as context:
            context.setattr(name, killed)
            with pytest.raises(SystemExit):
                pieces.finish({"n": 2})
        pieces._lock.release()
        assert path.is_file()
    pieces = Pieces(path, {"a": 1})
    assert pieces.finished
    assert pieces.statistics == {"n": 2}
    assert read_scores(path) == {"q": {"d": 1.0}}
    assert not pieces.folder.exists()


def test_two_processes_do_not_write_one_file(world, tmp_path):
    code = (
        "from splade.mining.pieces import Pieces; from splade.files import InputError\n"
        f"try: Pieces({str(tmp_path / 'n.jsonl')!r}, {{}})\n"
        "except InputError as error: print(error)"
    )
    pieces = Pieces(tmp_path / "n.jsonl", {})
    (ended,) = forked.run("-c", code)
    assert "another process is writing this file" in ended.out
    assert pieces.n_queries == 0


KILLED = """
import json, os, signal, sys
import numpy as np
from splade.mining.pieces import Pieces
path, stop = json.loads(sys.argv[1])
pieces = Pieces(path, {"a": 1})
for number in range(pieces.n_queries, 30, 3):
    if number == stop:
        os.kill(os.getpid(), signal.SIGKILL)
    pieces.add(3, [(f"q{number}", {"d": number / 7})], {"queries": 3})
pieces.finish(dict(pieces.counts))
"""


def test_after_kills_a_file_has_the_bytes_of_an_undisturbed_one(tmp_path):
    def attempt(name, stop):
        (ended,) = forked.run("-c", KILLED, json.dumps([str(tmp_path / name / "n.jsonl"), stop]))
        return ended.status

    assert attempt("straight", -1) == 0
    assert [attempt("killed", stop) for stop in (0, 9, 27)] == [-signal.SIGKILL] * 3
    assert attempt("killed", -1) == 0
    for name in ("n.jsonl", "n.stats.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
