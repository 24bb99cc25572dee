"""The processes of one training, through torch.distributed; with one process every function is the identity.

``process_group`` joins the group that torchrun describes in the environment. Every other function is
collective: all ranks call it, in the same order.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed.nn  # before there is a group: imported later, its functions would keep it as a default
from torch import Tensor, distributed, nn

from splade.files import InputError

Value = TypeVar("Value")


PATIENCE = timedelta(hours=6)  # other ranks wait while the first one validates
_meshes: list[Any] = []  # of the present group


@contextmanager
def process_group(environment: Mapping[str, str]) -> Iterator[None]:
    """Be one of ``WORLD_SIZE`` processes, as torchrun says in ``environment``, inside the block.

    NCCL where there is CUDA, each process on the device of its ``LOCAL_RANK``; gloo elsewhere. Nothing happens
    for a process launched alone. The group's threads end with the block, unless the caller still holds a module that
    was spread in it: a thread that outlives the interpreter may abort the process after its work is done.
    """
    if int(environment.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(environment["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        for mesh in _meshes:  # torch's caches of spread tensors keep meshes for good
            getattr(mesh, "_pg_registry", {}).clear()
        _meshes.clear()
        distributed.destroy_process_group()
        gc.collect()  # modules that were spread refer to themselves in circles, and to the group


def mesh_of_all(device_type: str) -> Any:
    """All processes of the group as torch's mesh in one dimension, of use while the group's block lasts."""
    mesh = distributed.device_mesh.init_device_mesh(device_type, (world()[1],))
    _meshes.append(mesh)
    return mesh


def world() -> tuple[int, int]:
    """This process's rank and the number of processes; (0, 1) outside torch.distributed."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def own_share(n: int) -> tuple[int, int]:
    """Which of ``n`` things in a row are this process's: the first of them, and the first of the next process's."""
    rank, size = world()
    return rank * n // size, (rank + 1) * n // size


def check_enough(train_batch_size: int, what: str) -> None:
    """InputError where there are more processes than ``what`` in a global batch; otherwise shares differ by one."""
    _, size = world()
    if train_batch_size < size:
        raise InputError(
            f"config.train_batch_size={train_batch_size} counts the {what} of all processes, and there are "
            f"{size} of these: start no more than {train_batch_size}, or raise it"
        )


def gather_rows(rows: Tensor) -> Tensor:
    """The rows [N, ...] of every rank, rank by rank, as one tensor [ΣN, ...] without a graph.

    Ranks may bring different numbers of rows.
    """
    _, size = world()
    rows = rows.detach()
    if size == 1:
        return rows
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(size)]
    distributed.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    numbers = [int(count) for count in counts]
    padded = rows.new_zeros(max(numbers), *rows.shape[1:])  # collectives want one shape
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in range(size)]
    distributed.all_gather(parts, padded)
    return torch.cat([part[:number] for part, number in zip(parts, numbers, strict=True)])


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over ranks; a parameter without gradient on every rank keeps none.

    Gradients of weights that are spread over ranks are sums already, and left alone.
    """
    _, size = world()
    trained = [parameter for parameter in parameters if not hasattr(parameter, "full_tensor")]
    if size == 1 or not trained:
        return
    present = torch.tensor([float(p.grad is not None) for p in trained], device=trained[0].device)
    distributed.all_reduce(present, op=distributed.ReduceOp.MAX)
    for parameter, some in zip(trained, present.tolist(), strict=True):
        if some:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)


def summed(values: Sequence[float], device: torch.device) -> list[float]:
    """Each of ``values`` summed over ranks."""
    if world()[1] == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return [float(value) for value in total]


def same_start(module: nn.Module) -> None:
    """Give every rank the weights and buffers of rank 0."""
    if world()[1] > 1:
        for tensor in (*module.parameters(), *module.buffers()):
            distributed.broadcast(tensor.detach(), src=0)


def on_first_rank(work: Callable[[], Value]) -> Value:
    """The result of ``work`` done on rank 0 alone, given to all; an error there is raised on all.

    The result must be picklable where there are several processes.
    """
    rank, size = world()
    if size == 1:
        return work()
    outcome: list[object] = [None, None]
    if rank == 0:
        try:
            outcome[0] = work()
        except (Exception, KeyboardInterrupt) as error:
            outcome[1] = error
    distributed.broadcast_object_list(outcome, src=0)
    if isinstance(outcome[1], BaseException):
        raise outcome[1]
    return outcome[0]  # type: ignore[return-value]


def anywhere(flag: bool, device: torch.device) -> bool:
    """Whether ``flag`` is set on any rank."""
    if world()[1] == 1:
        return flag
    raised = torch.tensor(float(flag), device=device)
    distributed.all_reduce(raised, op=distributed.ReduceOp.MAX)
    return bool(raised.item())
