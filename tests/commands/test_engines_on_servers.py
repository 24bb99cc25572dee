"""The commands search on a server as they do in a folder; the server is a strict fake of the documented interface."""

import base64
import signal

import pytest

from splade.files import read_json
from tests.commands.test_vectors_command import ASKED, DOCS, assert_same_run, dot_products, retrieve_arguments
from tests.cutting import Cut, outcomes
from tests.data.writing import jsonl
from tests.engines.places.rest.fake_searcher import FakeSearcher

SECRET = "s3cret-Pass"
KILLS = [
    Cut(signal.SIGKILL, "*/progress.json", 1, "before"),
    Cut(signal.SIGKILL, "*/progress.json", 1),  # the build has a name, and no index yet
    Cut(signal.SIGKILL, "*/progress.json", 2, "before"),  # all is put, and none of it noted
    Cut(signal.SIGKILL, "*/progress.json", 1),
    Cut(signal.SIGKILL, "*/state.json", 1, "before"),
    Cut(signal.SIGKILL, "*/state.json", 1),
]


@pytest.fixture
def place(tmp_path):
    jsonl(tmp_path / "docs.jsonl", DOCS)
    jsonl(tmp_path / "queries.jsonl", ASKED)
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td1\t1\n")
    (tmp_path / "password").write_text(SECRET)
    return tmp_path


@pytest.mark.parametrize(("name", "version"), [("opensearch", "3.9.0"), ("elasticsearch", "9.2.1")])
def test_vectors_are_indexed_and_searched_on_a_server_and_no_secret_is_written(
    splade, place, capfd, caplog, name, version
):
    code = base64.b64encode(f"me:{SECRET}".encode()).decode()
    with FakeSearcher(name, version, authorization=f"Basic {code}") as fake:
        own = (f"engine={name}", f"engine.url={fake.url}", "engine.user=me", "engine.password_file=password")
        splade("index", *own, "data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR", cwd=place)
        splade("retrieve", *own, *retrieve_arguments(), cwd=place)
    run = read_json(place / "OUT" / "NAME" / "run.json")
    assert_same_run(run, dot_products(DOCS, ASKED))
    facts = read_json(place / "OUT" / "NAME" / "stats" / "search_stats.json")
    assert (facts["engine"], facts["version"].lower()) == (name, f"{name} {version}")
    written = {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and path.name != "password"}
    assert "not looked up" not in caplog.text  # judged documents are known without asking the server
    printed = ("".join(capfd.readouterr()) + caplog.text).encode()
    assert any(b"password_file" in content for content in written.values())
    for form in (SECRET, code):
        assert form.encode() not in printed
        assert [str(path) for path, content in written.items() if form.encode() in content] == []


def test_a_folder_of_a_server_asks_for_its_address(splade, place, capsys):
    with pytest.raises(SystemExit) as ended:
        splade("index", "engine=opensearch", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR", cwd=place)
    assert ended.value.code == 2
    assert "engine=opensearch needs engine.url" in capsys.readouterr().err


@pytest.mark.slow
def test_kills_in_the_middle_of_an_ingest_leave_what_one_run_leaves(splade, place):
    with FakeSearcher("opensearch", "3.9.0") as fake:
        own = ("engine=opensearch", f"engine.url={fake.url}", "data.VECTORS_PATH=docs.jsonl", "config.index_dir=DIR")
        ended = outcomes(place, [(("index", *own), kill) for kill in KILLS])
        assert [outcome.status for outcome in ended] == [-signal.SIGKILL] * len(KILLS), ended
        splade("index", *own, cwd=place)
        splade("retrieve", *own[:2], *retrieve_arguments(), cwd=place)
        (index,) = fake.indices.values()
        assert sorted(index.seen) == ["0", "1", "3"]  # the third has no terms
    assert_same_run(read_json(place / "OUT" / "NAME" / "run.json"), dot_products(DOCS, ASKED))
