"""The group of a training's processes, and what is left of it afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os
from pathlib import Path
import torch
from splade.training.processes import on_first_rank, process_group

def threads():
    return {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}

with process_group(os.environ):
    on_first_rank(lambda: 1)
    import torch._dynamo  # as optimizers do, in the middle of a training
    assert any("gloo" in name for name in threads()), threads()
assert not any("gloo" in name for name in threads()), threads()
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are read from Linux's /proc")
def test_no_thread_of_the_group_is_left_that_could_abort_the_process_at_its_end(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launcher, str(script)], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
