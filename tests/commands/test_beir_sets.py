"""Where ``beir_eval`` finds a BEIR set, and what it says where it finds none."""

import pytest

from splade.data.collections.opening import open_collection
from splade.data.qrels import read_qrels
from splade.files import InputError
from splade.suites import parts_of, sets_of
from tests.data.writing import jsonl, put

ir_datasets = pytest.importorskip("ir_datasets")
requests = pytest.importorskip("requests")
HOST = "https://data.example.org/scifact.zip"


def beir_parts(name, path, split):
    (one,) = sets_of(name, split)
    parts = parts_of(one, path)
    return parts.documents, parts.queries, parts.qrels


def beir_folder(folder, suffix):
    jsonl(folder / f"corpus.jsonl{suffix}", [{"_id": "d1", "title": "t", "text": "x"}, {"_id": "d2", "text": "y"}])
    jsonl(folder / f"queries.jsonl{suffix}", [{"_id": "q1", "text": "x"}, {"_id": "q2", "text": "y"}])
    for split, query in {"test": "q1", "dev": "q2"}.items():
        put(folder / f"qrels/{split}.tsv{suffix}", f"query-id\tcorpus-id\tscore\n{query}\td1\t1\n")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_of_gzipped_files_is_read_as_the_plain_one_is(tmp_path, suffix, inside):
    beir_folder(tmp_path / "tiny", suffix)
    corpus, queries, qrels = beir_parts("tiny", str(tmp_path / "tiny" if inside else tmp_path), "dev")
    assert [text.id for text in corpus] == ["d1", "d2"]
    assert [text.id for text in queries] == ["q2"]
    assert qrels == {"q2": {"d1": 1}}


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_split_that_is_not_there_is_told_with_those_that_are(tmp_path, suffix):
    beir_folder(tmp_path / "tiny", suffix)
    with pytest.raises(InputError, match=r"\+beir\.split=train: there are no such qrels: .*tiny:train: .*: dev, test$"):
        beir_parts("tiny", str(tmp_path), "train")


class Offline:
    """A registered set whose files are not on this machine."""

    def __init__(self, error):
        self.error = error

    def has(self, kind):
        return kind in ("docs", "queries", "qrels")

    def docs_iter(self):
        raise self.error
        yield

    queries_iter = qrels_iter = docs_iter

    def docs_count(self):
        raise self.error

    docs_store = docs_count


ERRORS = [
    (
        requests.exceptions.ConnectionError(
            "HTTPSConnectionPool(host='data.example.org', port=443): Max retries exceeded with url",
            request=requests.Request("GET", HOST),
        ),
        "no connection to data.example.org",
    ),
    (requests.exceptions.ConnectTimeout(), "no connection: ConnectTimeout"),
    (RuntimeError("All download sources failed", []), "all its sources failed"),
]


@pytest.fixture
def offline(monkeypatch):
    """``offline(error)``: whatever ir_datasets is asked to load fails to download with ``error``."""

    def prepare(error):
        monkeypatch.setattr(ir_datasets, "load", lambda _: Offline(error))

    return prepare


@pytest.mark.parametrize(("error", "said"), ERRORS)
def test_a_set_that_cannot_be_downloaded_is_told_with_what_to_place_where(offline, monkeypatch, error, said):
    offline(error)
    monkeypatch.setenv("IR_DATASETS_HOME", "store/ir")
    with pytest.raises(InputError) as told:
        beir_parts("scifact", "data/sets", "test")
    text = str(told.value)
    assert text.startswith(
        f"irds:beir/scifact/test: its files are not in store/ir and ir_datasets could not download them ({said})."
    )
    assert "name it by IR_DATASETS_HOME" in text
    assert "put corpus.jsonl, queries.jsonl and qrels/test.tsv of BEIR's scifact" in text
    assert text.endswith("into data/sets/scifact and set +beir.dataset_path=data/sets")
    assert "Max retries" not in text


def test_documents_and_qrels_that_cannot_be_downloaded_are_told_in_words_too(offline):
    offline(ERRORS[0][0])
    documents = open_collection("irds:any/set")
    for use in (list, len, lambda found: found.find(["d"]), lambda found: found.texts(["d"])):
        with pytest.raises(InputError, match=r"irds:any/set: its files are not in .* could not download them"):
            use(documents)
    with pytest.raises(InputError, match="could not download them"):
        read_qrels("irds:any/set")


def test_an_error_that_is_not_of_a_download_stays_what_it_is(offline):
    offline(OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        read_qrels("irds:any/set")


def test_a_set_with_only_test_queries_has_no_split_in_its_id(monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        if name == "beir/arguana/test":
            raise KeyError(name)
        return Offline(ERRORS[0][0])

    monkeypatch.setattr(ir_datasets, "load", load)
    with pytest.raises(InputError, match=r"^irds:beir/arguana: its files are not in"):
        beir_parts("arguana", None, "test")
    assert asked[0] == "beir/arguana/test"
