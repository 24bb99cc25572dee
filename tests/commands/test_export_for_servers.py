"""``splade.export`` for servers: each target is written from vectors by its name, and read back."""

import pytest

from splade.files import read_json
from tests.commands.test_export import lines, run

TARGETS = {
    "opensearch": ("export.form=sparse_vector", "export.hits=10"),
    "elasticsearch": ("export.index_options=false",),
    "milvus": ("export.shard_docs=2",),
    "qdrant": ("export.batch=2",),
    "vespa": ("export.quantization_factor_document=50", "export.gzip=true"),
}


@pytest.mark.parametrize(
    "target",
    [pytest.param(target, marks=[pytest.mark.slow] * (target not in ("opensearch", "vespa"))) for target in TARGETS],
)
def test_vectors_are_exported_for_a_server_and_read_back(tmp_path, capsys, target):
    lines(
        tmp_path / "docs.jsonl", [("d1", {"cat": 1.25, "dog s": 0.5}), ("d2", {}), ("d3", {"fish": 2.0, "cat": 0.25})]
    )
    lines(tmp_path / "queries.jsonl", [("q1", {"cat": 1.0, "dog s": 2.0}), ("q2", {"bird": 1.0})])
    given = (f"data.VECTORS_PATH={tmp_path}/docs.jsonl", f"data.Q_VECTORS_PATH=[{tmp_path}/queries.jsonl]")
    run(tmp_path, f"export.target={target}", *TARGETS[target], *given, f"config.out_dir={tmp_path}/out")
    run(tmp_path, f"export.check={tmp_path}/out")
    said = capsys.readouterr().out
    assert said.count("documents: 3, 1 without terms; 4 terms, 0 left out") == 2
    assert read_json(tmp_path / "out" / "export.json")["queries"][""]["n_empty"] == 1  # nothing is called bird
