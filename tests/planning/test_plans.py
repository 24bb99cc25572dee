"""Collections foreseen from samples: laws against indexes that are built, limits against figures worked by hand."""

import numpy as np
import pytest

from splade.exporting.anserini import Anserini
from splade.indexing import InvertedIndex
from splade.kernels.faults import LARGEST
from splade.planning import Encoding, Machine, Measured, Question, Sample, answered, measure
from splade.planning.laws import MIB, build_seconds, index_bytes, slots_of
from splade.planning.limits import advice, beyond_the_format, beyond_the_machine, most_documents
from splade.planning.measuring import Written
from splade.planning.page import number, said
from splade.records import SparseBatch, SparseRows

GIB = 1 << 30
ROOMY = Machine(1 << 60, 1 << 60)
MEASURED = Measured(
    n_docs=1000,
    doc_shares=np.array([0.5, 0.25, 0.25]),
    block_shares=np.array([1.0, 0.5, 0.125]),
    id_bytes=7.0,
    weight_bytes=4,
    fixed_bytes=1000,
    build_seconds=0.001,
    sort_seconds=1e-8,
    shard_bytes=20.0,
    shard_fixed=100,
    targets={"jsonl": Written(30.0, 0.0018), "other": "no such library"},
    encoding=Encoding(seconds=10.0, memory_mb=512.0),
)
QUESTION = Question([8_800_000], 4, 1.0, 1024, 2, 10.0)


def documents(n_docs, width=1500, n_terms=25):
    """Vectors with terms as frequent as Zipf has them."""
    rng = np.random.default_rng(n_docs)
    frequency = 1 / np.arange(1, width + 1) ** 0.7
    drawn = np.sort(rng.choice(width, (n_docs, n_terms), p=frequency / frequency.sum()), axis=1)
    kept = np.diff(drawn, axis=1, prepend=-1) > 0
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    weights = rng.random(int(offsets[-1]), np.float32) + np.float32(0.1)
    ids = tuple(f"{n:07}" for n in range(n_docs))
    return SparseBatch(ids, SparseRows(offsets, drawn[kept].astype(np.int32), weights), width)


def sample(vectors):
    return Sample(vectors, [""] * len(vectors.ids), None, [f"t{term}" for term in range(vectors.vocab_size)])


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "of_a_weight"), [("float32", 4), pytest.param("uint8", 1, marks=pytest.mark.slow)])
def test_an_index_of_twenty_times_the_sample_has_the_bytes_that_were_foreseen(weights, of_a_weight):
    large = documents(20_000)
    measured = measure(sample(documents(1000)), {}, None, timed=2, weights=weights)
    built = InvertedIndex.from_csr(large, weights=weights, cluster=True)
    assert measured.weight_bytes == of_a_weight
    assert index_bytes(measured, 20_000) == pytest.approx(built.n_bytes, rel=0.02)
    assert slots_of(measured, 20_000) == pytest.approx(len(built.arrays["block_skips"]), rel=0.05)


def test_bytes_are_those_of_the_format_by_hand():
    # 2^16 blocks of 64 documents, in 128 ranges: the last size whose blocks have 16-bit numbers.
    documents, blocks = 1 << 22, 1 << 16
    postings = documents * 1.0
    of_documents = documents * (4 + 7 + 8 + 8 + 4)
    head, tail, runs = 2 * blocks, blocks // 8, 3 * 8 * 129
    # Runs of 16384 and 8192 postings: 2^10 and 2^9 slots by their length, 2^9 at most, and one more.
    slots = 128 * 3 * (512 + 1)
    assert slots_of(MEASURED, documents) == slots
    expected = 1000 + 6 * postings + of_documents + head + 3 * tail + runs + 2 * slots
    assert index_bytes(MEASURED, documents) == pytest.approx(expected)
    # A block more, whose documents' postings are no long run but for the first term's.
    more = index_bytes(MEASURED, documents + 64) - expected
    assert more == pytest.approx(64 * (6 + 31) + 2 + 5 * (blocks + 1) / 8 - 3 * tail + 3 * 8)


def test_time_is_linear_but_for_sorting_the_ids_at_each_segment():
    assert build_seconds(MEASURED._replace(sort_seconds=0.0), 2_000_000, 1024) == pytest.approx(2000)
    # A document is 8 bytes of a posting, 7 of its id and 16 for its place; half of 31 MiB holds half a million of them.
    memory_mb, n = 31, 4 * MIB
    sorting = build_seconds(MEASURED, n, memory_mb) - n * 0.001
    assert sorting == pytest.approx((n * 31 / (15.5 * MIB)) / 2 * n * 1e-8)
    assert build_seconds(MEASURED, 2 * n, memory_mb) - 2 * n * 0.001 == pytest.approx(4 * sorting)


