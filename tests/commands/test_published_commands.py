"""The commands of the README, of docs/commands-by-task.md, and those of other READMEs of the field, run as written.

Only what a reader would fill in is filled in: folders for placeholders, and fewer training steps.
"""

import json
import re
import shlex
from pathlib import Path

import pytest

from splade.data.collections.opening import open_collection
from splade.files import read_json
from tests.commands.world import SMALL, SMALL_HF

ROOT = Path(__file__).parents[2]
MODEL = "init_dict.model_type_or_dir=experiments/debug/checkpoint/model"
STEPS = {"all": SMALL, "train": SMALL, "hf_train": SMALL_HF, "distil": (*SMALL, MODEL)}
DATA = {
    "COLLECTION": "full_collection",
    "QUERIES": "dev_queries",
    "QRELS": "dev_qrel.json",
    "TRIPLETS": "triplets",
}
PUBLISHED = [
    "SPLADE_CONFIG_NAME=config_default.yaml python3 -m splade.all config.checkpoint_dir=experiments/debug/checkpoint "
    "config.index_dir=experiments/debug/index config.out_dir=experiments/debug/out",
    "python3 -m splade.all config.regularizer.FLOPS.lambda_q=0.06 config.regularizer.FLOPS.lambda_d=0.02",
    "SPLADE_CONFIG_FULLPATH=experiments/debug/checkpoint/config.yaml python3 -m splade.create_anserini "
    "+quantization_factor_document=100 +quantization_factor_query=100",
    "SPLADE_CONFIG_NAME=config_splade++_cocondenser_ensembledistil python3 -m splade.index "
    "init_dict.model_type_or_dir=MODEL config.pretrained_no_yamlconfig=true "
    "config.index_dir=experiments/pre-trained/index",
    "SPLADE_CONFIG_NAME=config_splade++_cocondenser_ensembledistil python3 -m splade.retrieve "
    "init_dict.model_type_or_dir=MODEL config.pretrained_no_yamlconfig=true "
    "config.index_dir=experiments/pre-trained/index config.out_dir=experiments/pre-trained/out",
    "SPLADE_CONFIG_FULLPATH=experiments/debug/checkpoint/config.yaml python3 -m splade.beir_eval "
    "+beir.dataset=scifact +beir.dataset_path=data/beir config.index_retrieve_batch_size=100",
]
COMMAND = re.compile(r"(?P<environment>(?:\w+=\S+ )*)python3? -m splade\.(?P<name>[\w.]+)(?P<arguments>.*)")


OF_A_HUB = re.compile(r"splade\.(push|pull|serve)\b")
"""Commands that speak to a hub, or to clients until they are stopped: tests/hub and tests/serving run them."""
LONG = re.compile(r"splade\.(all|distil|rerank|tradeoffs|reproduce)\b|--multirun")
"""What takes several trainings, or training, index and search; their tests have smaller ones of each."""


def rows_of(lines, *long):
    """Command lines as parameters of a test; the ``long`` ones run when there is time."""
    ids = [re.sub(r".*splade\.", "", line)[:48] for line in lines]
    return [
        pytest.param(line, id=id, marks=[pytest.mark.slow] * (line in long))
        for line, id in zip(lines, ids, strict=True)
    ]


def run_line(splade, line: str, workplace: Path, *more: str) -> str:
    """Run one command line; the name of its command."""
    match = COMMAND.fullmatch(line)
    assert match, f"not a command of ours: {line}"
    environment = dict(pair.split("=", 1) for pair in match["environment"].split())
    name = match["name"]
    splade(name, *shlex.split(match["arguments"]), *STEPS.get(name, ()), *more, cwd=workplace, **environment)
    return name


@pytest.fixture(scope="module")
def ran(workplace):
    """What has been run so far in the workplace, so that later commands find what they need."""
    return set()


def prepared(splade, workplace, ran):
    if "all" not in ran:
        ran.add(run_line(splade, PUBLISHED[0], workplace))


@pytest.mark.parametrize("line", rows_of(PUBLISHED, PUBLISHED[1]))
def test_a_published_command_runs_word_for_word(line, splade, workplace, ran):
    prepared(splade, workplace, ran)
    run_line(splade, line, workplace)


