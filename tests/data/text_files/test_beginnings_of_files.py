"""Each reader of text and JSON, over a file with a byte-order mark and over gzip bytes that no name tells of."""

import gzip
import shutil

import numpy as np
import pytest

from splade.data.collections.opening import open_collection
from splade.data.examples.candidates import lists_systems
from splade.data.examples.examples import Triplets
from splade.data.qrels import read_qrels
from splade.data.score_files.negatives import read_scores
from splade.data.vectors.vectors import open_vectors
from splade.evaluation.eval import main
from splade.evaluation.runs import read_run
from splade.files import InputError, read_json, text_lines

MARK = "\ufeff".encode()


def texts(path):
    collection = open_collection(path)
    return list(collection), [collection.at(number) for number in range(len(collection))]


def vectors(path):
    return [(batch.ids, batch.rows.weights.tolist()) for batch in open_vectors(path).batches()]


def matrix_ids(path):
    """The ids of a matrix of one row beside ``path``, its file of ids."""
    np.savez(path.with_name("a.npz"), indptr=[0, 1], indices=[3], data=[1.0], shape=[1, 9], format=b"csr")
    return open_vectors(path.with_name("a.npz")).find(["d1"]).tolist()


def triplets(path):
    lines = Triplets(path)
    return [lines.example(i, np.random.default_rng(0)) for i in range(len(lines))]


READERS = {
    "TREC qrels": ("qrels.txt", "q1 0 d1 1\nq2 0 d2 1\n", read_qrels),
    "tab-separated qrels": ("qrels.tsv", "q1\td1\t1\nq2\td2\t1\n", read_qrels),
    "JSON qrels": ("qrels.json", '{"q1": {"d1": 1}}', read_qrels),
    "TREC run": ("run.txt", "q1 Q0 d1 1 2.0 t\nq2 Q0 d2 1 1.0 t\n", read_run),
    "JSON run": ("run.json", '{"q1": {"d1": 1}}', read_run),
    "JSON run under any name": ("run", '\n{"q1": {"d1": 1}}', read_run),
    "JSON": ("idf.json", '{"cat": 1.5}', read_json),
    "list of documents to delete": ("delete.txt", "d1\nd2\n", lambda path: list(text_lines(path))),
    "ids beside a matrix": ("a.ids.txt", "d1\n", matrix_ids),
    "collection": ("raw.tsv", "d1\tone\nd2\ttwo\n", texts),
    "JSON lines": ("corpus.jsonl", '{"_id": "d1", "text": "one"}\n{"_id": "d2", "text": "two"}\n', texts),
    "vectors": ("v.jsonl", '{"id": "d1", "vector": {"7": 1.5}}\n', vectors),
    "scores in JSON lines": ("s.jsonl", '{"query_id": "q1", "scores": {"d1": 1}}\n', read_scores),
    "scores in JSON": ("s.json", '{"q1": {"d1": 1}}', read_scores),
    "scores of a TREC run": ("s.run", "q1 Q0 d1 1 2.0 t\n", read_scores),
    "negatives by system": ("n.jsonl", '{"qid": 1, "pos": [2], "neg": {"bm25": [3]}}\n', lists_systems),
    "triplets": ("triplets.tsv", "q\tp\tn\nq2\tp2\tn2\n", triplets),
}  # fmt: skip
every_reader = pytest.mark.parametrize(("name", "text", "read"), READERS.values(), ids=READERS)


def forms(tmp_path, name, raw):
    """The bytes ``raw`` and ``packed`` bytes, each under the same name in a folder of its own."""
    for folder, content in {"plain": raw, "packed": gzip.compress(raw)}.items():
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(content)
        yield tmp_path / folder / name


@every_reader
def test_a_byte_order_mark_and_gzip_bytes_change_nothing(tmp_path, name, text, read):
    plain, packed = forms(tmp_path, name, text.encode())
    expected = read(plain)
    assert expected
    assert read(packed) == expected
    for path in forms(tmp_path, name, MARK + text.encode()):
        assert read(path) == expected


def test_both_queries_count_where_files_begin_with_a_mark(tmp_path, capsys):
    (tmp_path / "qrels").write_bytes(MARK + b"q1 0 a 1\nq2 0 a 1\n")
    (tmp_path / "run").write_bytes(MARK + b"q1 Q0 a 1 1 t\nq2 Q0 a 1 1 t\n")
    assert main(["--qrel_file_path", str(tmp_path / "qrels"), "--run_file_path", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == "mrr_10 1.000000\n"


def test_files_with_marks_that_were_joined_are_read_line_by_line(tmp_path):
    part = MARK + b"q1 0 a 1\n"
    (tmp_path / "qrels").write_bytes(part + part.replace(b"q1", b"q2"))
    assert read_qrels(tmp_path / "qrels") == {"q1": {"a": 1}, "q2": {"a": 1}}


@pytest.mark.parametrize("reader", [name for name, row in READERS.items() if row[2] is not lists_systems])
def test_utf_16_is_called_by_its_name(tmp_path, reader):
    name, text, read = READERS[reader]
    (tmp_path / name).write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match=r"not UTF-8 text \(.*; it begins as UTF-16 does\); convert the file to UTF-8"):
        read(tmp_path / name)


def test_damaged_gzip_bytes_without_the_name_are_called_damaged(tmp_path):
    packed = gzip.compress(b"".join(b"q%d 0 d%d 1\n" % (i, i * i) for i in range(3000)))
    (tmp_path / "qrels.txt").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r"qrels\.txt:\d+: damaged gzip file"):
        read_qrels(tmp_path / "qrels.txt")
    shutil.copy(tmp_path / "qrels.txt", tmp_path / "raw.tsv")
    with pytest.raises(InputError, match=r"raw\.tsv:\d+: (damaged gzip file|no tab)"):
        texts(tmp_path / "raw.tsv")