def test_shards_and_hours_are_those_of_the_rate():
    plan = QUESTION.foresee(MEASURED, 36_000_000)  # 100 hours of one worker
    assert (plan.shards, plan.encode_hours) == (100, pytest.approx(25.0))
    assert QUESTION.foresee(MEASURED, 1000).shards == 4  # one for each worker at least
    assert plan.shard_bytes == 36_000_000 * 20 + 100 * 100
    assert plan.encode_memory == 512 * MIB + 40 * 36_000_000
    given = QUESTION.foresee(MEASURED._replace(encoding=None, shard_bytes=None), 36_000_000)
    assert (given.shards, given.encode_hours, given.shard_bytes, given.encode_memory) == (None,) * 4
    assert given.index_bytes == plan.index_bytes


def test_what_no_index_can_number_is_told():
    many = QUESTION.foresee(MEASURED._replace(doc_shares=np.array([1e-9])), LARGEST + 1)
    assert beyond_the_format(many) == ["2,147,483,648 documents are more than an index can number (2,147,483,647)"]
    full = QUESTION.foresee(MEASURED._replace(doc_shares=np.full(300, 0.4)), 1_000_000_000)
    (slots,) = beyond_the_format(full)
    assert "slots of skip tables are more than an index can number (4,294,967,295)" in slots
    assert beyond_the_format(QUESTION.foresee(MEASURED, 8_800_000)) == []


def test_what_is_too_much_for_the_machine_is_cut_into_indexes_that_fit():
    def foresee(n):
        return QUESTION.foresee(MEASURED, n)

    small = Machine(memory=4 * GIB, disk=20 * GIB)
    plan = foresee(1_000_000_000)
    told = advice(plan, small, foresee)
    assert any("a worker of the encoding holds 37.8 GiB" in each for each in told)
    assert any("larger than memory (4.0 GiB)" in each for each in told)
    most = most_documents(plan.documents, small, foresee)
    assert beyond_the_machine(foresee(most), small) == []
    assert beyond_the_machine(foresee(most * 12 // 10), small)
    assert told[-1].startswith(f"{-(-plan.documents // most)} indexes of up to {most:,} documents each")
    assert "splade.export" in told[-1]
    assert advice(plan, ROOMY, foresee) == ["one index of ours on this machine"]
    nothing = advice(plan, Machine(0, 0), foresee)
    assert nothing[-1].startswith("no index fits here")


def test_a_figure_that_half_the_sample_foresees_otherwise_is_marked():
    half = MEASURED._replace(encoding=Encoding(6.0, 512.0), n_docs=500)  # 83 documents a second, all of it 100
    figures, page = answered(QUESTION, half, MEASURED, ROOMY, ["milvus"])
    rows = {row["name"]: row for row in figures["figures"]}
    assert rows["encoding: time of all workers together"]["samples_differ_percent"] == pytest.approx(20)
    assert rows["index: on disk"]["samples_differ_percent"] == 0
    (marked,) = [line for line in page.splitlines() if line.startswith("| encoding: time")]
    assert marked.endswith("| 20.0 % **!** |")
    assert "by more than 10 %" in page
    assert rows["export: jsonl, on disk"]["values"] == {"8800000": 30.0 * 8_800_000}
    assert rows["export: jsonl, time of writing"]["values"] == {"8800000": pytest.approx(4.4)}
    assert rows["export: other"]["values"] == {"8800000": "not measured: no such library"}
    assert rows["engine: milvus, its own index"]["values"] == {"8800000": "measured by indexing"}
    assert "**!**" not in answered(QUESTION, MEASURED, MEASURED, ROOMY)[1]


def test_a_target_that_wants_the_counts_gets_them_before_it_writes():
    told = []

    class Target(Anserini):
        def prepare(self, observed):
            told.append(observed)

        def write_documents(self, folder, documents, words):
            assert told
            return super().write_documents(folder, documents, words)

    chosen = sample(documents(70))
    assert measure(chosen, {"own": Target()}, None, timed=2).targets["own"].n_bytes > 0
    rows = chosen.vectors.rows
    assert told[-1] == (70, len(rows.columns), 1500, rows.weights.max())


def test_a_target_is_measured_by_its_own_files(tmp_path):
    chosen = sample(documents(100))
    measured = measure(chosen, {"anserini": Anserini(), "none": "wants a server"}, None, timed=2)
    Anserini().write_documents(tmp_path, [(chosen.vectors, chosen.texts)], chosen.words)
    size = (tmp_path / "docs_anserini.jsonl").stat().st_size
    assert measured.targets["anserini"].n_bytes == size / 100
    assert measured.targets["anserini"].seconds > 0
    assert measured.targets["none"] == "wants a server"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1536, "bytes", "1.5 KiB"),
        (38 * GIB, "bytes", "38 GiB"),
        (1023, "bytes", "1,023 B"),
        (2.0, "hours", "2 h"),
        (72.0, "hours", "3 days"),
        (3994.0, "", "3,994"),
    ],
)
def test_figures_are_said_in_units_that_can_be_read(value, unit, text):
    assert said(value, unit) == text


def test_three_digits_are_enough():
    assert [number(value) for value in (0.012345, 12.345, 12345.6, 7)] == ["0.0123", "12.3", "12,346", "7"]
