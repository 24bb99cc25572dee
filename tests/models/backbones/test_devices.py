"""Every process has a GPU of its own, by one function of the environment and the number of visible devices."""

import re
from pathlib import Path

import pytest
import torch

from splade.encoding import Encoder
from splade.files import InputError
from splade.models import Splade
from splade.models.backbones import devices
from splade.models.backbones.devices import device_name, own_device, tell_unused_gpus, unused_gpus
from tests.conftest import ROOT
from tests.tiny import tiny_mlm


@pytest.fixture
def gpus(monkeypatch):
    """Torch as on a machine with four GPUs; the devices that were made current."""
    made_current = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", made_current.append)
    return made_current


@pytest.mark.parametrize(
    ("environment", "n_devices", "expected"),
    [
        ({}, 0, "cpu"),
        ({"LOCAL_RANK": "3", "RANK": "3", "WORLD_SIZE": "4"}, 0, "cpu"),
        ({}, 1, "cuda"),
        ({}, 4, "cuda"),
        ({"LOCAL_RANK": "3", "RANK": "7", "WORLD_SIZE": "8"}, 4, "cuda:3"),  # the second machine of two
        ({"LOCAL_RANK": "3", "RANK": "3", "WORLD_SIZE": "4"}, 1, "cuda:0"),  # a scheduler shows each task its own
        ({"SLURM_NTASKS": "4", "SLURM_LOCALID": "2"}, 4, "cuda:2"),
        ({"SLURM_NTASKS": "4", "SLURM_LOCALID": "2"}, 1, "cuda:0"),
        ({"SLURM_NTASKS": "1", "SLURM_LOCALID": "0"}, 4, "cuda"),  # alone: whichever the caller made current
        ({"SLURM_NTASKS": "4", "SLURM_LOCALID": "2", "LOCAL_RANK": "1"}, 4, "cuda:1"),
    ],
)
def test_the_device_is_a_function_of_environment_and_number(environment, n_devices, expected):
    assert device_name(environment, n_devices) == expected


def test_a_rank_that_is_no_number_is_refused_in_words():
    with pytest.raises(InputError, match=r"LOCAL_RANK=one in the environment: expected a number"):
        device_name({"LOCAL_RANK": "one"}, 2)


def test_a_rank_makes_its_gpu_the_current_one(gpus):
    assert own_device({"LOCAL_RANK": "2"}) == torch.device("cuda:2")
    assert gpus == [torch.device("cuda:2")]
    assert own_device({}) == torch.device("cuda")
    assert len(gpus) == 1  # launched alone, the current device is the caller's


def test_an_encoder_is_on_the_gpu_of_its_process(gpus, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert Encoder(Splade(str(tiny_mlm(tmp_path / "mlm"))), "query").device == torch.device("cuda:3")
    assert gpus == [torch.device("cuda:3")]


def test_no_other_module_chooses_a_gpu_or_reads_a_local_rank():
    chooses = re.compile(r"LOCAL_RANK|LOCALID|device_count|is_available\(\) else \"cpu\"|set_device\(")
    allowed = Path(devices.__file__)
    found = [path for path in (ROOT / "splade").rglob("*.py") if chooses.search(path.read_text())]
    assert found == [allowed]


def test_one_process_beside_several_gpus_is_told_how_to_use_all(gpus, caplog):
    tell_unused_gpus({})
    assert "4 GPUs are visible" in caplog.text
    assert "torchrun --nproc_per_node 4 -m" in caplog.text


@pytest.mark.parametrize(
    ("environment", "n_devices"),
    [({}, 0), ({}, 1), ({"LOCAL_RANK": "0", "WORLD_SIZE": "4"}, 4), ({"SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}, 4)],
)
def test_nothing_is_told_where_no_gpu_is_left_over(environment, n_devices):
    assert unused_gpus(environment, n_devices) is None
