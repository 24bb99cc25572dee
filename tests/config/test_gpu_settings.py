"""``config.cuda_head`` and ``config.tf32``: applied, and GPUs checked, before a command that runs a model begins."""

import pytest
import torch

from splade.config.composing.choose import choose
from splade.config.execution import commands, run_one
from splade.files import InputError
from splade.models.backbones import gpu
from splade.models.backbones.gpu import Gpu

MODEL_FREE = {"average", "add_bm25", "idf", "evaluate", "update", "compare", "fuse"}
MODEL_FREE |= {"utils.index_figure", "evaluation.eval", "reproduce", "report", "places", "push", "pull"}
MODEL_FREE |= {"serve"}  # where it runs one it sets the GPUs itself: queries that are looked up load no torch


@pytest.fixture(autouse=True)
def _as_before():
    former = gpu.choice.head, torch.get_float32_matmul_precision()
    yield
    gpu.choice.head = former[0]
    torch.set_float32_matmul_precision(former[1])


def seen(name, *overrides):
    """What a command of this name finds set when it begins."""

    def function(cfg):
        return gpu.choice.head, gpu.tf32_is_on()

    function.__module__ = f"splade.{name}"
    return run_one(function, choose({}), overrides)


def test_the_settings_hold_when_a_command_begins():
    assert seen("train") == (None, False)
    assert seen("train", "config.cuda_head=torch", "config.tf32=true") == ("torch", True)
    assert seen("retrieve", "config.tf32=false") == (None, False)


def test_the_gpus_are_checked_before_a_command_begins_and_not_where_no_model_runs(monkeypatch):
    monkeypatch.setattr(gpu, "visible_gpus", lambda: [Gpu(0, "Tesla V100", (7, 0))])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "compute_90"])
    with pytest.raises(Exception, match=r"Tesla V100\) has compute capability 7\.0, and this build of torch"):
        seen("index")
    assert seen("evaluate") == (None, False)
    assert seen("index", "+data.VECTORS_PATH=vectors", "~data.COLLECTION_PATH") == (None, False)


def test_every_command_that_runs_a_model_has_its_gpus_checked():
    asks = {name for name, row in commands().items() if "gpu" in row.get("needs", [])}
    assert asks | MODEL_FREE == set(commands())


def test_another_head_is_refused_with_the_two_that_there_are():
    with pytest.raises(InputError, match=r"config\.cuda_head=cublas: accepted are triton, torch"):
        seen("train", "config.cuda_head=cublas")