def test_the_published_commands_leave_the_files_they_promise(splade, workplace, ran):
    prepared(splade, workplace, ran)
    debug = workplace / "experiments" / "debug"
    for file in (
        "checkpoint/config.yaml",
        "checkpoint/model/config.json",
        "checkpoint/model_ckpt/last/state.pt",
        "checkpoint/training_log.csv",
        "checkpoint/training_log.jsonl",
        "index/index_stats.json",
        "index/index_dist.json",
        "index/index_dist.png",
        "out/TOY/run.json",
        "out/TOY/run.trec",
        "out/TOY/perf.json",
        "out/TOY/stats/q_stats.json",
        "out/perf_all_datasets.json",
        "out/flops.json",
    ):
        assert (debug / file).stat().st_size > 0
    assert any((debug / "checkpoint" / "tensorboard").iterdir())
    assert read_json(debug / "index" / "index_stats.json")["L0_d"] > 0
    assert read_json(debug / "out" / "TOY" / "stats" / "q_stats.json")["L0_q"] > 0
    counts = read_json(debug / "index" / "index_dist.json")
    assert all(int(term) >= 0 and count > 0 for term, count in counts.items())


def test_all_run_again_changes_nothing(splade, workplace, ran):
    prepared(splade, workplace, ran)
    debug = workplace / "experiments" / "debug"
    outputs = [debug / "out" / "TOY" / name for name in ("run.json", "perf.json")]
    outputs += [debug / "index" / "inverted_index" / name for name in ("header.json", "block_impacts.bin")]
    before = {file: file.read_bytes() for file in outputs}
    trained = (debug / "checkpoint" / "model" / "model.safetensors").stat().st_mtime_ns
    index = (debug / "index" / "inverted_index" / "header.json").stat().st_mtime_ns
    run_line(splade, PUBLISHED[0], workplace)
    assert (debug / "checkpoint" / "model" / "model.safetensors").stat().st_mtime_ns == trained
    assert (debug / "index" / "inverted_index" / "header.json").stat().st_mtime_ns == index
    assert before == {file: file.read_bytes() for file in before}


def test_nothing_litters_the_directory_of_launch(splade, workplace, ran):
    prepared(splade, workplace, ran)
    top = {path.name for path in workplace.iterdir()}
    assert not top & {"outputs", "multirun", ".hydra", "train.log", "all.log"}


def rows_in(page: str) -> list[str]:
    """The command lines in the tables of a page, one a row."""
    return re.findall(r"`((?:\w+=\S+ )*python -m splade\.[^`]+)`", (ROOT / page).read_text())


def readme_commands() -> list[str]:
    """The rows of the README and of the page of commands by task, each once."""
    return list(dict.fromkeys(rows_in("README.md") + rows_in("docs/commands-by-task.md")))


LOCAL = [line for line in readme_commands() if not OF_A_HUB.search(line)]
SOME = [line for line in LOCAL if line not in rows_in("README.md")]
SOME = [line for number, line in enumerate(SOME) if number % 3 or "splade.plan" in line]
"""Two in three rows of the page of tasks, which run when there is time."""


def test_the_readme_has_eight_rows_and_the_page_of_tasks_the_others():
    assert len(rows_in("README.md")) == 8
    assert len(readme_commands()) >= 30


@pytest.mark.parametrize("line", [line for line in readme_commands() if LONG.search(line) or OF_A_HUB.search(line)])
def test_a_long_command_of_the_readme_is_composed_of_what_there_is(line, splade, workplace):
    run_line(splade, line.replace("--multirun", "").replace("=1e-5,2e-5", "=1e-5"), workplace, "--cfg", "job")


