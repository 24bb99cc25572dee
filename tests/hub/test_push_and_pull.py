"""Pushed and pulled: the same bytes, fingerprints and vectors; whole or absent; refusals in words."""

import errno
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import HfApi, constants, file_download
from huggingface_hub.utils import _http

from splade.encoding import Encoder
from splade.engines import OWN, Inverted
from splade.engines.conformance import sample_for
from splade.files import InputError
from splade.hub import connect, files_of, in_words, read_manifest
from splade.hub import pull as pull_from
from splade.hub.pulling import OTHER_FORMS
from splade.kernels.sparse import to_dense
from splade.locks import Lock
from splade.models import load_retriever
from splade.records import SIDES, Text
from tests.hub.conftest import NoWaiting
from tests.hub.standin import TOKEN, Fault, Repo

# Said by the hub's own library of its own upload by plain HTTP.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw:DeprecationWarning")

TEXTS = [Text("1", "the heat of the sun"), Text("2", "honey"), Text("3", "")]


def octets_of(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_of(folder).items()}


def vectors_of(folder: Path, side: str) -> np.ndarray:
    batch = Encoder(load_retriever(folder), side, device="cpu").encode_all(TEXTS)
    return to_dense(batch.rows, batch.vocab_size)


def impatient(api: HfApi, *arguments: object, waits: tuple[float, ...] = (), **named: object) -> object:
    return pull_from(api, *arguments, waits=waits, sleep=lambda _: None, **named)


def test_a_model_comes_back_with_the_same_bytes_fingerprint_and_vectors(hub, push, pull, model_folder, tmp_path):
    pushed = push()
    assert hub.repos["model", "me/small"].private
    pulled = pull(f"config.checkpoint_dir={tmp_path}/pulled")
    assert pulled.commit == pushed.commit
    here, there = model_folder / "model", tmp_path / "pulled/model"
    assert octets_of(there) == octets_of(here) != {}
    assert load_retriever(there).fingerprint() == pulled.fingerprints["model"] == load_retriever(here).fingerprint()
    for side in SIDES:
        np.testing.assert_array_equal(vectors_of(there, side), vectors_of(here, side))
    kept = json.loads((there / "pulled_from.json").read_text())
    assert kept.pop("files").keys() == {path.relative_to(there).as_posix() for path in there.rglob("*.*")} - {
        "pulled_from.json"
    }
    assert kept == {"repo": "me/small", "kind": "model", "revision": "main", "commit": pushed.commit}


def test_what_is_pushed_is_the_form_of_sentence_transformers_5(hub, push):
    push()
    files = hub.files("model", "me/small")
    types = [module["type"] for module in json.loads(files["modules.json"])]
    models = "sentence_transformers.sparse_encoder.models"
    assert types == [f"{models}.MLMTransformer", f"{models}.SpladePooling"]
    assert json.loads(files["config_sentence_transformers.json"])["model_type"] == "SparseEncoder"
    assert json.loads(files["config.json"])["architectures"] == ["BertForMaskedLM"]


@pytest.mark.slow
def test_a_plain_language_model_is_pushed_in_that_form_too(hub, push, model_folder, tmp_path, pull):
    plain = model_folder.parent / "mlm"
    assert not (plain / "modules.json").exists()
    push(f"config.checkpoint_dir={plain}")
    assert {"modules.json", "splade.json"} <= hub.files("model", "me/small").keys()
    pull(f"config.checkpoint_dir={tmp_path}/pulled")
    np.testing.assert_array_equal(vectors_of(tmp_path / "pulled/model", "query"), vectors_of(plain, "query"))


