"""Vectors in, vectors searched: ``index`` and ``retrieve`` without a model, and side by side with one."""

import json
import math
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from splade.encoding import Encoder
from splade.indexing import InvertedIndex
from splade.models import Splade
from splade.records import Text
from tests.commands.test_interruptions import contents
from tests.commands.world import PASSAGES, QRELS, QUESTIONS
from tests.conftest import ROOT
from tests.cutting import Cut, outcomes
from tests.data.writing import jsonl
from tests.shared import shared_data

DOCS = [
    {"id": "d1", "vector": {"sea": 2.0, "sun": 1.0}},
    {"id": "d2", "vector": {"sun": 3.0}},
    {"id": "d3", "vector": {}},
    {"id": "d4", "vector": {"snow": 1.5, "sea": 0.5}},
]
ASKED = [
    {"id": "q1", "vector": {"sea": 1.0, "ski": 3.0}},
    {"id": "q2", "vector": {"sun": 2.0, "sea": 2.0}},
    {"id": "q3", "vector": {"skate": 1.0}},
]
MODEL = ("init_dict.model_type_or_dir=MODEL", "config.pretrained_no_yamlconfig=true")
SETS = ("config.retrieval_name=[NAME]", "config.eval_metric=[[mrr_10]]", "config.top_k=100")
ALONE = """
import runpy, sys
sys.argv[0] = "splade"
command = sys.argv.pop(1)
runpy.run_module(f"splade.{command}", run_name="__main__", alter_sys=True)
print(sorted({"torch", "transformers"} & sys.modules.keys()))
"""
# Each kill finds the build a little further than the one before it.
KILLS = (
    Cut(signal.SIGKILL, "*/journal.json", 1, "before"),
    Cut(signal.SIGKILL, "*/journal.json", 1),
    Cut(signal.SIGKILL, "*/00000", 1),  # a segment that the journal does not list yet
    Cut(signal.SIGKILL, "*/journal.json", 2),
    Cut(signal.SIGKILL, "*/journal.json", 2, "before"),
    Cut(signal.SIGKILL, "*/journal.json", 3),
    Cut(signal.SIGKILL, "killed/*", 1, "before"),  # the index is laid out, and has no place yet
    Cut(signal.SIGKILL, "killed/*", 1),
)


@pytest.fixture
def place(tmp_path):
    jsonl(tmp_path / "docs.jsonl", DOCS)
    jsonl(tmp_path / "queries.jsonl", ASKED)
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td1\t1\n")
    return tmp_path


@pytest.fixture
def refused(splade, capsys):
    def run(command, *arguments, cwd):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            splade(command, *arguments, cwd=cwd)
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert "Traceback" not in told
        return told

    return run


def retrieve_arguments(queries="queries.jsonl", index="DIR", out="OUT", qrels="qrels.tsv"):
    return (
        f"data.Q_VECTORS_PATH=[{queries}]",
        f"data.EVAL_QREL_PATH=[{qrels}]",
        *SETS,
        f"config.index_dir={index}",
        f"config.out_dir={out}",
    )


def loaded(path):
    return json.loads(path.read_text())


def dot_products(docs, queries):
    """Scores above 0 by query and document, worked with Python's own numbers."""
    products = {
        query["id"]: {
            doc["id"]: sum(weight * doc["vector"].get(term, 0) for term, weight in query["vector"].items())
            for doc in docs
        }
        for query in queries
    }
    return {query: {doc: score for doc, score in found.items() if score > 0} for query, found in products.items()}


def assert_same_run(run, expected, tolerance=1e-5):
    assert run.keys() == expected.keys()
    for query, found in expected.items():
        assert run[query] == pytest.approx(found, rel=tolerance)


