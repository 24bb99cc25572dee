"""Mining, scoring and training as one command, and each by itself."""

import json
import re

import pytest

from splade.config import ConfigError, conf_dir
from splade.data import read_scores
from splade.files import InputError, read_json
from tests.commands.world import PASSAGES, QRELS, QUESTIONS, SMALL, SMALL_HF
from tests.config.support import configured

SHALLOW = ("config.mining.top=3", "config.mining.depth=10", "config.mining.n_deep=2")


def places(folder):
    return (
        f"config.checkpoint_dir={folder}/checkpoint",
        f"config.index_dir={folder}/index",
        f"config.out_dir={folder}/out",
    )


def check_trained(folder):
    """Two steps were logged and a model is there."""
    rows = [json.loads(line) for line in (folder / "training_log.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in rows) == 2
    assert all(row["loss"] == row["loss"] for row in rows if "loss" in row)
    assert (folder / "model" / "splade.json").is_file()
    assert (folder / "config.yaml").is_file()


@pytest.mark.parametrize("teacher", ["minilm", pytest.param("self", marks=pytest.mark.slow)])
def test_one_command_mines_scores_and_trains_and_run_again_does_nothing(teacher, splade, workplace, tmp_path):
    def distil():
        splade(
            "distil", f"teacher={teacher}", *places(tmp_path), *SMALL_HF, *SHALLOW, cwd=workplace,
            SPLADE_CONFIG_NAME="config_distil_msmarco",
        )  # fmt: skip

    distil()
    negatives = read_scores(tmp_path / "out" / "negatives.jsonl.gz")
    scores = read_scores(tmp_path / "out" / "scores.jsonl.gz")
    assert list(negatives) == list(scores) == list(QUESTIONS)
    for query, found in negatives.items():
        assert 0 < len(found) <= 5
        assert not found.keys() & QRELS[query].keys()
        assert list(scores[query]) == [*QRELS[query], *found]
        if teacher == "self":
            assert {document: pytest.approx(scores[query][document], rel=1e-4) for document in found} == found
    check_trained(tmp_path / "checkpoint")
    assert read_json(tmp_path / "out" / "scores.stats.json")["statistics"]["positives"] == len(QUESTIONS)
    written = {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*") if path.suffix in (".gz", ".safetensors")
    }
    assert len(written) >= 3
    distil()
    assert written == {path: path.stat().st_mtime_ns for path in written}


@pytest.fixture(scope="module")
def model(workplace):
    return ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true", "train/data=msmarco_mined")


def test_an_index_that_is_there_is_mined_and_one_of_another_model_is_refused(
    splade, workplace, model, tmp_path, capsys
):
    where = (f"config.index_dir={tmp_path}/index", f"config.out_dir={tmp_path}/out")
    splade("index", *model, where[0], "data.COLLECTION_PATH=data/msmarco/full_collection", cwd=workplace)
    header = tmp_path / "index" / "inverted_index" / "header.json"
    before = header.stat().st_mtime_ns
    splade("mine", *model, *where, *SHALLOW, cwd=workplace)
    assert header.stat().st_mtime_ns == before
    splade("score", "teacher=self", *model, *where, cwd=workplace)
    assert len(read_scores(tmp_path / "out")) == len(QUESTIONS)
    other = (*model, "init_dict.model_type_or_dir=naver/splade-cocondenser-selfdistil", where[0])
    with pytest.raises(SystemExit):
        splade("mine", *other, f"config.out_dir={tmp_path}/other", *SHALLOW, cwd=workplace)
    assert "but the model at hand is" in capsys.readouterr().err


def test_false_negatives_by_a_teacher_are_left_out(splade, workplace, model, tmp_path):
    where = (f"config.index_dir={tmp_path}/index", *SHALLOW)
    teacher = tmp_path / "teacher.jsonl"
    teacher.write_text('{"query_id": "q0", "scores": {"d0": 2.0, "d1": 1.5, "d2": 1.75, "d3": 5.0}}\n')
    rule = (f"config.mining.scores={teacher}", "config.mining.margin=0.3")
    splade("mine", *model, *where, *rule, f"config.out_dir={tmp_path}/out", "config.mining.n_deep=12",
           "config.mining.depth=12", cwd=workplace)  # fmt: skip
    negatives = read_scores(tmp_path / "out" / "negatives.jsonl.gz")
    assert not {"d0", "d2", "d3"} & negatives["q0"].keys()
    assert negatives["q0"].keys() <= {f"d{number}" for number in range(len(PASSAGES))}
    with pytest.raises(SystemExit):
        splade("mine", *model, *where, rule[0], f"config.out_dir={tmp_path}/half", cwd=workplace)


def test_training_on_something_else_is_told_before_the_mining(splade, workplace, tmp_path, capsys):
    with pytest.raises(SystemExit):
        splade("distil", *places(tmp_path), *SMALL, "teacher=self", "train/data=toy_hard_negatives", cwd=workplace,
               SPLADE_CONFIG_NAME="config_distil_toy")  # fmt: skip
    assert "trains on the scores that it writes" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        splade("distil", *places(tmp_path), *SMALL, "init_dict.model_type_or_dir=MODEL", "teacher=toy_cross_encoder",
               "config.teacher.model=nowhere", cwd=workplace, SPLADE_CONFIG_NAME="config_distil_toy")  # fmt: skip
    assert not (tmp_path / "out" / "mining_index").exists()


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("config.mining.n_top=60", "config.mining.n_top=60 negatives cannot come from config.mining.top=50 ranks"),
        ("config.mining.share=1.5", "config.mining.share must be a number > 0 and <= 1, got 1.5"),
        ("config.mining.margin=1", "config.mining.scores, a teacher's scores, goes with config.mining.margin"),
    ],
)
def test_settings_of_mining_that_make_no_sense_are_told(override, problem, splade, workplace, model, tmp_path, capsys):
    with pytest.raises(SystemExit):
        splade("mine", *model, f"config.index_dir={tmp_path}/i", f"config.out_dir={tmp_path}", override, cwd=workplace)
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize("command", ["mine", "score"])
def test_data_without_ids_cannot_be_mined_for(command, splade, workplace, tmp_path, capsys):
    with pytest.raises(SystemExit):
        splade(command, "teacher=self", f"config.out_dir={tmp_path}", cwd=workplace)
    assert "data.type=triplets has no queries and no documents" in capsys.readouterr().err