def test_an_index_folder_comes_back_with_all_its_engines(hub, push, pull, index_folder, tmp_path):
    push(f"config.index_dir={index_folder}")
    assert ("dataset", "me/small") in hub.repos
    assert not [name for name in hub.files("dataset", "me/small") if "unfinished" in name]
    pulled = pull(f"config.index_dir={tmp_path}/pulled")
    assert octets_of(tmp_path / "pulled") == octets_of(index_folder)
    for name, kind in {"inverted": "sparse", "dense": "dense"}.items():
        here, there = (OWN[name](folder).open() for folder in (index_folder, tmp_path / "pulled"))
        assert pulled.fingerprints[name] == there.fingerprint == here.fingerprint
        for one, other in zip(*(each.search(sample_for(kind).as_queries(), 5) for each in (here, there)), strict=True):
            assert one.doc_ids == other.doc_ids
            np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.slow
def test_an_index_of_empty_files_comes_back_too(api, hub, push, pull, tmp_path):
    Inverted(tmp_path / "index").build(sample_for("sparse").as_documents()._replace(batches=lambda start: iter(())))
    push(f"config.index_dir={tmp_path}/index")
    pull(f"config.index_dir={tmp_path}/pulled")
    assert Inverted(tmp_path / "pulled").open().n_docs == 0


@pytest.mark.slow
def test_a_second_push_is_one_commit_of_what_changed_and_removes_what_is_gone(hub, push, small_index, caplog):
    push(f"config.index_dir={small_index}")
    repo = hub.repos["dataset", "me/small"]
    repo.commit(hub.files("dataset", "me/small") | {"notes.txt": b"by hand", ".gitattributes": b""}, "main")
    sent = len(hub.of("PUT", "/large/"))
    extra = small_index / "bm25_notes.json"
    extra.write_text("{}")
    with caplog.at_level(logging.WARNING):
        push(f"config.index_dir={small_index}")
    assert "files that no push of splade put there; they stay: notes.txt" in caplog.text
    extra.unlink()
    third = push(f"config.index_dir={small_index}")
    assert third.removed == ["bm25_notes.json"]
    assert len(repo.commits) == 1 + 1 + 1 + 2
    assert len(hub.of("PUT", "/large/")) == sent
    assert "notes.txt" in hub.files("dataset", "me/small")
    assert push(f"config.index_dir={small_index}") == third._replace(changed=False, removed=[])


def test_a_dry_run_writes_what_would_be_pushed_and_sends_nothing(hub, push, tmp_path):
    assert push("push.dry_run=true", f"push.out_dir={tmp_path}/dry") is None
    assert hub.requests == []
    push()
    written = {path.relative_to(tmp_path / "dry").as_posix(): path for path in (tmp_path / "dry").rglob("*")}
    written = {name: path.read_bytes() for name, path in written.items() if path.is_file()}
    assert written == hub.files("model", "me/small")


@pytest.mark.slow
def test_a_branch_is_pushed_to_and_pulled_by_its_name_and_by_its_commit(hub, push, pull, tmp_path):
    push("push.revision=next")
    assert hub.files("model", "me/small") == {}
    commit = pull(f"config.checkpoint_dir={tmp_path}/a", "pull.revision=next").commit
    assert pull(f"config.checkpoint_dir={tmp_path}/b", f"pull.revision={commit}").commit == commit
    with pytest.raises(InputError, match=r"has no revision 'last'. Name a branch, a tag or a commit"):
        pull(f"config.checkpoint_dir={tmp_path}/c", "pull.revision=last")
    assert not (tmp_path / "c").exists()


def test_a_busy_hub_is_asked_again(hub, push, pull, api, tmp_path, small_index):
    hub.faults += [Fault("PUT", "/large/", 503), Fault("POST", "/preupload/", 429)]
    push(f"config.index_dir={small_index}")
    hub.faults += [Fault("GET", "/given/", 503), Fault("HEAD", "/resolve/", 502)]
    impatient(api, "me/small", "index", tmp_path / "pulled", waits=(0.0, 0.0))
    assert octets_of(tmp_path / "pulled") == octets_of(small_index)
    assert hub.faults == []


