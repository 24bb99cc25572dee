"""The commands on engines that are libraries: one word chooses them, their settings are ``engine.*``."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

from splade.files import read_json
from tests.commands.world import QUESTIONS

pytestmark = pytest.mark.skipif(find_spec("bmp") is None, reason="bmp is not installed")
MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")
TEXTS = "data.COLLECTION_PATH=data/msmarco/full_collection"
QUERIES = (
    "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]",
    "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]",
    "config.retrieval_name=[DEV]",
    "config.eval_metric=[[mrr_10]]",
    "config.top_k=5",
)


@pytest.fixture(scope="module", autouse=True)
def qrels(workplace):
    path = workplace / "data" / "msmarco" / "dev_qrel.json"
    if not path.is_file():
        path.write_text(json.dumps({query: {f"d{number}": 1} for number, query in enumerate(QUESTIONS)}))


def where(folder, name="out"):
    return [f"config.index_dir={folder / 'index'}", f"config.out_dir={folder / name}"]


def test_an_index_of_a_library_stands_beside_ours_and_finds_the_same_within_its_loss(splade, workplace, tmp_path):
    for engine in ("inverted", "bmp"):
        splade("index", f"engine={engine}", *MODEL, TEXTS, *where(tmp_path), cwd=workplace)
        splade("retrieve", f"engine={engine}", *MODEL, *QUERIES, *where(tmp_path, engine), cwd=workplace)
    ours, theirs = (read_json(tmp_path / engine / "DEV" / "run.json") for engine in ("inverted", "bmp"))
    assert set(theirs) == set(ours) == set(QUESTIONS)
    for query, scores in theirs.items():
        best = max(ours[query].values())
        shared = [id for id in scores if id in ours[query]]
        assert len(shared) >= 3
        assert np.abs([scores[id] - ours[query][id] for id in shared]).max() < 0.06 * best
    told = read_json(tmp_path / "bmp" / "DEV" / "stats" / "search_stats.json")
    assert (told["engine"], told["system"]) == ("bmp", "bmp MODEL")
    assert told["quantization"].startswith("document weights times ")
    assert told["latency_ms"]["n_queries"] == len(QUESTIONS)


@pytest.mark.slow
def test_other_settings_of_the_search_need_no_other_index_and_are_part_of_the_name(splade, workplace, tmp_path):
    splade("index", "engine=bmp", *MODEL, TEXTS, *where(tmp_path), cwd=workplace)
    state = tmp_path / "index" / "bmp" / "state.json"
    before = state.read_text()
    splade("retrieve", "engine=bmp", "engine.alpha=0.5", *MODEL, *QUERIES, *where(tmp_path), cwd=workplace)
    assert state.read_text() == before
    told = read_json(tmp_path / "out" / "DEV" / "stats" / "search_stats.json")
    assert (told["system"], told["strategy"]) == ("bmp(alpha=0.5) MODEL", "approximate")


@pytest.mark.parametrize(("setting", "told"), [
    ("engine.block_size=1000", "expected at most 256"),
    ("engine.blok_size=16", "did you mean 'block_size'"),
])  # fmt: skip
def test_a_wrong_setting_is_told_with_what_the_engine_has(setting, told, splade, workplace, tmp_path, capsys):
    with pytest.raises(SystemExit):
        splade("index", "engine=bmp", setting, *MODEL, TEXTS, *where(tmp_path), cwd=workplace)
    assert told in capsys.readouterr().err
    assert not (tmp_path / "index").exists()