def test_an_index_has_the_size_that_was_asked_for_and_tells_what_that_cost(place, splade, refused, caplog):
    rng = random.Random(0)
    rows = [
        {"id": f"d{n}", "vector": {f"w{term}": rng.random() for term in rng.sample(range(60), 30)}} for n in range(200)
    ]
    jsonl(place / "many.jsonl", rows)
    given = ("data.VECTORS_PATH=many.jsonl", "config.index_dir=ix")
    splade("index", *given, cwd=place)
    whole = json.loads((place / "ix" / "index_stats.json").read_text())
    caplog.set_level("INFO")
    most = int(whole["index_bytes"] * 0.4)
    splade("index", *given, f"config.index_max_bytes={most}", cwd=place)
    stats = json.loads((place / "ix" / "index_stats.json").read_text())
    assert stats["index_bytes"] <= most
    assert stats["fit"]["max_bytes"] == most
    assert stats["fit"]["changed"]["weights"] == "uint8"
    assert stats["fit"]["changed"].keys() & {"prune_mass", "prune_top_terms"}
    assert 0.5 < stats["fit"]["recall"]["10"] < 1
    assert f"recall {stats['fit']['recall']['10']:.4f} at k = 10" in caplog.text
    header = (place / "ix" / "inverted_index" / "header.json").read_bytes()
    splade("index", *given, f"config.index_max_bytes={most}", cwd=place)
    assert "ix holds these documents already: 200" in caplog.text
    assert (place / "ix" / "inverted_index" / "header.json").read_bytes() == header
    told = refused("index", *given, "config.index_max_bytes=2000", cwd=place)
    assert "config.index_max_bytes=2000: the index takes" in told
    assert (place / "ix" / "inverted_index" / "header.json").read_bytes() == header


