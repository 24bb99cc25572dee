"""What a user gets wrong: one sentence that says where and what to do, exit code 2, nothing half-written."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands.world import SMALL

PUBLISHED = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")
INDEX = (*PUBLISHED, "data.COLLECTION_PATH=data/msmarco/full_collection")
RETRIEVE = (
    *PUBLISHED,
    "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]",
    "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]",
    "config.retrieval_name=[DEV]",
    "config.eval_metric=[[mrr_10]]",
    "config.index_dir=bad/index",
    "config.out_dir=bad/out",
)
TRAIN = (
    "init_dict.model_type_or_dir=MODEL",
    "data.type=triplets",
    "data.TRAIN_DATA_DIR=data/msmarco/triplets",
    "loss=in_batch",
    "validation=none",
    "config.checkpoint_dir=bad/checkpoint",
    *SMALL,
)
DAMAGE = {
    "cut short": lambda content: content[: len(content) // 2],
    "a flipped byte": lambda content: content[:20] + bytes([content[20] ^ 4]) + content[21:],
    "emptied": lambda _: b"",
    "deleted": lambda _: None,
}


@pytest.fixture
def refused(splade, workplace, capsys):
    """``refused(command, *arguments)``: the sentence with which a command that must fail ends."""

    def run(command: str, *arguments: str, **environment: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            splade(command, *arguments, cwd=workplace, **environment)
        told = capsys.readouterr().err
        assert ended.value.code == 2
        assert "Traceback" not in told
        return told[told.rindex(f"splade {command}: ") :].strip() if f"splade {command}: " in told else told

    return run


@pytest.fixture
def bad(workplace):
    """A folder of its own for what a test writes."""
    folder = workplace / "bad"
    folder.mkdir(exist_ok=True)
    yield folder
    for entry in folder.iterdir():
        if entry.name != "index":  # made once, read by many
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


@pytest.fixture
def index(splade, workplace, bad):
    if not (bad / "index").exists():
        splade("index", *INDEX, "config.index_dir=bad/index", cwd=workplace)
    return bad / "index"


@pytest.mark.thinned(4)
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", ["header.json", "block_impacts.bin", "id_text.bin"])
def test_a_damaged_index_is_refused_by_the_name_of_the_file(file, damage, refused, index, bad):
    shutil.copytree(index, bad / "damaged")
    path = bad / "damaged" / "inverted_index" / file
    content = DAMAGE[damage](path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)
    told = refused("retrieve", *RETRIEVE, "config.index_dir=bad/damaged")
    assert f"bad/damaged/inverted_index/{file}" in told
    assert "again" in told  # what to do
    assert not (bad / "out").exists()


def test_an_index_of_another_encoder_is_refused(refused, index):
    told = refused("retrieve", *RETRIEVE, "init_dict.model_type_or_dir=google/bert_uncased_L-2_H-128_A-2")
    assert "made by the encoder" in told
    assert "config.force=true" in told


def test_a_folder_without_an_index_is_told_how_to_get_one(refused):
    assert "python -m splade.index config.index_dir=nowhere" in refused(
        "retrieve", *RETRIEVE, "config.index_dir=nowhere"
    )


def test_a_checkpoint_without_a_model_is_told_how_to_get_one(refused):
    told = refused("index", *INDEX, "config.pretrained_no_yamlconfig=false", "config.checkpoint_dir=data")
    assert "config.checkpoint_dir=data: there is no trained model in data/model" in told


QRELS = {
    "missing": (None, "bad/qrels.json: no such file or folder"),
    "empty": ("", "bad/qrels.json:1: not valid JSON"),
    "no query": ("{}", "at least one query"),
    "a word for a grade": ('{"q0": {"d0": "high"}}', "must be a whole number, got 'high'"),
    "not UTF-8": (b'{"q0\xff": {"d0": 1}}', "not UTF-8"),
    "no common query": ('{"zz": {"d0": 1}}', "none of the 1 queries judged in bad/qrels.json ('zz' …)"),
}


@pytest.mark.parametrize(("content", "words"), QRELS.values(), ids=QRELS)
def test_unusable_qrels_are_refused_before_any_query_is_encoded(content, words, refused, index, bad):
    if content is not None:
        (bad / "qrels.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    told = refused("retrieve", *RETRIEVE, "data.EVAL_QREL_PATH=[bad/qrels.json]")
    assert words in told
    assert "data.EVAL_QREL_PATH" in told
    assert not (bad / "out").exists()


def test_unknown_ids_in_qrels_are_counted(splade, workplace, index, bad, capsys, caplog):
    (bad / "qrels.json").write_text(json.dumps({"q0": {"d0": 1}, "q1": {"elsewhere": 1}, "unasked": {"d1": 1}}))
    splade("retrieve", *RETRIEVE, "data.EVAL_QREL_PATH=[bad/qrels.json]", cwd=workplace)
    assert "3 judged queries, 2 answered, 1 without results" in capsys.readouterr().out
    assert "1 judged documents are not in the index bad/index ('elsewhere' …)" in caplog.text


TEXTS = {
    "not UTF-8": (b"d1\tsun\nd2\tcaf\xe9\n", "raw.tsv:2: not UTF-8 text"),
    "no tab": (b"d1\tsun\nd2 sea\n", "raw.tsv:2: no tab"),
    "an id twice": (b"d1\tsun\nd1\tsea\n", "raw.tsv:2: the id 'd1' is already that of line 1"),
    "a blank line": (b"d1\tsun\n\n", "raw.tsv:2: blank line"),
    "no id": (b"\tsun\n", "raw.tsv:1: no id before the tab"),
    "nothing": (b"", "raw.tsv: the file holds no texts"),
}


@pytest.mark.parametrize(("content", "words"), TEXTS.values(), ids=TEXTS)
def test_a_malformed_collection_is_refused_with_file_and_line_and_leaves_nothing(content, words, refused, bad):
    _raw(bad / "texts", content)
    told = refused("index", *INDEX, "data.COLLECTION_PATH=bad/texts", "config.index_dir=bad/new")
    assert words in told
    assert "(named by data.COLLECTION_PATH)" in told
    assert [path.name for path in bad.iterdir() if "new" in path.name] == []


@pytest.mark.parametrize(("content", "words"), TEXTS.values(), ids=TEXTS)
def test_malformed_queries_are_refused_with_file_and_line(content, words, refused, index, bad):
    _raw(bad / "texts", content)
    assert words in refused("retrieve", *RETRIEVE, "data.Q_COLLECTION_PATH=[bad/texts]")


TRIPLETS = {
    "not UTF-8": (b"a\tb\tc\na\tb\t\xe9\n", "raw.tsv:2: not UTF-8"),
    "a field less": (b"a\tb\tc\na\tb\n", "raw.tsv:2: 2 fields where 3 are expected"),
    "nothing": (b"", "raw.tsv: the file holds no examples"),
}


@pytest.mark.parametrize(("content", "words"), TRIPLETS.values(), ids=TRIPLETS)
def test_malformed_triplets_are_refused_before_a_checkpoint_is_made(content, words, refused, bad):
    _raw(bad / "triplets", content)
    told = refused("train", *TRAIN, "data.TRAIN_DATA_DIR=bad/triplets")
    assert words in told
    assert "(named by data.TRAIN_DATA_DIR)" in told
    assert not (bad / "checkpoint").exists()


@pytest.mark.parametrize(
    ("command", "given", "address"),
    [("index", INDEX, "data.COLLECTION_PATH"), ("train", TRAIN, "data.TRAIN_DATA_DIR")],
    ids=["index", "train"],
)
def test_a_folder_without_raw_tsv_is_refused_with_what_was_looked_for(command, given, address, refused, bad):
    (bad / "bare").mkdir()
    told = refused(command, *given, f"{address}=bad/bare", "config.index_dir=bad/new")
    assert "bad/bare" in told
    assert "looked for raw.tsv, raw.tsv.gz" in told


SETTINGS = {
    "config.top_k=0": "config.top_k must be a whole number >= 1",
    "config.top_k=[1,2]": "a list is for splade rerank",
    "config.top_k=ten": "got 'ten' (text)",
    "config.threshold=-1": "config.threshold must be a number >= 0",
    "config.search.strategy=bogus": "config.search.strategy=bogus: strategy must be one of auto",
    "config.eval_metric=[[mmr_10]]": "unknown metric 'mmr_10'; did you mean mrr_10",
    "config.eval_metric=[[mrr_10],[mrr_10]]": "config.eval_metric 2",
    "config.retrieval_name=[../elsewhere]": "'../elsewhere' cannot be the name of a folder",
    "config.out_dir=": "config.out_dir must be a path, got ''",
    "config.out_dir=data/msmarco/dev_qrel.json": "is a file",
    "config.max_length=4096": "set config.max_length to 512 or less",
    "config.topk=3": "did you mean config.top_k?",
    "retrieve_evaluate=msmarc": "did you mean 'msmarco'?",
    "config.force=maybe": "config.force must be true or false",
    "init_dict.model_type_or_dir=data": "no tokenizer here",
    "=3": "cannot read the override '=3'",
    "--config-name=config_splad": "did you mean 'config_splade'?",
}


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("setting", "words"), SETTINGS.items(), ids=SETTINGS)
def test_an_unusable_setting_of_retrieval_is_refused(setting, words, refused, index, bad):
    assert words in refused("retrieve", *RETRIEVE, setting)
    assert not (bad / "out").exists()


TRAINING = {
    "config.lr=nan": "config.lr must be a number > 0, got nan",
    "config.nb_iterations=2.5": "config.nb_iterations must be a whole number >= 1",
    "config.regularizer.FLOPS.lambda_q=-1": "config.regularizer.FLOPS.lambda_q must be a number >= 0",
    "+config.regularizer.FLOP.lambda_q=1": "did you mean 'FLOPS'?",
    "config.regularizer.FLOPS.T=x": "config.regularizer.FLOPS.T must be a whole number",
    "config.loss=Bogus": "accepted are PairwiseNLL",
    "config.early_stopping=true": "config.early_stopping=true without validation",
    "data.VALIDATION_SIZE_FOR_LOSS=1000": "there are 8 training examples",
    "config.checkpoint_dir=data/msmarco/dev_qrel.json": "is a file",
}


@pytest.mark.parametrize(("setting", "words"), TRAINING.items(), ids=TRAINING)
def test_an_unusable_setting_of_training_is_refused(setting, words, refused, bad):
    assert words in refused("train", *TRAIN, setting)
    assert not (bad / "checkpoint").exists()


def test_all_looks_at_what_comes_after_the_training_first(refused, bad):
    given = (*TRAIN, *RETRIEVE, "config.pretrained_no_yamlconfig=false", "data.flops_queries=data/msmarco/dev_queries")
    _raw(bad / "texts", TEXTS["no tab"][0])
    for setting, words in (
        ("data.EVAL_QREL_PATH=[bad/nothing.json]", "bad/nothing.json: no such file"),
        ("data.COLLECTION_PATH=bad/texts", "bad/texts/raw.tsv:2: no tab"),
        ("config.search.strategy=bogus", "config.search.strategy=bogus"),
        ("config.index_dir=data/msmarco/dev_qrel.json", "is a file"),
    ):
        assert words in refused("all", *given, "data.COLLECTION_PATH=data/msmarco/full_collection", setting)
    assert not (bad / "checkpoint").exists()


def test_a_training_that_diverges_says_so_and_what_to_change(refused, bad):
    told = refused("train", *TRAIN, "config.lr=1e30", "config.nb_iterations=6")
    assert "training diverged. Lower config.lr" in told
    assert "config.resume=false" in told


def test_half_precision_on_a_cpu_is_a_warning(splade, workplace, index, caplog):
    splade("retrieve", *RETRIEVE, "init_dict.fp16=true", cwd=workplace)
    assert "fp16" in caplog.text


def test_a_misspelt_command_is_answered_with_the_nearest(refused):
    assert "did you mean retrieve?" in refused("retreive")


def test_more_results_than_documents_are_all_documents(splade, workplace, index, bad):
    splade("retrieve", *RETRIEVE, "config.top_k=100000000000", cwd=workplace)
    assert (bad / "out" / "DEV" / "run.json").exists()


@pytest.fixture
def small_disk(bad):
    """``small_disk(options)`` mounts (or remounts) a file system in memory and gives its folder."""
    place = bad / "disk"
    place.mkdir()
    mounted = []

    def mount(options: str) -> Path:
        how = f"remount,{options}" if mounted else options
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", place], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting a tmpfs is not permitted here: {done.stderr.decode().strip()}")
        mounted.append(options)
        return place

    try:
        yield mount
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", place], check=True)  # an index may still be mapped


def test_indexing_on_a_full_disk_says_so_and_goes_on_when_there_is_room(refused, splade, workplace, small_disk, index):
    disk = small_disk("size=40k")
    told = refused("index", *INDEX, "config.index_dir=bad/disk/index")
    assert "bad/disk/index: cannot write the index, the disk is full" in told
    assert not (disk / "index" / "inverted_index").exists()
    small_disk("size=1m")
    splade("index", *INDEX, "config.index_dir=bad/disk/index", cwd=workplace)
    for file in (index / "inverted_index").iterdir():
        assert (disk / "index" / "inverted_index" / file.name).read_bytes() == file.read_bytes()


def test_training_on_a_full_disk_says_so_and_goes_on_when_there_is_room(refused, splade, workplace, small_disk):
    given = [*TRAIN, "config.checkpoint_dir=bad/disk/run"]
    disk = small_disk("size=16k")
    for size in ("60k", "200k", "400k"):  # it ends within model/, then within the state, then within the next one
        small_disk(f"size={size}")
        told = refused("train", *given)
        assert "bad/disk/run" in told
        assert "No space left on device. Free space there and run the same command again" in told
        assert list((disk / "run").rglob("*.part")) == []
    small_disk("size=4m")
    splade("train", *given, cwd=workplace)
    assert (disk / "run" / "model" / "model.safetensors").stat().st_size > 0


def test_a_run_on_a_full_disk_is_whole_or_absent(refused, small_disk, index):
    disk = small_disk("size=4k")
    told = refused("retrieve", *RETRIEVE, "config.out_dir=bad/disk/out")
    assert "bad/disk/out/DEV/run." in told
    assert "(named by config.out_dir)" in told
    assert not [path for path in disk.rglob("*") if path.suffix == ".part"]


def test_a_read_only_folder_is_refused_before_the_work_and_a_kept_index_needs_no_writing(
    refused, splade, workplace, small_disk
):
    disk = small_disk("size=1m")
    splade("index", *INDEX, "config.index_dir=bad/disk/index", cwd=workplace)
    small_disk("ro")
    splade("index", *INDEX, "config.index_dir=bad/disk/index", cwd=workplace)  # it is there already
    for command, given, address in (
        ("index", INDEX, "config.index_dir"),
        ("train", TRAIN, "config.checkpoint_dir"),
        ("retrieve", RETRIEVE, "config.out_dir"),
    ):
        told = refused(command, *given, f"{address}=bad/disk/new")
        assert "bad/disk/new: nothing can be written there" in told
        assert f"(named by {address})" in told
    assert not (disk / "new").exists()


def _raw(folder: Path, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "raw.tsv").write_bytes(content)
