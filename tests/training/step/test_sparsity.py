"""Sparsity does not depend on hardware: 200 steps end with the same non-zeros on one process and on two."""

import pytest
import torch

from splade.encoding import Encoder
from splade.losses import InBatchPairwiseNLL
from splade.models import Splade, load_retriever
from splade.training import Trainer
from tests.forked import run_well
from tests.tiny import tiny_mlm
from tests.training.toy import ToyExamples, document, penalties

WORKER = """
import os, sys
from datetime import timedelta
from torch import distributed
from tests.training.step.test_sparsity import trained

folder, parent = sys.argv[1], os.fork()
rank = int(parent == 0)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2,
                               timeout=timedelta(seconds=600))
trained(folder, "two")
distributed.destroy_process_group()
if parent:
    sys.exit(os.waitpid(parent, 0)[1])
"""


def trained(folder, name):
    """The folder of a model with dropout after 200 steps under FLOPS and L1."""
    torch.set_num_threads(1)
    settings = {"nb_iterations": 200, "train_batch_size": 8, "lr": 2e-3, "warmup_steps": 20, "record_frequency": 200}
    parts = penalties(0.02, 0.02, 100)
    trainer = Trainer(
        Splade(f"{folder}/mlm", max_length=24),
        InBatchPairwiseNLL(),
        parts,
        ToyExamples(40),
        checkpoint_dir=f"{folder}/{name}",
        in_batch_negatives=True,
        tensorboard=False,
        **settings,
    )
    trainer.run()
    return trainer.model_dir


def non_zeros(folder):
    encoded = Encoder(load_retriever(folder), "document").encode_all([document(number) for number in range(80)])
    return len(encoded.rows.columns) / 80


@pytest.mark.slow
def test_two_processes_end_as_sparse_as_one(tmp_path):
    tiny_mlm(tmp_path / "mlm", hidden=16, layers=1)
    before = non_zeros(tmp_path / "mlm")
    alone = non_zeros(trained(tmp_path, "one"))
    run_well("-c", WORKER, tmp_path)
    assert alone < 0.9 * before
    assert non_zeros(tmp_path / "two" / "model") == pytest.approx(alone, rel=0.02)
