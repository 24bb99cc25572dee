"""``splade.export``: from vectors, an index, a model; and its check."""

import json
import re

import numpy as np
import pytest

from splade.create_anserini import create_anserini
from splade.data.vectors.vectors import open_vectors
from splade.export import export
from splade.exporting.numpy_arrays import NumpyArrays
from splade.files import InputError
from splade.index import index
from splade.update import update
from splade.workflow import encoding
from tests.config.support import configured, refusal


def lines(path, rows):
    path.write_text("".join(json.dumps({"id": id, "vector": vector}) + "\n" for id, vector in rows))
    return path


@pytest.fixture
def place(tmp_path):
    docs = [("d1", {"cat": 1.25, "dog s": 0.5}), ("d2", {}), ("d3", {"fish": 2.0, "cat": 0.25})]
    lines(tmp_path / "docs.jsonl", docs)
    lines(tmp_path / "queries.jsonl", [("q1", {"cat": 1.0, "dog s": 2.0}), ("q2", {"fish": 0.5})])
    return tmp_path


def run(place, *overrides, command="export"):
    found = {"export": export, "index": index, "update": update, "create_anserini": create_anserini}
    return found[command](configured(*overrides, command=command))


def vectors_at(place, *, queries=False):
    """Vectors of a numpy export by id, as {word: weight}."""
    words = (place / "terms.txt").read_text().splitlines()
    found = {}
    for batch in open_vectors(place / "queries.npz" if queries else place / "docs").batches():
        for row, id in enumerate(batch.ids):
            own = slice(*batch.rows.offsets[row : row + 2])
            pairs = zip(batch.rows.columns[own], batch.rows.weights[own], strict=True)
            found[id] = {words[column]: float(weight) for column, weight in pairs}
    return found


def test_given_vectors_are_exported_with_their_queries(place, capsys):
    given = (f"data.VECTORS_PATH={place}/docs.jsonl", f"data.Q_VECTORS_PATH=[{place}/queries.jsonl]")
    run(place, "export.target=numpy", *given, f"config.out_dir={place}/out")
    assert "documents: 3, 1 without terms" in capsys.readouterr().out
    assert vectors_at(place / "out") == {
        "d1": {"cat": 1.25, "[term_1]": 0.5},
        "d2": {},
        "d3": {"fish": 2.0, "cat": 0.25},
    }
    assert vectors_at(place / "out", queries=True) == {"q1": {"cat": 1.0, "[term_1]": 2.0}, "q2": {"fish": 0.5}}
    run(place, f"export.check={place}/out")
    assert "loss of a weight 0.0000% in the mean" in capsys.readouterr().out


def test_an_index_is_exported_without_what_was_deleted_and_with_what_was_appended(place):
    run(place, f"data.VECTORS_PATH={place}/docs.jsonl", f"config.index_dir={place}/index", command="index")
    lines(place / "more.jsonl", [("d4", {"cat": 3.0, "bird": 1.0})])
    (place / "gone.txt").write_text("d1\n")
    changes = (f"data.VECTORS_PATH={place}/more.jsonl", f"data.DELETE_PATH={place}/gone.txt")
    run(place, f"config.index_dir={place}/index", *changes, command="update")
    run(place, "export.target=numpy", f"config.index_dir={place}/index", f"config.out_dir={place}/out")
    assert vectors_at(place / "out") == {
        "d2": {},
        "d3": {"fish": 2.0, "cat": 0.25},
        "d4": {"cat": 3.0, "bird": 1.0},
    }


def test_vectors_keyed_by_term_id_keep_their_numbers(place):
    lines(place / "ids.jsonl", [("d1", {"7": 1.0, "3": 2.0})])
    run(place, "export.target=numpy", f"data.VECTORS_PATH={place}/ids.jsonl", f"config.out_dir={place}/out")
    assert vectors_at(place / "out") == {"d1": {"3": 2.0, "7": 1.0}}


