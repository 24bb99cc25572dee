"""What all targets share: whole exports, what is kept of an interrupted one, manifests, and checks."""

import json

import numpy as np
import pytest

from splade.exporting import writing
from splade.exporting.anserini import Anserini
from splade.exporting.checking import check_export, report
from splade.exporting.lines import Layout
from splade.exporting.manifest import read_manifest
from splade.exporting.numpy_arrays import NumpyArrays, pieces
from splade.exporting.tally import Tally
from splade.exporting.writing import Given, Named, export, staging
from splade.files import InputError
from splade.kernels.sparse import from_csr
from splade.records import SparseBatch

MAKE = {"anserini": Anserini, "numpy": NumpyArrays}


def batch(*texts, width=4):
    offsets = np.cumsum([0, *(len(vector) for _, vector in texts)])
    columns = [column for _, vector in texts for column in vector]
    weights = [weight for _, vector in texts for weight in vector.values()]
    return SparseBatch(tuple(id for id, _ in texts), from_csr(offsets, columns, np.float32(weights), width), width)


DOCS = [("d1", {0: 1.25, 2: 0.5}), ("d 2", {}), ("d3", {1: 0.004, 3: 2.0}), ("ü", {0: 0.7}), ("d5", {3: 0.015})]


def given(docs=DOCS, origin="here", stop_at=None):
    def batches():
        for start in range(0, len(docs), 2):
            if stop_at is not None and start >= stop_at[0]:
                stop_at[1] += 1
                if stop_at[1] == 2:  # the first time is the pass that counts
                    raise KeyboardInterrupt
            yield batch(*docs[start : start + 2])

    def texts():
        return iter([f"text of {id}" for id, _ in docs])

    return Given(batches, texts, lambda: ["cat", "two words", "fish", None], True, "", {"collection": origin})


def queries(weight=1.0):
    return {"": lambda width: [batch(("q1", {0: weight, 3: 0.5}), ("q2", {}), width=width)]}


def make(name, arguments):
    return MAKE[name](**arguments)


def named(name="anserini", **arguments):
    return Named(name, MAKE[name](**arguments), arguments)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("anserini", {}), ("anserini", {"shard_docs": 2, "gzip": True}), ("numpy", {"shard_docs": 2}), ("numpy", {})],
)
def test_an_export_is_read_back_as_it_was_kept(tmp_path, name, arguments):
    manifest = export(named(name, **arguments), given(), queries(), tmp_path / "out")
    assert check_export(tmp_path / "out", make) == manifest == read_manifest(tmp_path / "out")
    assert manifest["documents"]["n_texts"] == 5
    assert not staging(tmp_path / "out").exists()
    assert (tmp_path / "out" / "terms.txt").read_text() == "cat\n[term_1]\nfish\n[term_3]\n"
    assert manifest["terms"]["renamed"] == {"[term_1]": "two words"}


def test_the_loss_is_that_of_each_weight(tmp_path):
    told = export(named(), given(), queries(), tmp_path / "out")["documents"]
    # 1.25, .5, 2 and .7 are whole hundredths; .004 becomes 0, .015 becomes .02 (rint goes to the even number)
    assert (told["n_terms"], told["dropped_terms"], told["n_empty"]) == (5, 1, 1)
    assert told["loss"]["largest"] == 1.0
    assert told["loss"]["mean"] == pytest.approx((1 + 1 / 3) / 6, rel=1e-6)
    assert report(read_manifest(tmp_path / "out"))[1] == (
        "documents: 5, 1 without terms; 5 terms, 1 left out; loss of a weight 22.2222% in the mean, 100.0000% at most"
    )


