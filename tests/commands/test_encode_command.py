"""``splade encode``: shards, one index of them, interruptions."""

import re
import shutil
import signal

import pytest

from splade.config import configure
from splade.data.vectors.shards import Shard
from splade.files import read_json
from splade.indexing import InvertedIndex
from splade.workflow.encoding import shard_of
from tests.commands.test_interruptions import contents
from tests.commands.world import PASSAGES
from tests.cutting import Cut, outcomes

MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")
SMALL_BATCHES = "config.index_retrieve_batch_size=2"
TEXTS = "data.COLLECTION_PATH=data/msmarco/full_collection"
QUERIES = (
    "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]",
    "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]",
    "config.retrieval_name=[DEV]",
    "config.eval_metric=[[mrr_10]]",
)
# Each further kill of one shard's encoding, later than the one before it, and the last two at its very end.
KILLS = (
    Cut(signal.SIGKILL, "0"),  # the first text is wanted
    Cut(signal.SIGKILL, "*.npz", 1, "before"),
    Cut(signal.SIGKILL, "*.npz", 1),
    Cut(signal.SIGKILL, "*.npz", 2, "before"),
    Cut(signal.SIGKILL, "*.npz", 3),
    Cut(signal.SIGKILL, "500"),
    Cut(signal.SIGKILL, "*.npz", 3, "before"),
    Cut(signal.SIGKILL, "*/terms.json", 1),
    Cut(signal.SIGKILL, "*/shard-*", 1, "before"),
    Cut(signal.SIGKILL, "*/shard-*", 1),
)


@pytest.fixture
def place(workplace, tmp_path):
    for name in ("MODEL", "data"):
        (tmp_path / name).symlink_to(workplace / name)
    return tmp_path


def test_an_index_of_shards_answers_as_one_of_the_texts(place, splade):
    splade("index", *MODEL, TEXTS, "config.index_dir=texts", cwd=place)
    for number in (3, 1, 2):
        splade("encode", "--shard", f"{number}/3", *MODEL, TEXTS, "config.out_dir=vectors", cwd=place)
    splade("index", "data.VECTORS_PATH=vectors", "config.index_dir=shards", cwd=place)
    texts, shards = InvertedIndex.open(place / "texts"), InvertedIndex.open(place / "shards")
    assert list(shards.doc_ids) == list(texts.doc_ids) == [f"d{number}" for number in range(len(PASSAGES))]
    assert shards.fingerprint == texts.fingerprint
    assert shards.vocabulary == texts.vocabulary
    for index in ("texts", "shards"):
        searched = (f"config.index_dir={index}", f"config.out_dir=out_{index}")
        splade("retrieve", *MODEL, *QUERIES, *searched, "config.top_k=5", cwd=place)
    ours, theirs = (read_json(place / f"out_{index}" / "DEV" / "run.json") for index in ("shards", "texts"))
    assert ours.keys() == theirs.keys()
    for query, found in theirs.items():
        assert ours[query] == pytest.approx(found, rel=1e-5)


def test_what_int8_costs_is_told(place, splade, caplog, monkeypatch):
    monkeypatch.setattr("splade.encoding.precision.cpu_flags", lambda: frozenset({"avx512_vnni"}))
    caplog.set_level("INFO")
    splade("index", *MODEL, TEXTS, "config.index_dir=texts", cwd=place)
    where = ("config.index_dir=texts", "config.out_dir=out", "config.int8=true")
    splade("retrieve", *MODEL, *QUERIES, *where, "config.top_k=5", cwd=place)
    assert re.search(r"DEV mrr_10: [01]\.\d+ with queries in int8, [01]\.\d+ in float32: [+-]0\.\d+", caplog.text)
    assert (place / "out" / "float32" / "DEV" / "run.json").is_file()


def test_another_model_may_not_search_an_index_of_shards(place, splade, capsys):
    splade("encode", *MODEL, TEXTS, "config.out_dir=vectors", cwd=place)
    splade("index", "data.VECTORS_PATH=vectors", "config.index_dir=shards", cwd=place)
    where = (*QUERIES, "config.index_dir=shards", "config.out_dir=out")
    with pytest.raises(SystemExit) as ended:
        splade("retrieve", *MODEL, "init_dict.agg=sum", *where, cwd=place)
    assert ended.value.code == 2
    assert "made by the encoder" in capsys.readouterr().err


def test_encoding_again_changes_nothing_and_a_missing_shard_stops_the_index(place, splade, capsys, caplog):
    caplog.set_level("INFO")
    encode = ("encode", "config.shard=1/2", *MODEL, TEXTS, "config.out_dir=vectors")
    splade(*encode, cwd=place)
    before = contents(place / "vectors")
    splade(*encode, cwd=place)
    assert "holds these vectors already: 6" in caplog.text
    assert contents(place / "vectors") == before
    with pytest.raises(SystemExit) as ended:
        splade("index", "data.VECTORS_PATH=vectors", "config.index_dir=shards", cwd=place)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "shards are missing: 2/2. Encode them: python -m splade.encode --shard" in told
    assert "(named by data.VECTORS_PATH)" in told


def test_a_shard_that_cannot_be_is_refused_before_the_model_is_loaded(place, splade, capsys):
    with pytest.raises(SystemExit):
        splade("encode", "--shard=0/4", "init_dict.model_type_or_dir=none", "config.out_dir=v", cwd=place)
    assert "config.shard=0/4: expected NUMBER/OF counted from 1" in capsys.readouterr().err


def test_the_option_is_the_setting():
    assert configure("encode", [*MODEL, "config.shard=2/8", "config.out_dir=v"]).encode.shard == "2/8"


def test_torchrun_shares_out_the_collection_or_the_shard():
    second = {"RANK": "1", "WORLD_SIZE": "4"}
    assert shard_of(None, {}) == Shard(1, 1)
    assert shard_of("2/8", {}) == Shard(2, 8)
    assert shard_of(None, second) == Shard(2, 4)
    assert shard_of("3/8", second) == Shard(10, 32)


@pytest.mark.slow
def test_an_encoding_killed_at_ten_moments_continues_to_the_same_bytes(place):
    (place / "kill").mkdir()
    lines = (f"k{number}\t{PASSAGES[number % 12]} {PASSAGES[number % 7]} {number}\n" for number in range(1000))
    (place / "kill" / "raw.tsv").write_text("".join(lines))

    def encode(folder: str) -> tuple[str, ...]:
        return ("encode", *MODEL, "data.COLLECTION_PATH=kill", f"config.out_dir={folder}", SMALL_BATCHES)

    runs = [(encode("straight"), None), *((encode("killed"), cut) for cut in KILLS), (encode("killed"), None)]
    straight, *killed, last = outcomes(place, runs)
    assert straight.status == last.status == 0, straight.told + last.told
    assert [each.status for each in killed] == [-signal.SIGKILL] * len(KILLS), killed
    for before, now in zip((0, 0, 0, 64, 64), killed, strict=False):
        assert ("continuing after" in now.told) == bool(before), now.told
    assert "continuing after 1000 documents" in killed[-1].told

    def files(folder):
        return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    assert files(place / "killed") == files(place / "straight")
    assert len(files(place / "straight")) == 3 + 16  # windows of 64 texts
    shutil.rmtree(place / "killed")
