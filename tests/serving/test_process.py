"""A server as a process: its start without torch, its first answer, its lines, its end."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from http.client import HTTPConnection
from pathlib import Path

import pytest

from splade.encoding import Encoder
from splade.files import InputError
from splade.records import Text
from splade.search import Searcher
from splade.serving import running
from splade.serving.app import application
from tests.conftest import ROOT
from tests.serving.parts import DOCUMENTS, serving_of

TELLS = """\
import atexit, runpy, sys
atexit.register(lambda: print('torch' in sys.modules))
runpy.run_module('splade.serve', run_name='__main__')
"""


def posted(port, path, content):
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json"})
    try:
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def processor_seconds(pid):
    user, system = map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])
    return (user + system) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads a process's times from /proc")
def test_a_table_model_is_served_without_torch_and_answers_at_once(table):
    folder, model, index = table
    overrides = [f"config.index_dir={folder}/index", f"config.checkpoint_dir={folder}/checkpoint", "serve.port=0"]
    process = subprocess.Popen(
        [sys.executable, "-c", TELLS, *overrides], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=folder,
    )  # fmt: skip
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "serving at" in line:
                break
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", lines[-1])[1])
        before = processor_seconds(process.pid)
        status, answer = posted(port, "/search", {"query": "heart attack", "k": 3, "explain": True})
        assert processor_seconds(process.pid) - before < 1  # some hundredths, on any machine
        assert status == 200
        query = Encoder(model, "query").encode_all([Text("q", "heart attack")])
        (expected,) = Searcher(index).search(query, 3)
        assert [hit["id"] for hit in answer["hits"]] == list(expected.doc_ids)
        assert [hit["text"] for hit in answer["hits"]] == [DOCUMENTS[id] for id in expected.doc_ids]
        assert posted(port, "/embed_sparse", {"inputs": "heart", "prompt_name": "query"})[0] == 200
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert out.strip() == "False"
    assert process.returncode == 0
    for line in [*lines, *err.splitlines()]:
        assert re.match(r"\d\d:\d\d:\d\d (INFO|WARNING) ", line), line
        assert "uvicorn" not in line.lower()
    assert err.splitlines()[-1].endswith("stopped")


def test_a_request_that_came_before_the_end_is_answered():
    entered, let_go, is_ready = threading.Event(), threading.Event(), threading.Event()
    serving = serving_of(gate=lambda: (entered.set(), let_go.wait()))
    answers = []
    with running.bound("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = running.server_of(application(serving), seconds_to_stop=600, ready=is_ready.set)
        thread = threading.Thread(target=running.run, args=(server, listening))
        thread.start()
        is_ready.wait()
        asking = threading.Thread(target=lambda: answers.append(posted(port, "/embed_sparse", {"inputs": "heart"})))
        asking.start()
        entered.wait()
        server.handle_exit(signal.SIGTERM, None)
        let_go.set()
        thread.join()
        asking.join()
    assert answers[0][0] == 200
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset
        posted(port, "/embed_sparse", {"inputs": "heart"})
    serving.close()


def test_a_port_that_is_taken_is_told_in_words():
    with running.bound("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(InputError, match=rf"serve\.port={port}: nothing can be served there .* Name another port"):
            running.bound("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "key", "without_key", "is_refused"),
    [
        ("127.0.0.1", None, False, False),
        ("localhost", None, False, False),
        ("::1", None, False, False),
        ("0.0.0.0", None, False, True),
        ("::", None, False, True),
        ("192.168.1.5", None, False, True),
        ("0.0.0.0", "secret", False, False),
        ("0.0.0.0", None, True, False),
    ],
)
def test_other_machines_may_ask_with_a_key_or_where_somebody_said_so(host, key, without_key, is_refused):
    if is_refused:
        with pytest.raises(InputError, match="SPLADE_API_KEY"):
            running.refuse_open_door(host, key, without_key)
    else:
        running.refuse_open_door(host, key, without_key)


def test_an_address_is_shown_as_a_browser_takes_it():
    with running.bound("0.0.0.0", 0) as listening:
        assert running.address_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_few_shapes_are_kept_unless_the_user_says_how_many():
    """Their number is read from the environment when a model first computes."""
    environment = {"LRU_CACHE_CAPACITY": "7"}
    running.bound_caches(environment)
    assert environment == {"LRU_CACHE_CAPACITY": "7", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": running.KEPT_SHAPES}
