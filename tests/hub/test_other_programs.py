"""What takes a process of its own: a pull that is killed, and the hub's models in other libraries."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from splade.encoding import Encoder
from splade.engines import Dense
from splade.files import InputError
from splade.hub import files_of
from splade.kernels.sparse import to_dense
from splade.models import load_retriever
from splade.records import Text
from tests.conftest import PATIENCE, ROOT
from tests.hub.standin import TOKEN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw:DeprecationWarning"),
]


def environment(hub, place: Path) -> dict[str, str]:
    """The environment of a program that speaks to the stand-in."""
    return os.environ | {
        "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HOME": str(place / "home"),
        "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip


def test_a_pull_that_is_killed_leaves_nothing_that_opens_and_the_same_command_ends_it(hub, push, small_index, tmp_path):
    push(f"config.index_dir={small_index}")
    command = [sys.executable, "-m", "splade.pull", "me/small", f"config.index_dir={tmp_path}/pulled"]
    for number in range(1, 6, 2):
        reached, killed, seen = threading.Event(), threading.Event(), [0]

        def in_the_middle(path: str, number=number, reached=reached, killed=killed, seen=seen) -> None:
            seen[0] += 1
            if seen[0] == number:
                reached.set()
                killed.wait(PATIENCE)

        hub.on_bytes = in_the_middle
        with subprocess.Popen(command, env=environment(hub, tmp_path), cwd=tmp_path) as process:
            assert reached.wait(PATIENCE)
            process.send_signal(signal.SIGKILL)
        killed.set()
        assert not (tmp_path / "pulled").exists()
        with pytest.raises(InputError):
            Dense(tmp_path / "pulled").open()
    hub.on_bytes = None
    done = subprocess.run(
        command, env=environment(hub, tmp_path), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "HTTP Request" not in done.stderr
    assert {name: path.read_bytes() for name, path in files_of(tmp_path / "pulled").items()} == {
        name: path.read_bytes() for name, path in files_of(small_index).items()
    }


IN_OTHERS = """
import json, sys
from sentence_transformers import SparseEncoder
from splade.models import load_retriever
from transformers import AutoModelForMaskedLM

texts = json.loads(sys.argv[1])
model = SparseEncoder("me/small", device="cpu")
print(json.dumps({
    "document": model.encode_document(texts, convert_to_sparse_tensor=False).tolist(),
    "query": model.encode_query(texts, convert_to_sparse_tensor=False).tolist(),
    "fingerprint": load_retriever("me/small").fingerprint(),
    "architecture": type(AutoModelForMaskedLM.from_pretrained("me/small")).__name__,
}))
"""


def test_a_pushed_model_loads_by_its_name_in_sentence_transformers_and_transformers(hub, push, model_folder, tmp_path):
    pytest.importorskip("sentence_transformers")
    push()
    texts = ["the heat of the sun", "honey", "a bridge over the river"]
    done = subprocess.run(
        [sys.executable, "-c", IN_OTHERS, json.dumps(texts)],
        env=environment(hub, tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["architecture"] == "BertForMaskedLM"
    assert told["fingerprint"] == load_retriever(model_folder / "model").fingerprint()
    for side in ("query", "document"):
        batch = Encoder(load_retriever(model_folder / "model"), side, device="cpu").encode_all(
            [Text(str(number), text) for number, text in enumerate(texts)]
        )
        np.testing.assert_allclose(told[side], to_dense(batch.rows, batch.vocab_size), atol=1e-4)