def test_an_interrupted_export_goes_on_with_its_whole_files_and_ends_the_same(tmp_path, monkeypatch):
    export(named(shard_docs=1), given(), queries(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        export(named(shard_docs=1), given(stop_at=[4, 0]), queries(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in (staging(tmp_path / "out") / "documents").iterdir()) == [
        f"docs_anserini-{number:05}.jsonl" for number in range(4)
    ]
    made = []
    monkeypatch.setattr("splade.exporting.lines.whole_file", counting(made, writing.whole_file))
    export(named(shard_docs=1), given(), queries(), tmp_path / "out")
    assert [path.name for path in made] == ["docs_anserini-00004.jsonl"]
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def counting(made, whole_file):
    def counted(path, *rest):
        made.append(path)
        return whole_file(path, *rest)

    return counted


def test_documents_that_are_there_are_kept_and_queries_are_written_again(tmp_path, monkeypatch):
    export(named(), given(), queries(), tmp_path / "out")
    monkeypatch.setattr(Anserini, "write_documents", lambda *_: pytest.fail("documents were written again"))
    export(named(), given(), queries(weight=3.0), tmp_path / "out")
    assert (tmp_path / "out" / "queries_anserini.tsv").read_text().count("cat") == 300
    assert check_export(tmp_path / "out", make)


def test_another_export_replaces_the_files_of_the_one_before_and_no_others(tmp_path):
    export(named(shard_docs=1), given(), queries(), tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    export(named("numpy"), given(origin="elsewhere"), queries(), tmp_path / "out")
    assert sorted(content(tmp_path / "out")) == [
        "docs/docs-00000.npz", "export.json", "mine.txt", "queries.npz", "terms.txt",
    ]  # fmt: skip


def test_an_export_that_was_killed_while_its_files_were_moved_is_completed(tmp_path, monkeypatch):
    export(named(), given(), queries(), tmp_path / "whole")
    moved = []
    replace = type(tmp_path).replace

    def killed(self, target):
        if "exporting" in str(self.parent) and self.suffix in (".jsonl", ".tsv"):
            moved.append(self)
            if len(moved) == 2:
                raise SystemExit(9)
        return replace(self, target)

    monkeypatch.setattr(type(tmp_path), "replace", killed)
    with pytest.raises(SystemExit):
        export(named(), given(), queries(), tmp_path / "out")
    monkeypatch.undo()
    assert not (tmp_path / "out" / "export.json").exists()
    export(named(), given(), queries(), tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_two_exports_to_one_folder_are_refused(tmp_path):
    def batches():
        with pytest.raises(InputError, match="writing this export"):
            export(named(), given(), queries(), tmp_path / "out")
        return given().batches()

    export(named(), given()._replace(batches=batches), queries(), tmp_path / "out")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_text(path.read_text() + "\n"), "were written"),
        (lambda path: path.write_text(path.read_text().replace("125", "126")), "another SHA-256"),
    ],
)
def test_a_file_that_changed_is_told_by_the_check(tmp_path, harm, told):
    export(named(), given(), queries(), tmp_path / "out")
    harm(tmp_path / "out" / "docs_anserini.jsonl")
    with pytest.raises(InputError, match=told):
        check_export(tmp_path / "out", make)


@pytest.mark.parametrize(
    ("vector", "told"),
    [
        ({"cat": 0}, "not a whole number above 0"),
        ({"cat": 1.5}, "not a whole number above 0"),
        ({"dog": 1}, "no word of terms.txt"),
    ],
)
def test_what_lucene_would_refuse_or_truncate_is_told_with_file_and_line(tmp_path, vector, told):
    path = tmp_path / "docs_anserini.jsonl"
    path.write_text("".join(json.dumps({"id": "a", "content": "", "vector": v}) + "\n" for v in ({"cat": 1}, vector)))
    with pytest.raises(InputError, match=rf"docs_anserini.jsonl:2: .*{told}"):
        list(Anserini().read_documents(tmp_path, ["cat"]))


def test_a_target_that_reads_back_something_else_is_told_of(tmp_path):
    export(named(), given(), queries(), tmp_path / "out")

    class Wrong(Anserini):
        def read_queries(self, folder, words):
            yield batch(("q1", {0: 1.0}))

    with pytest.raises(InputError, match="not those that were written"):
        check_export(tmp_path / "out", lambda name, arguments: Wrong(**arguments))


@pytest.mark.parametrize("told", ["{}", '{"magic": "splade export", "format_version": 99}', "no json"])
def test_a_folder_without_a_usable_manifest_is_refused(tmp_path, told):
    with pytest.raises(InputError, match="no such file"):
        read_manifest(tmp_path)
    (tmp_path / "export.json").write_text(told)
    with pytest.raises(InputError, match=r"export\.json"):
        read_manifest(tmp_path)


def test_counts_and_checksums_do_not_depend_on_batches():
    tallies = []
    for size in (1, 2, 5):
        tally = Tally(Anserini(), "document")
        for start in range(0, 5, size):
            tally.add(batch(*DOCS[start : start + size]))
        tallies.append(tally.told())
    assert tallies[0]["checksum"] == tallies[1]["checksum"] == tallies[2]["checksum"]
    other = Tally(Anserini(), "document")
    other.add(batch(*reversed(DOCS)))
    assert other.told()["checksum"] != tallies[0]["checksum"]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_have_their_size_and_lose_nothing(size):
    found = list(pieces([batch(*DOCS[:3]), batch(), batch(*DOCS[3:])], size))
    sizes = [sum(len(part.ids) for part in piece) for piece in found]
    assert sizes == [size] * (5 // size) + [5 % size] * (5 % size > 0)
    assert [id for piece in found for part in piece for id in part.ids] == [id for id, _ in DOCS]
    assert np.concatenate([part.rows.weights for piece in found for part in piece]).tolist() == pytest.approx(
        [weight for _, vector in DOCS for weight in vector.values()]
    )


@pytest.mark.parametrize("shard_docs", [0, -1, True])
def test_a_shard_has_at_least_one_document(shard_docs):
    with pytest.raises(InputError, match=r"export\.shard_docs"):
        Layout(shard_docs).checked()
    with pytest.raises(InputError, match=r"export\.shard_docs"):
        NumpyArrays(shard_docs)