def test_the_toy_round_has_what_it_needs():
    cfg = configured(name="config_distil_toy", command="distil")
    assert cfg.examples.scores == "experiments/distil_toy/out/scores.jsonl.gz"
    assert (cfg.mine.ranks.top, cfg.mine.ranks.n_top, cfg.mine.index_dir) == (
        10,
        10,
        "experiments/distil_toy/out/mining_index",
    )


@pytest.mark.slow
def test_a_round_whose_folders_are_redirected_leaves_nothing_where_it_is_launched(splade, workplace, tmp_path):
    launch = tmp_path / "launch"
    launch.mkdir()
    mlm = f"init_dict.model_type_or_dir={workplace}/MODEL"
    splade("distil", *places(tmp_path / "kept"), mlm, *SMALL, *SHALLOW, "validation=none", cwd=launch,
           SPLADE_CONFIG_NAME="config_distil_toy")  # fmt: skip
    assert list(launch.iterdir()) == []
    assert (tmp_path / "kept" / "out" / "mining_index" / "inverted_index").is_dir()


def test_only_the_folders_of_a_primary_config_are_named_below_the_launch_folder():
    literal = re.compile(r"^\s*(\w*_dir|\w*_DIR): experiments/", re.M)
    groups = [file for file in conf_dir().glob("*/**/*.yaml") if not file.name.startswith("config_")]
    assert len(groups) > 60
    found = [file.name for file in groups if literal.search(file.read_text())]
    assert sorted(found) == ["reporting.yaml", "toy_trained.yaml"]  # a command's own default, and a model that is read


def test_a_teacher_without_a_model_is_refused():
    with pytest.raises((ConfigError, InputError), match=r"config\.teacher\.model is needed by teacher"):
        configured("train/data=toy_mined", "loss=margin_mse", command="score")


@pytest.mark.slow
def test_several_sets_train_together(splade, workplace, tmp_path):
    data = ("train/data=toy_mixed", f"config.checkpoint_dir={tmp_path}")
    splade("train", *data, "loss=margin_mse", "validation=none", *SMALL, cwd=workplace)
    check_trained(tmp_path)


@pytest.mark.slow  # the sets are mixed by the same class
def test_several_sets_train_with_the_multi_negative_trainer(splade, workplace, tmp_path):
    data = ("train/data=toy_mixed", f"config.checkpoint_dir={tmp_path}", "~data.n_negatives", "hf.data.n_negatives=1")
    splade(
        "hf_train", *data, "hf.data.training_data_type=mixed", "validation=none", *SMALL_HF, cwd=workplace,
        SPLADE_CONFIG_NAME="config_hf_splade_sigir23_32neg_distil",
    )  # fmt: skip
    check_trained(tmp_path)
