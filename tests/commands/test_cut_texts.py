"""Texts of which only a part is read are counted and said, in commands and in their statistics."""

import json

import pytest

from tests.tiny import tiny_mlm

WORDS = "king queen war peace law tax money bank trade market"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("cut")
    tiny_mlm(root / "mlm", hidden=16, layers=1)
    for name, texts in {"docs": [WORDS, "king", WORDS], "queries": ["king queen", WORDS]}.items():
        (root / name).mkdir()
        lines = (f"{name[0]}{number}\t{text}\n" for number, text in enumerate(texts))
        (root / name / "raw.tsv").write_text("".join(lines))
    (root / "qrels.json").write_text(json.dumps({"q0": {"d1": 1}}))
    return root


@pytest.mark.parametrize("kind", ["splade", "dense"])
def test_documents_and_queries_that_are_cut_are_counted_and_said(kind, place, splade, caplog):
    chosen = ("init_dict.model_type_or_dir=mlm", "config.pretrained_no_yamlconfig=true", f"config.index_dir={kind}")
    lengths = ("config.max_length=6", "config.max_length_q=5")
    if kind == "dense":
        chosen = (*chosen, "hf.model.dense=true", "~init_dict.agg")
    splade("index", *chosen, *lengths, "data.COLLECTION_PATH=docs", cwd=place)
    assert (
        "docs/raw.tsv: 2 of 3 documents are longer than the 6 tokens that are read (config.max_length)" in caplog.text
    )
    stats = json.loads((place / kind / "index_stats.json").read_text())
    assert stats["cut_docs"] == 2
    splade("index", *chosen, *lengths, "data.COLLECTION_PATH=docs", cwd=place)  # kept as it is
    assert json.loads((place / kind / "index_stats.json").read_text()) == stats
    sets = ("data.Q_COLLECTION_PATH=[queries]", "data.EVAL_QREL_PATH=[qrels.json]", "config.retrieval_name=[S]",
            "config.eval_metric=[[mrr_10]]", f"config.out_dir={kind}/out")  # fmt: skip
    splade("retrieve", *chosen, *lengths, *sets, cwd=place)
    assert "1 of 2 queries are longer than the 5 tokens that are read (config.max_length_q)" in caplog.text
    name = "q_stats.json" if kind == "splade" else "search_stats.json"
    assert json.loads((place / kind / "out" / "S" / "stats" / name).read_text())["cut_queries"] == 1


def test_a_shard_says_so_too(place, splade, caplog):
    chosen = ("init_dict.model_type_or_dir=mlm", "config.pretrained_no_yamlconfig=true", "config.max_length=6")
    splade("encode", *chosen, "data.COLLECTION_PATH=docs", "config.out_dir=shards", cwd=place)
    assert "2 of 3 documents are longer than the 6 tokens" in caplog.text
