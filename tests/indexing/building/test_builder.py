import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splade.files import InputError, read_json
from splade.indexing import IndexBuilder, InvertedIndex
from splade.indexing.index.inverted_index import FOLDER, building_folder
from splade.indexing.layout.segments import JOURNAL, Journal
from splade.kernels.sparse import to_dense, transpose
from tests.forked import run
from tests.kernels.cases import batch, dense_matrices, random_batch

ROOT = Path(__file__).parents[3]
V = 30
PARTS = [random_batch(seed, 20, V, first=20 * seed) for seed in range(6)]


def content(path):
    return {file.name: file.read_bytes() for file in sorted((path / FOLDER).iterdir())}


def build(path, parts=PARTS, checkpoints=(), **options):
    builder = IndexBuilder(path, V, **options)
    for number, part in enumerate(parts):
        builder.add(part)
        if number in checkpoints:
            builder.checkpoint()
    return builder.finish()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of the index of all parts, built in one go."""
    path = tmp_path_factory.mktemp("whole") / "index"
    build(path)
    return content(path)


@given(st.lists(st.tuples(dense_matrices(max_rows=5), st.booleans()), max_size=5))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_index_built_in_segments_is_that_of_the_whole_matrix(tmp_path, parts):
    builder = IndexBuilder(tmp_path / "index", 7)
    for matrix, ends_segment in parts:
        builder.add(batch(matrix, first=builder.n_docs))
        if ends_segment:
            builder.checkpoint()
    index = builder.finish()
    everything = np.concatenate([np.zeros((0, 7), np.float32), *(matrix for matrix, _ in parts)])
    assert (to_dense(transpose(index.postings, len(everything)), 7) == everything).all()
    assert list(index.doc_ids) == [f"d{doc}" for doc in range(len(everything))]
    assert index.empty_docs == (everything.sum(1) == 0).sum()
    InvertedIndex.from_csr(batch(everything)).save(tmp_path / "direct")
    assert content(tmp_path / "index") == content(tmp_path / "direct")


def test_the_memory_budget_cuts_segments_and_changes_no_byte(tmp_path, whole, monkeypatch):
    monkeypatch.setattr("splade.indexing.building.builder.MIB", 4096)
    builder = IndexBuilder(tmp_path / "index", V, memory_mb=1)
    for part in PARTS:
        builder.add(part)
    assert len(read_json(building_folder(tmp_path / "index") / JOURNAL)["segments"]) > 2
    builder.finish()
    assert content(tmp_path / "index") == whole


def test_the_building_folder_goes_and_nothing_else_appears(tmp_path):
    build(tmp_path / "index", checkpoints=(1, 3))
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert [path.name for path in (tmp_path / "index").iterdir()] == [FOLDER]


def test_vectors_are_copied_so_that_a_caller_may_reuse_its_arrays(tmp_path, whole):
    builder = IndexBuilder(tmp_path / "index", V)
    for part in PARTS:
        rows = part.rows._replace(weights=part.rows.weights.copy())
        builder.add(part._replace(rows=rows))
        rows.weights[:] = 7
    builder.finish()
    assert content(tmp_path / "index") == whole


@pytest.mark.parametrize("added", range(1, 6))
def test_an_abandoned_build_is_continued_to_the_same_bytes(tmp_path, whole, added):
    path = tmp_path / "index"
    builder = IndexBuilder(path, V)
    for part in PARTS[:added]:
        builder.add(part)
        if part is not PARTS[added - 1]:
            builder.checkpoint()
    del builder
    with pytest.raises(InputError, match="interrupted"):
        InvertedIndex.open(path)
    continued = IndexBuilder(path, V, resume=True)
    assert continued.n_docs == 20 * (added - 1)
    assert continued.last_id == (PARTS[added - 2].ids[-1] if added > 1 else None)
    for part in PARTS[added - 1 :]:
        continued.add(part)
    continued.finish()
    assert content(path) == whole


# Tells how many documents are stored after each segment, and waits for a line before it goes on.
BUILD = """
import sys
from splade.indexing import IndexBuilder
from tests.kernels.cases import random_batch
builder = IndexBuilder(sys.argv[1], 30, resume=True)
for seed in range(builder.n_docs // 20, 6):
    builder.add(random_batch(seed, 20, 30, first=20 * seed))
    builder.checkpoint()
    print(builder.n_docs, flush=True)
    sys.stdin.readline()
builder.finish()
"""


def killed_after(path, segments):
    """What a build said until it was killed, once it had stored so many segments and before it went on."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", BUILD, str(path)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        said = [int(process.stdout.readline())]
        for _ in range(segments - 1):
            process.stdin.write("go on\n")
            process.stdin.flush()
            said.append(int(process.stdout.readline()))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    return said


@pytest.mark.slow
def test_a_build_that_is_killed_is_never_taken_for_whole_and_can_be_continued(tmp_path, whole):
    path = tmp_path / "index"
    assert killed_after(path, 1) == [20]
    assert killed_after(path, 2) == [40, 60]
    with pytest.raises(InputError, match="interrupted"):
        InvertedIndex.open(path)
    continued = IndexBuilder(path, V, resume=True)
    assert continued.n_docs == 60
    for part in PARTS[3:]:
        continued.add(part)
    continued.finish()
    assert content(path) == whole
    assert [entry.name for entry in tmp_path.iterdir()] == ["index"]


@pytest.mark.parametrize("step", ["layout.assembly.write_header", "building.builder.replace_folder"])
def test_a_build_stopped_while_finishing_keeps_the_old_index_and_can_be_continued(tmp_path, whole, monkeypatch, step):
    path = tmp_path / "index"
    InvertedIndex.from_csr(batch([[1.0]])).save(path)
    builder = IndexBuilder(path, V)
    for part in PARTS:
        builder.add(part)

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"splade.indexing.{step}", stop)
        with pytest.raises(KeyboardInterrupt):
            builder.finish()
    assert InvertedIndex.open(path).n_docs == 1
    del builder
    continued = IndexBuilder(path, V, resume=True)
    assert continued.n_docs == 120
    continued.finish()
    assert content(path) == whole


