"""The group of a training's processes, and what is left of it afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import os
from pathlib import Path
import torch
from splade.training.distributed.processes import process_group
from splade.training.distributed.sharding import Sharded

def threads():
    return {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}

def train():
    WORK
    assert any("gloo" in name for name in threads()), threads()

with process_group(os.environ):
    train()
assert not any("gloo" in name for name in threads()), threads()
"""
WORK = {
    "dynamo": "import torch._dynamo  # as optimizers do, in the middle of a training",
    "sharded": """
    model = torch.nn.Linear(4, 4)
    spread = Sharded(model, torch.device("cpu"))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    spread.whole_model()
""",
}


@pytest.mark.slow  # real torchrun
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are read from Linux's /proc")
@pytest.mark.parametrize("work", WORK)
def test_no_thread_of_the_group_is_left_that_could_abort_the_process_at_its_end(tmp_path, work):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("WORK", WORK[work]))
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launcher, str(script)], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