def test_a_model_exports_what_it_encodes_with_the_texts_as_create_anserini_does(tmp_path):
    model = ("config.pretrained_no_yamlconfig=true",)  # the toy data's
    manifest = run(tmp_path, *model, "export.target=anserini", f"config.out_dir={tmp_path}/out")
    other = run(tmp_path, *model, f"config.out_dir={tmp_path}/anserini", command="create_anserini")
    assert manifest == other
    first = json.loads((tmp_path / "out" / "docs_anserini.jsonl").read_text().splitlines()[0])
    assert first["content"]
    assert manifest["queries"][""]["n_texts"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anserini", "out"]
    run(tmp_path, f"export.check={tmp_path}/out")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("export.target=lucane",), r"config\.export=lucane: accepted are"),
        (("export.target=numpy", "export.gzip=true"), "gzip"),
        (("export.target=anserini", "+export.digits=2"), "digits"),
    ],
)
def test_wrong_targets_and_arguments_are_refused_before_anything_is_read(overrides, told):
    assert re.search(told, refusal(*overrides, "data.VECTORS_PATH=none.jsonl", command="export"))


def test_the_index_of_bm25_is_not_exported(place):
    (place / "texts").mkdir()
    (place / "texts" / "raw.tsv").write_text("d1\tcats and dogs\n")
    chosen = ("engine=bm25", f"data.COLLECTION_PATH={place}/texts", f"config.index_dir={place}/index")
    run(place, *chosen, command="index")
    with pytest.raises(InputError, match="BM25's weights"):
        run(place, f"config.index_dir={place}/index", f"config.out_dir={place}/out")


def test_a_check_of_an_unknown_target_says_how_to_name_it(place):
    given = (f"data.VECTORS_PATH={place}/docs.jsonl", f"config.out_dir={place}/out")
    run(place, *given, "export.target=numpy")
    path = place / "out" / "export.json"
    path.write_text(path.read_text().replace('"target": "numpy"', '"target": "mine"'))
    with pytest.raises(InputError, match=r"\+catalog\.export\.mine=PATH"):
        run(place, f"export.check={place}/out")


def test_documents_come_in_order_and_scores_are_those_of_the_index(place):
    rng = np.random.default_rng(3)
    words = [f"w{number}" for number in range(30)]
    docs = [
        (f"d{number}", {str(word): float(np.float32(rng.random())) for word in rng.choice(words, 6, replace=False)})
        for number in range(200)
    ]
    lines(place / "many.jsonl", docs)
    run(place, f"data.VECTORS_PATH={place}/many.jsonl", f"config.index_dir={place}/index", command="index")
    run(place, "export.target=numpy", f"config.index_dir={place}/index", f"config.out_dir={place}/out")
    found = vectors_at(place / "out")
    assert list(found) == [id for id, _ in docs]
    assert all(found[id] == vector for id, vector in docs)


def test_documents_that_are_there_are_neither_encoded_nor_read_again_and_queries_are_written_anew(place, monkeypatch):
    model = ("config.pretrained_no_yamlconfig=true", "export.target=anserini", f"config.out_dir={place}/out")
    first = run(place, *model)
    monkeypatch.setattr(encoding, "encode_shard", lambda *_: pytest.fail("documents were encoded again"))
    assert run(place, *model) == first
    given = (f"data.VECTORS_PATH={place}/docs.jsonl", "export.target=numpy", f"config.out_dir={place}/given")
    run(place, *given)
    monkeypatch.setattr(NumpyArrays, "write_documents", lambda *_: pytest.fail("documents were written again"))
    run(place, *given, f"data.Q_VECTORS_PATH=[{place}/queries.jsonl]")
    assert vectors_at(place / "given", queries=True) == {"q1": {"cat": 1.0, "[term_1]": 2.0}, "q2": {"fish": 0.5}}
    run(place, f"export.check={place}/given")
