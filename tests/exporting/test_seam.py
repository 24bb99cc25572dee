"""What an export hands to its targets, and what it leaves behind."""

import numpy as np
import pytest

from splade.exporting.manifest import TERMS, read_terms
from splade.exporting.postings.bmp import Bmp
from splade.exporting.tally import Tally
from splade.exporting.target import FileTarget, kept_rows
from splade.files import InputError
from tests.exporting.vectors import batch_of
from tests.sampled import sampled


class Halved(FileTarget):
    """Halves the weights of vectors with two terms, and leaves out term 2."""

    def kept_weights(self, side, batch):
        sizes = np.diff(batch.rows.offsets)
        weights = batch.rows.weights * np.repeat(np.where(sizes == 2, 0.5, 1), sizes)
        return np.where(batch.rows.columns == 2, 0, weights)


def test_what_is_kept_may_depend_on_the_whole_vector_and_on_the_term():
    batch = batch_of([[4, 0, 0], [4, 2, 0], [0, 0, 1]])
    kept = kept_rows(Halved(), "document", batch)
    assert kept.rows.weights.tolist() == [4, 2, 1]
    tally = Tally(Halved(), "document")
    tally.add(batch)
    told = tally.told()
    assert (told["n_terms"], told["dropped_terms"], told["loss"]["largest"]) == (3, 1, 1.0)
    assert told["loss"]["mean"] == (0 + 0.5 + 0.5 + 1) / 4


def test_a_byte_order_mark_is_a_word_as_others_are(tmp_path):
    words = ["sea", "\ufeff", "\ufeffsun"]
    (tmp_path / TERMS).write_bytes("".join(f"{word}\n" for word in words).encode())
    assert read_terms(tmp_path) == words


@pytest.mark.parametrize("arguments", sampled([["export.target=seismic"], ["export.target=ciff", "export.bits=25"]]))
def test_a_refused_export_leaves_nothing_behind(tmp_path, splade, capsys, arguments):
    (tmp_path / "docs.jsonl").write_text('{"id": "d", "vector": {"sea": 70000.0}}\n')
    with pytest.raises(SystemExit):
        splade("export", *arguments, "data.VECTORS_PATH=docs.jsonl", "config.out_dir=out", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["docs.jsonl"]
    told = capsys.readouterr().err
    assert "at most 65504" in told or "export.bits=25: expected null, or a whole number from 1 to 24" in told


def test_queries_need_to_know_where_the_documents_are(tmp_path):
    target = Bmp()
    target.documents_in = tmp_path
    with pytest.raises(InputError, match=r"docs\.ciff: no such file"):
        target.write_queries(tmp_path, [batch_of([[1]])], ["sea"])


TARGETS = ("seismic", "ciff", "pisa", "bmp")


@pytest.fixture
def place(tmp_path):
    """Vectors of documents, one of them empty, and of two query sets."""
    (tmp_path / "docs.jsonl").write_text(
        '{"id": "d1", "vector": {"sea": 2.0, "sun": 1.25}}\n{"id": "d 2", "vector": {}}\n'
        '{"id": "d3", "vector": {"snow": 1.5, "sea": 0.5}}\n'
    )
    for name, text_id in (("asked", "q1"), ("other", "q2"), ("bad", "a:b")):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"id": "{text_id}", "vector": {{"sea": 1.0, "snow": 0.3}}}}\n')
    return tmp_path


def files(folder, but=("export.json",)):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in but}


@pytest.mark.parametrize("name", sampled(TARGETS, "ciff"))
def test_an_export_of_vectors_is_that_of_their_index_and_is_read_back(place, splade, capsys, name):
    asked = (f"export.target={name}", "data.Q_VECTORS_PATH=[asked.jsonl]")
    splade("export", *asked, "data.VECTORS_PATH=docs.jsonl", "config.out_dir=vectors", cwd=place)
    splade("index", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=index", cwd=place)
    splade("export", *asked, "config.index_dir=index", "config.out_dir=indexed", cwd=place)
    assert files(place / "vectors") == files(place / "indexed")
    capsys.readouterr()
    splade("export", "export.check=vectors", cwd=place)
    told = capsys.readouterr().out
    assert f"{name}: " in told
    assert "documents: 3, 1 without terms; 4 terms, 0 left out; loss of a weight" in told
    assert "queries: 1, 0 without terms; 2 terms, 0 left out" in told


@pytest.mark.parametrize("name", sampled(["pisa", "bmp"]))
def test_queries_find_the_terms_of_documents_that_were_written_before(place, splade, name):
    """In the export itself, and in one that stopped at its queries."""
    own = (f"export.target={name}", "data.VECTORS_PATH=docs.jsonl")
    for folder, before in (("whole", "asked"), ("stopped", "bad"), ("straight", None)):
        if before == "bad":
            with pytest.raises(SystemExit):
                splade("export", *own, "data.Q_VECTORS_PATH=[bad.jsonl]", f"config.out_dir={folder}", cwd=place)
        elif before:
            splade("export", *own, "data.Q_VECTORS_PATH=[asked.jsonl]", f"config.out_dir={folder}", cwd=place)
        splade("export", *own, "data.Q_VECTORS_PATH=[other.jsonl]", f"config.out_dir={folder}", cwd=place)
    assert files(place / "whole", ()) == files(place / "stopped", ()) == files(place / "straight", ())
    assert b"q2:" in (place / "whole" / ("queries.pisa" if name == "pisa" else "queries.txt")).read_bytes()