def test_a_connection_that_breaks_in_a_file_goes_on_after_its_last_byte(hub, push, pull, tmp_path, monkeypatch):
    monkeypatch.setattr(file_download, "time", NoWaiting())
    push()
    hub.faults.append(Fault("GET", "/given/.*model.safetensors", cut=1000))
    pull(f"config.checkpoint_dir={tmp_path}/pulled")
    assert len(hub.of("GET", "/given/.*model.safetensors")) == 2
    expected = hub.files("model", "me/small")["model.safetensors"]
    assert (tmp_path / "pulled/model/model.safetensors").read_bytes() == expected


def test_an_interrupted_pull_leaves_nothing_that_opens_and_fetches_no_file_twice(hub, push, api, tmp_path, small_index):
    push(f"config.index_dir={small_index}")
    fetched = 0

    def interrupt(path: str) -> None:
        nonlocal fetched
        fetched += 1
        if fetched == 4:
            hub.faults.append(Fault("GET", "/(given|resolve)/", 500))

    hub.on_bytes = interrupt
    with pytest.raises(InputError, match=r"the hub answered 500 .*the same command goes on: what was transferred"):
        impatient(api, "me/small", "index", tmp_path / "pulled")
    hub.on_bytes = None
    assert not (tmp_path / "pulled").exists()
    before = len(hub.requests)
    impatient(api, "me/small", "index", tmp_path / "pulled")
    asked = [(number < before, path) for number, (how, path) in enumerate(hub.requests) if how == "HEAD"]
    first, again = ({path for early, path in asked if early is which} for which in (True, False))
    assert len(first) == 5
    assert len(first & again) == 1  # the file that the hub did not give
    assert octets_of(tmp_path / "pulled") == octets_of(small_index)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.slow
def test_what_was_pulled_is_kept_or_replaced_by_another_revision(hub, push, api, tmp_path, small_index):
    push(f"config.index_dir={small_index}")
    assert not impatient(api, "me/small", "index", tmp_path / "pulled").was_there
    asked = len(hub.requests)
    assert impatient(api, "me/small", "index", tmp_path / "pulled").was_there
    assert not [path for _, path in hub.requests[asked:] if "/resolve/" in path or "/tree/" in path]
    hub.repos["dataset", "me/small"].commit(hub.files("dataset", "me/small") | {"README.md": b"new"}, "main")
    asked = len(hub.requests)
    impatient(api, "me/small", "index", tmp_path / "pulled")
    assert {path.rpartition("/")[2] for _, path in hub.requests[asked:] if "/resolve/" in path} == {"README.md"}
    assert (tmp_path / "pulled/README.md").read_bytes() == b"new"


def test_a_folder_that_was_not_pulled_is_not_replaced(hub, push, pull, small_index):
    push(f"config.index_dir={small_index}")
    before = octets_of(small_index)
    with pytest.raises(InputError, match="holds something that was not pulled, and it is not replaced"):
        pull(f"config.index_dir={small_index}")
    assert octets_of(small_index) == before


@pytest.mark.slow
def test_what_was_changed_after_it_was_pulled_is_not_replaced(hub, push, api, tmp_path, small_index):
    push(f"config.index_dir={small_index}")
    impatient(api, "me/small", "index", tmp_path / "pulled")
    (tmp_path / "pulled/index_stats.json").unlink()
    impatient(api, "me/small", "index", tmp_path / "pulled")
    assert octets_of(tmp_path / "pulled") == octets_of(small_index)
    stats = tmp_path / "pulled/index_stats.json"
    stats.write_bytes(stats.read_bytes().replace(b"2", b"3"))
    with pytest.raises(InputError, match=r"index_stats.json was changed since it was pulled, and it is not replaced"):
        impatient(api, "me/small", "index", tmp_path / "pulled")