@pytest.mark.parametrize("after", [0, 3000, 9000, 18000])
def test_a_full_disk_is_said_in_words_and_the_build_goes_on_when_there_is_room(tmp_path, whole, full_disk, after):
    path = tmp_path / "index"
    full_disk(after=after)
    with pytest.raises(InputError, match=r"the disk is full.*run the same again: it continues"):
        build(path, checkpoints=(0, 1, 3))
    assert not (path / FOLDER).exists()
    full_disk(after=None)
    builder = IndexBuilder(path, V, resume=True)
    for part in PARTS[builder.n_docs // 20 :]:
        builder.add(part)
    builder.finish()
    assert content(path) == whole


def test_a_builder_that_met_a_full_disk_may_itself_go_on(tmp_path, whole, full_disk):
    builder = IndexBuilder(tmp_path / "index", V)
    for part in PARTS:
        builder.add(part)
    full_disk(after=1000)
    with pytest.raises(InputError, match="the disk is full"):
        builder.finish()
    full_disk(after=None)
    builder.finish()
    assert content(tmp_path / "index") == whole


def test_a_damaged_segment_and_those_after_it_are_built_again(tmp_path, whole, caplog):
    path = tmp_path / "index"
    builder = IndexBuilder(path, V)
    for part in PARTS[:4]:
        builder.add(part)
        builder.checkpoint()
    del builder
    file = building_folder(path) / "00002" / "weights.bin"
    damaged = bytearray(file.read_bytes())
    damaged[9] ^= 1
    file.write_bytes(damaged)
    continued = IndexBuilder(path, V, resume=True)
    assert continued.n_docs == 40
    assert "weights.bin" in caplog.text
    for part in PARTS[2:]:
        continued.add(part)
    continued.finish()
    assert content(path) == whole


@pytest.mark.parametrize("other", [{"fingerprint": "b"}, {"metadata": {"m": 2}}])
def test_a_build_of_something_else_is_not_continued(tmp_path, caplog, other):
    builder = IndexBuilder(tmp_path / "index", V, fingerprint="a", metadata={"m": 1})
    builder.add(PARTS[0])
    builder.checkpoint()
    del builder
    continued = IndexBuilder(tmp_path / "index", V, resume=True, **({"fingerprint": "a", "metadata": {"m": 1}} | other))
    assert continued.n_docs == 0
    assert f"other {next(iter(other))}" in caplog.text


def test_without_resume_a_build_starts_from_nothing(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    builder = IndexBuilder(tmp_path / "index", V)
    builder.add(PARTS[0])
    builder.checkpoint()
    del builder
    assert build(tmp_path / "index", PARTS[1:2]).n_docs == 20
    assert "removed" in caplog.text


def test_a_damaged_journal_means_starting_again(tmp_path, caplog):
    builder = IndexBuilder(tmp_path / "index", V)
    builder.add(PARTS[0])
    builder.checkpoint()
    del builder
    (building_folder(tmp_path / "index") / JOURNAL).write_text('{"segments": 3')
    assert IndexBuilder(tmp_path / "index", V, resume=True).n_docs == 0
    assert "damaged journal" in caplog.text


def test_repeated_ids_are_refused_within_and_across_segments(tmp_path):
    repeated = PARTS[1]._replace(ids=("x0", "x1", "x2", *PARTS[0].ids[3:]))
    for checkpoints in ((), (0,)):
        with pytest.raises(InputError, match="'d3' occurs twice, as document 3 and 23"):
            build(tmp_path / "index", [PARTS[0], repeated], checkpoints)


def test_vectors_that_do_not_fit_are_refused_with_the_document_named(tmp_path):
    builder = IndexBuilder(tmp_path / "index", V)
    with pytest.raises(InputError, match="over 7 terms do not fit an index over 30"):
        builder.add(random_batch(0, 3, 7))
    rows = PARTS[0].rows
    weights = rows.weights.copy()
    weights[rows.offsets[5]] = np.nan
    with pytest.raises(InputError, match=r"document 'd5'.*weight nan"):
        builder.add(PARTS[0]._replace(rows=rows._replace(weights=weights)))
    with pytest.raises(ValueError, match="19 ids for 20 rows"):
        builder.add(PARTS[0]._replace(ids=PARTS[0].ids[1:]))
    assert builder.n_docs == 0


def test_a_spent_builder_says_so_and_abandoning_leaves_nothing(tmp_path):
    builder = IndexBuilder(tmp_path / "index", V)
    builder.add(PARTS[0])
    builder.checkpoint()
    builder.abandon()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="finished or abandoned"):
        builder.add(PARTS[0])


def test_two_processes_do_not_build_one_index(tmp_path):
    pytest.importorskip("fcntl", reason="needs POSIX file locks")
    path = tmp_path / "index"
    builder = IndexBuilder(path, V)
    builder.add(PARTS[0])
    code = f"from splade.indexing import IndexBuilder; IndexBuilder({str(path)!r}, {V})"
    (ended,) = run("-c", code)
    assert "another process is writing this index" in ended.err
    assert builder.finish().n_docs == 20


@pytest.mark.parametrize("arguments", [{"vocab_size": 0}, {"memory_mb": 0}])
def test_impossible_sizes_are_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match="must be"):
        IndexBuilder(tmp_path / "index", **({"vocab_size": V} | arguments))


@pytest.mark.parametrize("after_storing", [False, True])
def test_an_interrupt_in_the_middle_of_adding_or_storing_leaves_every_document_once(
    tmp_path, monkeypatch, after_storing
):
    builder = IndexBuilder(tmp_path / "index", V)
    builder.add(PARTS[0])
    with monkeypatch.context() as patched:
        if after_storing:  # right after the segment stands in the journal
            add = Journal.add

            def stored_then_interrupted(self, *arguments):
                add(self, *arguments)
                raise KeyboardInterrupt

            patched.setattr(Journal, "add", stored_then_interrupted)
            with pytest.raises(KeyboardInterrupt):
                builder.checkpoint()
        else:
            patched.setattr("splade.indexing.building.builder.pack", interrupted)
            with pytest.raises(KeyboardInterrupt):
                builder.add(PARTS[1])
    builder.checkpoint()
    assert (builder.n_docs, builder.last_id) == (len(PARTS[0].ids), PARTS[0].ids[-1])
    for part in PARTS[1:]:
        builder.add(part)
    builder.finish()
    build(tmp_path / "straight")
    assert content(tmp_path / "index") == content(tmp_path / "straight")


def interrupted(*arguments):
    raise KeyboardInterrupt
