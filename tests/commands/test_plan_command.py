"""``splade plan``: a collection foreseen from a model or from given vectors, for every target of the catalog."""

import json

import pytest

from splade.files import read_json
from tests.commands.test_encode_command import MODEL
from tests.commands.world import PASSAGES

TARGET = """
from splade.exporting.target import Written

class TenBytes:
    def write_documents(self, folder, documents, words):
        lines = [words[0][:0] + "ten bytes" for batch, texts in documents for _ in zip(batch.ids, texts, strict=True)]
        (folder / "a").mkdir()
        (folder / "a" / "docs.txt").write_text("".join(line + "\\n" for line in lines))
        return Written(len(lines), 0)

    def write_queries(self, folder, queries, words):
        return Written(0, 0)

class Lacking(TenBytes):
    def __init__(self):
        raise ImportError("pip install something")
"""
SMALL = ("plan.sample=150", "plan.indexed=300", "config.out_dir=out")


@pytest.fixture
def place(workplace, tmp_path, monkeypatch):
    for name in ("MODEL", "data"):
        (tmp_path / name).symlink_to(workplace / name)
    (tmp_path / "long").mkdir()
    lines = (f"k{number}\t{PASSAGES[number % 12]} {PASSAGES[number % 7]} {number}\n" for number in range(200))
    (tmp_path / "long" / "raw.tsv").write_text("".join(lines))
    (tmp_path / "own_sizes.py").write_text(TARGET)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def figures(folder):
    return {row["name"]: row for row in read_json(folder / "out" / "plan.json")["figures"]}


@pytest.mark.slow
def test_a_model_and_texts_give_a_table_for_three_sizes_and_every_target(place, splade, capsys):
    own = "+catalog.export.mine=own_sizes.TenBytes"
    splade("plan", *MODEL, "data.COLLECTION_PATH=long", *SMALL, own, "plan.workers=8", cwd=place)
    page = (place / "out" / "plan.md").read_text()
    assert capsys.readouterr().out.strip() == page.strip()
    assert "| documents | 8.8 M | 138 M | 1 B | samples differ by |" in page
    assert "Measured here on 150 documents" in page
    assert "and there are 8" in page
    rows = figures(place)
    sizes = ["8800000", "138000000", "1000000000"]
    assert list(rows["index: on disk"]["values"]) == sizes
    assert rows["export: mine, on disk"]["values"] == {n: 10.0 * int(n) for n in sizes}
    assert rows["export: anserini, time of writing"]["values"]["8800000"] > 0
    hours = rows["encoding: time of all workers together"]["values"]
    assert hours["1000000000"] / hours["8800000"] == pytest.approx(1e9 / 8.8e6)
    assert rows["encoding: shards"]["values"]["8800000"] >= 8
    told = read_json(place / "out" / "plan.json")
    assert told["sample"]["encode_documents_per_second"] > 0
    assert "splade.plan" in told["conditions"]["command"]
    # What an encoding writes of these documents: the bytes of its pieces for each document, and a shard's other files.
    splade("encode", *MODEL, "data.COLLECTION_PATH=long", "config.out_dir=v", cwd=place)
    written = sum(path.stat().st_size for path in (place / "v").rglob("*.npz")) / 200
    assert rows["encoding: shards on disk"]["values"]["1000000000"] == pytest.approx(1e9 * written, rel=0.05)


def test_given_vectors_are_planned_without_a_model(place, splade):
    vectors = [{"id": f"d{n}", "vector": {f"t{n % 7}": 1.5, f"u{n % 11}": 0.5}} for n in range(100)]
    (place / "docs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in vectors))
    lacking = "+catalog.export.lacking=own_sizes.Lacking"
    small = ("plan.indexed=100", "plan.documents=[1000]", "config.out_dir=out")
    splade("plan", "data.VECTORS_PATH=docs.jsonl", lacking, *small, cwd=place)
    rows = figures(place)
    assert not [name for name in rows if name.startswith("encoding")]
    assert rows["index: on disk"]["values"]["1000"] > 1000 * 2 * 6
    assert rows["export: anserini, on disk"]["values"]["1000"] > 0
    (why,) = rows["export: lacking"]["values"].values()
    assert why.startswith("not measured: ")
    assert "pip install something" in why


def test_too_few_documents_foresee_nothing(place, splade, capsys):
    with pytest.raises(SystemExit):
        splade("plan", *MODEL, "data.COLLECTION_PATH=data/msmarco/full_collection", "config.out_dir=out", cwd=place)
    assert "plan.sample=2000: 12 documents; a plan wants 64 at least" in capsys.readouterr().err
    assert not (place / "out").exists()