@pytest.mark.parametrize("name", ["header.json", "vectors.bin"])
def test_a_file_that_is_not_the_one_that_was_pushed_is_refused(hub, push, api, tmp_path, small_index, name):
    push(f"config.index_dir={small_index}")
    files = hub.files("dataset", "me/small")
    place = next(each for each in files if each.endswith(f"dense_index/{name}"))
    files[place] = files[place][:-1] + bytes([files[place][-1] ^ 1])
    with pytest.raises(InputError, match=f"{name} came with another checksum than was pushed, and is removed"):
        impatient(api, "me/small", "index", tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


def test_an_index_with_another_fingerprint_than_was_said_is_refused(hub, push, api, tmp_path, small_index):
    push(f"config.index_dir={small_index}")
    files = hub.files("dataset", "me/small")
    files["splade_hub.json"] = files["splade_hub.json"].replace(b'"dense": "encoder"', b'"dense": "another"')
    with pytest.raises(InputError, match="its dense index has the fingerprint encoder, and another was pushed"):
        impatient(api, "me/small", "index", tmp_path / "pulled")


def test_names_that_lead_out_of_the_folder_are_refused(hub, api, tmp_path):
    hub.repos["model", "me/evil"] = repo = Repo(private=False)
    repo.commit({"config.json": b"{}", "../../config.json": b"{}"}, "main")
    with pytest.raises(InputError, match="leads out of the folder, and nothing of it is fetched"):
        impatient(api, "me/evil", "model", tmp_path / "deep/pulled")
    assert hub.of("GET", "/resolve/") == []


def test_of_a_repository_that_splade_did_not_push_only_readable_forms_are_fetched(hub, api, tmp_path, model_folder):
    hub.repos["model", "me/theirs"] = repo = Repo(private=False)
    theirs = {name: octets for name, octets in octets_of(model_folder / "model").items() if name != "splade.json"}
    others = {"onnx/model.onnx": b"1", "tf_model.h5": b"2", "pytorch_model.bin": b"3", ".gitattributes": b"4"}
    repo.commit(theirs | others, "main")
    found = impatient(api, "me/theirs", "model", tmp_path / "model")
    assert found.fingerprints == {}
    assert octets_of(tmp_path / "model") == theirs
    assert load_retriever(tmp_path / "model").fingerprint() == load_retriever(model_folder / "model").fingerprint()
    assert OTHER_FORMS


def test_a_repository_of_the_other_kind_is_named(hub, push, pull, tmp_path, small_index):
    push(f"config.index_dir={small_index}")
    with pytest.raises(
        InputError, match=r"no model repository of this name, but a dataset repository: name config\.ind"
    ):
        pull(f"config.checkpoint_dir={tmp_path}/pulled")


def test_the_kind_is_that_whose_folder_is_named(hub, push, tmp_path, model_folder, small_index):
    both = (f"config.checkpoint_dir={model_folder}", f"config.index_dir={small_index}")
    with pytest.raises(InputError, match=r"both are named, so say which is meant: push.kind=model or push.kind=index"):
        push(*both)
    push(*both, "push.kind=index")
    assert list(hub.repos) == [("dataset", "me/small")]


REFUSED = {
    "of another owner": ("you/small", "may not do that .*the namespace you.*write access to you"),
    "no owner": ("small", "push.repo=small: name a repository as OWNER/NAME"),
    "no such licence": ("me/small", 'Invalid metadata in README.md|"license" must be one of apache-2.0'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_hub_refuses_is_told_in_words(hub, push, case):
    repo, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        push(f"push.repo={repo}", f"push.licence={'gpl-9' if case == 'no such licence' else 'mit'}")


def test_a_missing_or_wrong_token_is_told_and_never_shown(hub, push, pull, monkeypatch, tmp_path):
    push()
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(InputError, match="refuses the token, or there is none: set HF_TOKEN") as wrong:
        push()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="refuses the token, or there is none: set HF_TOKEN"):
        push()
    with pytest.raises(InputError, match="none of this name, or shows it to no one with this token"):
        pull(f"config.checkpoint_dir={tmp_path}/pulled")
    assert "hf_wrong" not in str(wrong.value)


@pytest.mark.slow
def test_no_bars_are_drawn_into_a_log(hub, push, pull, tmp_path, capsys):
    push()
    pull(f"config.checkpoint_dir={tmp_path}/pulled")
    assert "%|" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_token_file_is_read_and_the_token_is_written_nowhere(hub, push, pull, monkeypatch, tmp_path, caplog, capsys):
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "secret").write_text(f"{TOKEN}\n")
    with caplog.at_level(logging.DEBUG):
        push(f"push.token_file={tmp_path}/secret")
        pull(f"pull.token_file={tmp_path}/secret", f"config.checkpoint_dir={tmp_path}/pulled")
    assert TOKEN not in caplog.text + "".join(capsys.readouterr())
    for path in (tmp_path / "pulled").rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()
    assert not [octets for octets in hub.files("model", "me/small").values() if TOKEN.encode() in octets]
    (tmp_path / "secret").write_text("two words")
    with pytest.raises(InputError, match="holds no token: one word is expected"):
        push(f"push.token_file={tmp_path}/secret")


def test_a_commit_of_somebody_else_meanwhile_is_told(hub, push):
    hub.faults.append(Fault("POST", "/commit/", 412))
    with pytest.raises(
        InputError, match=r"it was changed meanwhile.*Nothing was changed by this command; run it again"
    ):
        push()
    sent = len(hub.of("PUT", "/large/"))
    assert hub.files("model", "me/small") == {}
    push()
    assert len(hub.of("PUT", "/large/")) == sent > 0


@pytest.mark.slow
def test_two_pulls_into_one_folder_do_not_meet(hub, push, pull, tmp_path):
    push()
    lock = Lock(tmp_path / "pulled/.model.pull.lock", "")
    with pytest.raises(InputError, match="this process is writing this folder already"):
        pull(f"config.checkpoint_dir={tmp_path}/pulled")
    lock.release()
    pull(f"config.checkpoint_dir={tmp_path}/pulled")
    assert [path.name for path in (tmp_path / "pulled").iterdir()] == ["model"]


def test_a_full_disk_is_not_taken_for_a_broken_connection():
    def fill_the_disk() -> None:
        try:
            raise _http.httpx2.ReadTimeout("slow")
        except _http.httpx2.TimeoutException as error:
            raise OSError(errno.ENOSPC, "No space left on device", "pulled/model") from error

    with pytest.raises(OSError, match="No space left") as full, in_words("me/small", "model"):
        fill_the_disk()
    assert not isinstance(full.value, InputError)


def test_a_public_repository_is_not_taken_for_a_private_one(hub, push):
    push("push.private=false")
    assert not hub.repos["model", "me/small"].private
    with pytest.raises(InputError, match=r"push.private=true, and me/small is there and public"):
        push("push.private=true")
    push()


def test_without_network_it_is_said_what_to_do(hub, push, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"the hub cannot be reached \(.*\). Check the connection and HF_ENDPOINT"):
        push()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"HF_HUB_OFFLINE .* is set, and this command speaks to the hub: unset it"):
        connect({})


def test_what_is_no_model_and_no_index_is_not_pushed(hub, push, tmp_path):
    (tmp_path / "model").mkdir()
    for address, words in {"checkpoint_dir": "there is no model in it", "index_dir": "there is no index in it"}.items():
        with pytest.raises(InputError, match=words):
            push(f"config.{address}={tmp_path}")
    (tmp_path / "model/reranker.json").write_text("{}")
    with pytest.raises(InputError, match="holds a reranker"):
        push(f"config.checkpoint_dir={tmp_path}")
    assert hub.requests == []


def test_a_manifest_of_a_later_version_is_refused(tmp_path):
    (tmp_path / "splade_hub.json").write_text('{"format_version": 2}')
    with pytest.raises(InputError, match="written in format 2, this program reads 1"):
        read_manifest(tmp_path / "splade_hub.json")
