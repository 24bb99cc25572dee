"""Weights whose products float32 cannot hold, given to the commands."""

import pytest

from tests.data.writing import jsonl, put


def test_the_command_tells_it_before_it_writes_anything(tmp_path, splade, capsys):
    jsonl(tmp_path / "docs.jsonl", [{"id": "d1", "vector": {"sea": 3e38}}])
    jsonl(tmp_path / "asked.jsonl", [{"id": "q1", "vector": {"sea": 3e38}}])
    put(tmp_path / "qrels.tsv", "q1 0 d1 1\n")
    splade("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=ix", cwd=tmp_path)
    with pytest.raises(SystemExit) as ended:
        splade(
            "retrieve", "data.Q_VECTORS_PATH=[asked.jsonl]", "data.EVAL_QREL_PATH=[qrels.tsv]", "config.index_dir=ix",
            "config.retrieval_name=[NAME]", "config.eval_metric=[[mrr_10]]", "config.out_dir=out", cwd=tmp_path,
        )  # fmt: skip
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "score of query 'q1'" in told
    assert "Traceback" not in told
    assert not list((tmp_path / "out").rglob("run.*"))
