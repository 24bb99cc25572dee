"""The group of a training's processes, and what is left of it afterwards."""

from pathlib import Path

import pytest

from tests.forked import run_well

SCRIPT = """
import os
from pathlib import Path
import torch
from splade.training.processes import process_group
from splade.training.sharding import Sharded

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
    "a sum": "torch.distributed.all_reduce(torch.ones(1))",
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


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are read from Linux's /proc")
@pytest.mark.parametrize("work", WORK)
def test_no_thread_of_the_group_is_left_that_could_abort_the_process_at_its_end(work):
    run_well("-c", SCRIPT.replace("WORK", WORK[work]), processes=2)