@pytest.mark.parametrize("line", rows_of(LOCAL, *filter(LONG.search, LOCAL), *SOME))
def test_a_command_of_the_readme_runs_and_names_its_data(line, splade, workplace, ran, caplog):
    prepared(splade, workplace, ran)
    own = readme_commands().index(line)  # a training of another row is another folder's
    more = ["config.checkpoint_dir=experiments/plain/checkpoint"] if line == "python -m splade.all" else []
    if "splade.rerank" in line:
        splade(
            "hf_train_reranker", *(v for v in SMALL if "record" not in v), cwd=workplace,
            SPLADE_CONFIG_NAME="config_reranker_train_toy",
        )  # fmt: skip
    if "selfdistil" in line:
        more += ["data.VALIDATION_SIZE_FOR_LOSS=2", "config.checkpoint_dir=experiments/self/checkpoint"]
    if "VECTORS_PATH=shards" in line:
        run_line(
            splade,
            next(other for other in readme_commands() if "splade.encode" in other)
            .replace("DIR/", "experiments/debug/checkpoint/")
            .replace("=COLLECTION", "=data/msmarco/full_collection"),
            workplace,
        )
    elif "VECTORS_PATH" in line:
        _vectors(workplace)
        splade("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=vectors/index", cwd=workplace)
    if "A.trec" in line:
        for name, score in (("A", 2.0), ("B", 1.0)):
            (workplace / f"{name}.trec").write_text(f"q0 Q0 d0 1 {score} {name}\nq1 Q0 d2 1 {score} {name}\n")
    if "splade.plan" in line:  # of a dozen passages nothing can be foreseen
        line = line.replace("=COLLECTION", f"={ROOT}/data/toy/collection")
        more += ["plan.sample=64", "plan.indexed=64"]
    if "splade.explain" in line:  # it reads a training that another row made
        line = line.replace("config.checkpoint_dir=DIR", "config.checkpoint_dir=experiments/debug/checkpoint")
        line = line.replace("=ID", f"={next(iter(open_collection(ROOT / 'data/toy/collection'))).id}")
    line = line.replace("config.index_dir=DIR", "config.index_dir=experiments/given/index")
    line = line.replace("config.checkpoint_dir=DIR", f"config.checkpoint_dir=experiments/given/{own}/checkpoint")
    line = line.replace("[DIR,DIR]", "[experiments/debug/checkpoint,experiments/debug/checkpoint/model]")
    line = line.replace("DIR/config.yaml", "experiments/debug/checkpoint/config.yaml")
    line = line.replace("--qrel_file_path QRELS", f"--qrel_file_path {ROOT / 'data/toy/qrels/test.json'}")
    for placeholder, path in DATA.items():
        line = re.sub(rf"=(\[?){placeholder}\b", rf"=\1data/msmarco/{path}", line)
    line = line.replace("report config.out_dir=OUT", "report config.out_dir=experiments/debug/out")
    line = line.replace("--run_file_path RUN", "--run_file_path experiments/debug/out/TOY/run.json")
    run_line(splade, line, workplace, *more)
    assert "THE TOY DATA" not in caplog.text, "a row that names a model names its data too"


def _vectors(folder: Path) -> None:
    """Two documents, a query for the first, and its judgement."""
    (folder / "docs.jsonl").write_text('{"id": "d1", "vector": {"sea": 1.5}}\n{"id": "d2", "vector": {"sun": 1}}\n')
    (folder / "gone.txt").write_text("d1\n")
    (folder / "more.jsonl").write_text('{"id": "d1", "vector": {"sea": 2.5}}\n')
    (folder / "queries.jsonl").write_text('{"id": "q1", "vector": {"sea": 1}}\n')
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")


def test_each_command_is_a_module_and_a_sub_command(run_python):
    listing = run_python("import sys; from splade.cli import main; main(['--help']); assert 'torch' not in sys.modules")
    for name in (
        "train", "index", "retrieve", "evaluate", "all", "flops", "beir_eval", "create_anserini", "rerank",
        "hf_train", "hf_train_reranker", "update", "encode", "idf", "mine", "score", "distil",
        "utils.index_figure", "evaluation.eval",
    ):  # fmt: skip
        assert re.search(rf"^  {re.escape(name)} ", listing, re.M), name


def test_the_exported_documents_are_integers_for_lucene(splade, workplace, ran):
    prepared(splade, workplace, ran)
    run_line(splade, PUBLISHED[2], workplace)
    out = workplace / "experiments" / "debug" / "out"
    document = json.loads((out / "docs_anserini.jsonl").read_text().splitlines()[0])
    assert set(document) == {"id", "content", "vector"}
    assert all(isinstance(weight, int) and weight > 0 for weight in document["vector"].values())
    query, terms = (out / "queries_anserini.tsv").read_text().splitlines()[0].split("\t")
    assert query
    assert terms.split()
