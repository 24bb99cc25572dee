"""Seismic's JSON lines: numbers that are the same float32, and what half floats keep of them."""

import json

import numpy as np
import pytest

from splade.exporting.seismic import Seismic
from splade.files import InputError
from tests.exporting.vectors import batch_of, matrix, observed, written

WORDS = ["sea", "x" * 101, '"q"']
ROWS = np.array([[0.1, 1 / 3, 0], [0, 0, 0], [1e-9, 2.0, 65504.0], [0, 6e-8, 16777216 / 300]], np.float32)


def test_numbers_in_the_files_are_the_same_float32(tmp_path):
    documents = batch_of(ROWS)
    written(Seismic(), tmp_path, documents, batch_of(ROWS, "q"), WORDS)
    for name, prefix in (("docs", "d"), ("queries", "q")):
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        assert [line["id"] for line in lines] == [f"{prefix}{row}" for row in range(4)]
        for row, line in enumerate(lines):
            expected = {("sea", "[term_1]", '"q"')[term]: ROWS[row, term] for term in np.flatnonzero(ROWS[row])}
            if name == "docs" and row == 2:
                del expected["sea"]  # 1e-9 is no half float
            assert {token: np.float32(weight) for token, weight in line["vector"].items()} == expected
    assert '"sea":0.1,' in (tmp_path / "docs.jsonl").read_text()


def test_documents_are_read_back_as_half_floats_and_queries_as_they_are(tmp_path):
    found, asked = written(Seismic(), tmp_path, batch_of(ROWS), batch_of(ROWS, "q"), WORDS)
    np.testing.assert_array_equal(np.stack(list(found.values())), ROWS.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(np.stack(list(asked.values())), ROWS)


def test_texts_go_with_documents_and_shards_are_packed(tmp_path):
    documents = batch_of(ROWS)
    target = Seismic(shard_docs=3, gzip=True)
    target.prepare(observed(documents))
    assert target.write_documents(tmp_path, [(documents, ["a", "b", "c “d”", ""])], WORDS) == (4, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs-00000.jsonl.gz", "docs-00001.jsonl.gz"]
    assert list(matrix(target.read_documents(tmp_path, WORDS))) == list(documents.ids)
    assert target.about()["load"][0] == "zcat docs*.jsonl.gz > all.jsonl"


def test_a_weight_that_would_be_infinite_is_refused():
    with pytest.raises(InputError, match="65520; Seismic keeps float16, at most 65504"):
        Seismic().prepare(observed(batch_of([[65520.0]])))


@pytest.mark.parametrize(("vector", "told"), [('{"sea": 1}', "the weight of 'sea' is 1"), ('{"s": 1.0}', "'s' is no")])
def test_a_line_that_seismic_would_misread_is_told(tmp_path, vector, told):
    (tmp_path / "docs.jsonl").write_text(f'{{"id": "1", "content": "", "vector": {vector}}}\n')
    with pytest.raises(InputError, match=rf"docs.jsonl:1: {told}"):
        list(Seismic().read_documents(tmp_path, WORDS))
