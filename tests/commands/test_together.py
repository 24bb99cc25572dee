"""Under torchrun every process trains and encodes its share; what one process does, the first one does alone."""

import os
import subprocess
import sys

import pytest

from splade import distil
from splade.engines import Documents
from splade.files import InputError, read_json
from splade.indexing import InvertedIndex
from splade.workflow.together import forget_shares, vectors_of_all
from tests.commands.test_encode_command import MODEL, QUERIES, TEXTS
from tests.commands.world import PASSAGES, SMALL
from tests.conftest import ROOT
from tests.forked import run_well

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m")
TRAINING = (
    "init_dict.model_type_or_dir=MODEL",
    "data.type=triplets",
    "data.TRAIN_DATA_DIR=data/msmarco/triplets",
    "loss=in_batch",
    "validation=none",
    "config.checkpoint_dir=trained",
    *SMALL,
)


@pytest.fixture
def place(workplace, tmp_path):
    for name in ("MODEL", "data"):
        (tmp_path / name).symlink_to(workplace / name)
    return tmp_path


def run_together(folder, *command):
    """What two processes that run ``command`` as ``torchrun`` has them print, one after the other."""
    return "".join(ended.err for ended in run_well("-m", *command, cwd=folder, processes=2))


def torchrun(folder, *command):
    """What two processes print that ``torchrun`` itself has launched."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPLADE_CONFIG")}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*TORCHRUN, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def check_index(folder, name):
    index = InvertedIndex.open(folder / name)
    assert list(index.doc_ids) == [f"d{number}" for number in range(len(PASSAGES))]
    assert not list(folder.glob(".*vectors*"))


def test_all_trains_and_encodes_on_both_processes_and_searches_on_the_first(place, splade, caplog):
    where = ("config.index_dir=index", "config.out_dir=out")
    told = run_together(place, "splade.all", *TRAINING, TEXTS, *QUERIES, *where)
    assert "training on 2 processes" in told
    for number in (1, 2):
        assert "6 documents in .index.vectors-" in told
        assert f"shard-0000{number}-of-00002" in told
    assert told.count("runs and metrics: out") == 1
    assert "mrr_10" in read_json(place / "out" / "DEV" / "perf.json")
    check_index(place, "index")
    caplog.set_level("INFO")
    splade("index", TEXTS, "config.checkpoint_dir=trained", "config.index_dir=index", cwd=place)
    assert "index holds these documents already: 12" in caplog.text


@pytest.mark.slow
def test_index_encodes_on_both_processes(place):
    told = torchrun(place, "splade.index", *MODEL, TEXTS, "config.index_dir=index")
    assert told.count("6 documents in .index.vectors-") == 2
    assert told.count("index: 12 documents") == 1
    check_index(place, "index")
    assert "holds these documents already" in run_together(
        place, "splade.index", *MODEL, TEXTS, "config.index_dir=index"
    )
    assert not list(place.glob(".*vectors*"))


def test_a_command_of_one_process_is_left_to_the_first(place, splade, caplog):
    splade("index", *MODEL, TEXTS, "config.index_dir=index", cwd=place)
    search = ("retrieve", *MODEL, *QUERIES, "config.index_dir=index", "config.out_dir=out")
    splade(*search, cwd=place, RANK="1", WORLD_SIZE="2")
    assert not (place / "out").exists()
    splade(*search, cwd=place, RANK="0", WORLD_SIZE="2")
    assert (place / "out" / "DEV" / "run.json").is_file()
    assert "splade retrieve runs in one process: the others of 2 have left" in caplog.text


def test_distillation_on_several_processes_is_refused_before_any_of_it(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError, match=r"splade\.distil is for one process.*torchrun … -m splade\.train"):
        distil.check(None)


def test_without_shares_the_vectors_are_the_models_own(place):
    documents = Documents(lambda start: [], 3, None, "f" * 32, {"collection": "c"})
    assert vectors_of_all(documents, place / "index") is documents
    forget_shares(place / "index")