@pytest.mark.slow
def test_both_commands_run_without_a_model_a_config_or_torch(place):
    searching = retrieve_arguments()
    for command, arguments in (
        ("index", ("data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR")),
        ("retrieve", searching),
    ):
        done = subprocess.run(
            [sys.executable, "-c", ALONE, command, *arguments],
            cwd=place,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"
    assert loaded(place / "OUT" / "NAME" / "run.json") == {
        "q1": {"d1": 2.0, "d4": 0.5},
        "q2": {"d1": 6.0, "d2": 6.0, "d4": 1.0},
        "q3": {},
    }
    assert loaded(place / "OUT" / "NAME" / "perf.json") == {"mrr_10": 1.0}
    # q1 loses 3 of 4, q2 nothing of 4, q3 all of 1
    stats = loaded(place / "OUT" / "NAME" / "stats" / "q_stats.json")
    assert stats == {
        "L0_q": 1.0,
        "n_queries": 3,
        "empty_queries": 1,
        "unknown_tokens": 2,
        "queries_with_unknown_tokens": 2,
        "lost_weight_share": pytest.approx(4 / 9),
    }
    assert loaded(place / "DIR" / "index_stats.json")["L0_d"] == 1.25
    assert loaded(place / "DIR" / "index_dist.json") == {"0": 2, "1": 2, "2": 1}


def test_the_same_vectors_again_are_kept_and_changed_ones_are_indexed_anew(place, splade, caplog):
    index = ("data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR")
    splade("index", *index, cwd=place)
    header = (place / "DIR" / "inverted_index" / "header.json").stat()
    caplog.set_level("INFO")
    splade("index", *index, cwd=place)
    assert "holds these documents already: 4" in caplog.text
    assert (place / "DIR" / "inverted_index" / "header.json").stat().st_ino == header.st_ino
    jsonl(place / "docs.jsonl", DOCS[:2])
    splade("index", *index, cwd=place)
    assert InvertedIndex.open(place / "DIR").n_docs == 2


def test_lines_and_matrices_of_the_same_vectors_give_the_same_index(place, splade):
    chance = np.random.default_rng(3)
    matrix = scipy.sparse.random(60, 40, 0.2, "csr", np.float32, random_state=chance)
    matrix.sort_indices()
    ids = [f"é{i}" for i in range(60)]
    records = [
        {"id": id, "vector": {str(c): float(w) for c, w in zip(row.indices, row.data, strict=True)}}
        for id, row in zip(ids, matrix, strict=True)
    ]
    records[0]["vector"]["39"] = 0.5  # the last column is there
    matrix = matrix.tolil()
    matrix[0, 39] = 0.5
    matrix = matrix.tocsr()
    jsonl(place / "lines.jsonl.gz", records)
    scipy.sparse.save_npz(place / "rows.npz", matrix)
    (place / "rows.ids.txt").write_text("\n".join(ids), encoding="utf-8")
    for name, file in (("lines", "lines.jsonl.gz"), ("rows", "rows.npz")):
        splade("index", f"data.VECTORS_PATH={file}", f"config.index_dir={name}", cwd=place)
        (place / f"{name}.tsv").write_text("query-id\tcorpus-id\tscore\né1\té1\t1\n", encoding="utf-8")
        asked = retrieve_arguments(file, name, f"out_{name}", f"{name}.tsv")
        splade("retrieve", *asked, "config.search.strategy=exhaustive", cwd=place)
    lines, rows = (
        {path: content for path, content in contents(place / name).items() if "header" not in path}
        for name in ("lines", "rows")
    )
    assert lines == rows
    run = loaded(place / "out_lines" / "NAME" / "run.json")
    assert run == loaded(place / "out_rows" / "NAME" / "run.json")
    dense = matrix.toarray().astype(np.float64)
    expected = {
        query: {doc: score for doc, score in zip(ids, scores, strict=True) if score > 0}
        for query, scores in zip(ids, (dense @ dense.T).tolist(), strict=True)
    }
    assert_same_run(run, expected)


@pytest.fixture(scope="module")
def encoded(workplace):
    """The passages and questions of the workplace as its model encodes them, and their qrels."""
    folder = workplace / "vectors"
    folder.mkdir(exist_ok=True)
    model = Splade(str(workplace / "MODEL"))
    names = model.tokenizer("document").convert_ids_to_tokens(list(range(model.vocab_size)))
    passages = {f"d{number}": text for number, text in enumerate(PASSAGES)}
    for side, texts in (("document", passages), ("query", QUESTIONS)):
        batch = Encoder(model, side).encode_all([Text(id, text) for id, text in texts.items()])
        for kind, called in (("tokens", names), ("ids", range(model.vocab_size))):
            records = []
            for i, id in enumerate(batch.ids):
                span = slice(batch.rows.offsets[i], batch.rows.offsets[i + 1])
                columns, weights = batch.rows.columns[span].tolist(), batch.rows.weights[span].tolist()
                records.append({"id": id, "vector": {str(called[c]): w for c, w in zip(columns, weights, strict=True)}})
            random.Random(0).shuffle(records) if side == "query" else None
            jsonl(folder / f"{side}.{kind}.jsonl", records)
    return folder


@pytest.mark.slow
def test_a_models_vectors_searched_as_files_give_its_own_run_whichever_side_is_a_file(workplace, encoded, splade):
    splade(
        "index", *MODEL, "data.COLLECTION_PATH=data/msmarco/full_collection", "config.index_dir=vx/own", cwd=workplace
    )
    for kind in ("tokens", "ids"):
        file = f"data.VECTORS_PATH=vectors/document.{kind}.jsonl"
        splade("index", file, f"config.index_dir=vx/{kind}", cwd=workplace)
    texts = (
        *MODEL,
        "data.Q_COLLECTION_PATH=[data/msmarco/dev_queries]",
        "data.EVAL_QREL_PATH=[data/msmarco/dev_qrel.json]",
    )

    def run(index, *arguments):
        splade("retrieve", *arguments, *SETS, f"config.index_dir=vx/{index}", "config.out_dir=vx/out", cwd=workplace)
        return loaded(workplace / "vx" / "out" / "NAME" / "run.json")

    def asked(kind):
        return retrieve_arguments(f"vectors/query.{kind}.jsonl", qrels="data/msmarco/dev_qrel.json")[:2]

    own = run("own", *texts)
    assert own.keys() == QRELS.keys()
    assert_same_run(run("own", *asked("tokens")), own)
    assert_same_run(run("own", *asked("ids")), own)
    assert_same_run(run("ids", *asked("ids")), own)
    assert_same_run(run("tokens", *asked("tokens")), own)
    assert_same_run(run("tokens", *texts), own)  # the model's terms found by their tokens
    stats = loaded(workplace / "vx" / "out" / "NAME" / "stats" / "q_stats.json")
    assert stats["unknown_tokens"] > 0  # terms of queries that no passage has
    assert stats["lost_weight_share"] < 0.5


def test_tokens_and_models_are_refused_where_the_index_does_not_know_its_terms(workplace, encoded, splade, refused):
    file = "data.VECTORS_PATH=vectors/document.ids.jsonl"
    splade("index", file, "config.index_dir=vx/nameless", cwd=workplace)
    asked = retrieve_arguments("vectors/query.tokens.jsonl", "vx/nameless", "vx/out", "data/msmarco/dev_qrel.json")
    told = refused("retrieve", *asked, "data.VECTOR_KEYS=tokens", cwd=workplace)
    assert "does not know what its terms are called" in told
    assert "is no term id" in refused("retrieve", *asked, cwd=workplace)  # as the documents were term ids


def test_settings_of_vectors_and_texts_do_not_mix(place, refused):
    index = ("data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR")
    told = refused("index", *index, "data.COLLECTION_PATH=c", cwd=place)
    assert "data.VECTORS_PATH=docs.jsonl and data.COLLECTION_PATH=c are both given" in told
    assert "are both given" in refused("index", *index, "index=msmarco", cwd=place)
    assert "is only read with data.VECTORS_PATH" in refused("index", "data.VECTOR_KEYS=ids", cwd=place)
    told = refused("index", *index, "data.VECTOR_KEYS=id", cwd=place)
    assert "accepted are auto, tokens, ids; did you mean 'ids'?" in told
    told = refused("retrieve", *retrieve_arguments("queries.jsonl,queries.jsonl"), cwd=place)
    assert "data.Q_VECTORS_PATH 2, config.retrieval_name 1" in told
    assert "splade.all trains a model" in refused("all", "data.VECTORS_PATH=docs.jsonl", cwd=place)


def test_a_bad_line_names_the_setting_and_leaves_nothing(place, refused):
    jsonl(place / "docs.jsonl", [*DOCS, {"id": "d5", "vector": {"sea": -1}}])
    told = refused("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR", cwd=place)
    assert "docs.jsonl:5: the weight of 'sea' must be a finite number of at least 0, got -1" in told
    assert "(named by data.VECTORS_PATH)" in told
    assert not (place / "DIR").exists()
    assert not (place / ".DIR.building").exists()


def test_queries_of_other_qrels_are_refused_before_the_search(place, splade, refused):
    splade("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR", cwd=place)
    (place / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nzz\td1\t1\n")
    told = refused("retrieve", *retrieve_arguments(), cwd=place)
    assert "data.EVAL_QREL_PATH and data.Q_VECTORS_PATH must be of the same collection" in told
    assert not (place / "OUT").exists()


@pytest.mark.slow
def test_an_indexing_of_vectors_killed_again_and_again_continues_to_the_same_bytes(tmp_path):
    chance = random.Random(0)
    terms = [f"t{number}" for number in range(3000)]
    jsonl(
        tmp_path / "docs.jsonl",
        (
            {"id": f"d{i}", "vector": {chance.choice(terms): chance.random() + 0.01 for _ in range(60)}}
            for i in range(4000)
        ),
    )

    def index(name: str) -> tuple[str, ...]:
        return ("index", "data.VECTORS_PATH=docs.jsonl", f"config.index_dir={name}", "config.index_memory_mb=1")

    runs = [(index("straight"), None), *((index("killed"), cut) for cut in KILLS), (index("killed"), None)]
    straight, *killed, last = outcomes(tmp_path, runs)
    assert straight.status == last.status == 0, straight.told + last.told
    assert [each.status for each in killed] == [-signal.SIGKILL] * len(KILLS), killed
    assert ["continuing after" in each.told for each in killed] == [number >= 4 for number in range(len(KILLS))]
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")


def test_vectors_of_a_real_model_are_ranked_as_their_dot_products_say(tmp_path, splade):
    folder = shared_data("fixtures/msmarco-toy20")
    docs, queries = (
        [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]
        for name in ("documents.jsonl", "queries.jsonl")
    )
    (tmp_path / "qrels.json").write_text(json.dumps({str(query["id"]): {str(docs[0]["id"]): 1} for query in queries}))
    splade("index", f"data.VECTORS_PATH={folder / 'documents.jsonl'}", "config.index_dir=DIR", cwd=tmp_path)
    splade("retrieve", *retrieve_arguments(folder / "queries.jsonl", qrels="qrels.json"), cwd=tmp_path)
    run = loaded(tmp_path / "OUT" / "NAME" / "run.json")
    expected = {
        str(query): {str(doc): score for doc, score in found.items()}
        for query, found in dot_products(docs, queries).items()
    }
    assert_same_run(run, expected)
    assert all(math.isfinite(score) for found in run.values() for score in found.values())
