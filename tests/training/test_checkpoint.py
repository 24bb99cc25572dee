"""State that is whole or absent, of this run or refused."""

import random

import numpy as np
import pytest
import torch

from splade.files import InputError
from splade.training import checkpoint

DESCRIBE = {"trainer": {"lr": 0.1, "nb_iterations": 10, "train_monitoring_freq": 2}, "run": {"data": {"path": "a"}}}


def changed(**trainer):
    return {**DESCRIBE, "trainer": {**DESCRIBE["trainer"], **trainer}}


@pytest.fixture
def last(tmp_path):
    folder = tmp_path / "model_ckpt" / "last"
    checkpoint.save_state(folder, {"step": 3, "weights": torch.ones(2)}, DESCRIBE)
    return folder


def test_a_state_comes_back_as_it_was(last):
    state = checkpoint.load_state(last)
    assert state["step"] == 3
    assert state["weights"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_state_is_an_error_that_names_the_file(last, damage):
    path = last / "state.pt"
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 255
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else bytes(data))
    if damage == "flip":
        data[:4] = b"oops"
        path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"state\.pt.*cannot be read"):
        checkpoint.load_state(last)


def test_a_state_that_would_run_code_is_refused(last):
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    torch.save({"format": 1, "evil": Evil()}, last / "state.pt")
    with pytest.raises(InputError, match="cannot be read"):
        checkpoint.load_state(last)


@pytest.mark.parametrize(
    "now", [DESCRIBE, changed(nb_iterations=11), changed(train_monitoring_freq=4), changed(set_in_a_later_version=None)]
)
def test_the_same_run_may_continue_and_grow(last, now):
    checkpoint.check_same_run(last, now)


def test_every_difference_is_named_with_both_values(last):
    now = changed(lr=0.2) | {"run": {"data": {"path": "b"}, "extra": 1}}
    with pytest.raises(InputError) as caught:
        checkpoint.check_same_run(last, now)
    for words in ("trainer.lr was 0.1, is now 0.2", "run.data.path was 'a', is now 'b'", "run.extra was 'absent'"):
        assert words in str(caught.value)


def test_a_state_that_does_not_say_what_it_is_of_is_refused(last):
    (last / "describe.json").unlink()
    with pytest.raises(InputError, match=r"describe\.json is missing"):
        checkpoint.check_same_run(last, DESCRIBE)


def test_a_run_may_not_shrink(last):
    with pytest.raises(InputError, match="nb_iterations was 10, is now 9"):
        checkpoint.check_same_run(last, changed(nb_iterations=9))


def test_a_kill_between_the_two_renames_is_undone(last):
    last.replace(last.with_name(".last.old"))
    (last.parent / ".last.abc.part").mkdir()
    checkpoint.recover(last)
    assert checkpoint.load_state(last)["step"] == 3
    assert [path.name for path in last.parent.iterdir()] == ["last"]


def test_a_kill_after_both_renames_keeps_the_new_state(last):
    former = last.with_name(".last.old")
    checkpoint.save_state(former, {"step": 1}, DESCRIBE)
    checkpoint.recover(last)
    assert checkpoint.load_state(last)["step"] == 3
    assert not former.exists()


def test_every_generator_continues_where_it_was(last):
    checkpoint.seed_everything(4)
    checkpoint.save_state(last, {"random": checkpoint.random_states()}, {})

    def numbers():
        return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002

    first = numbers()
    assert numbers() != first
    checkpoint.restore_random_states(checkpoint.load_state(last)["random"])
    assert numbers() == first


def test_the_same_seed_gives_the_same_new_weights():
    made = []
    for seed in (1, 1, 2):
        checkpoint.seed_everything(seed)
        made.append(torch.nn.Linear(3, 3).weight)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
