"""The processes of one training, through torch.distributed; with one process every function is the identity.

``process_group`` joins the group that torchrun describes in the environment. Every other function is
collective: all ranks call it, in the same order.
"""

import gc
import pickle
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed.nn  # before there is a group: imported later, its functions would keep it as a default
from torch import Tensor, distributed, nn

from splade.files import InputError
from splade.models.backbones.devices import own_device, tell_unused_gpus

Value = TypeVar("Value")

STEP_PATIENCE = timedelta(minutes=10)  # of a step's collectives, which all ranks reach at about the same time
PATIENCE = timedelta(hours=6)  # other ranks wait while one validates, saves, loads or downloads
_waiting: list[Any] = []  # the present group once more, for long waits: over gloo, with that patience
_meshes: list[Any] = []  # of the present group


@contextmanager
def process_group(environment: Mapping[str, str]) -> Iterator[None]:
    """Be one of ``WORLD_SIZE`` processes, as torchrun says in ``environment``, inside the block.

    NCCL where there is CUDA, each process on a device of its own; gloo elsewhere. For a process launched alone there
    is no group, and a warning where it leaves GPUs unused. InputError where two processes have one GPU, and where
    another process is gone.

    After the block the group's threads end, unless the caller still holds a module that was spread in it: a thread that
    outlives the interpreter may abort the process after its work is done. Where the block raises, the group stays as
    it is, because its end is a collective that the other ranks would not reach: let the process end, which they notice.
    """
    if int(environment.get("WORLD_SIZE", "1")) == 1:
        tell_unused_gpus(environment)
        yield
        return
    if distributed.is_initialized():
        yield
        return
    cuda = own_device(environment).type == "cuda"
    distributed.init_process_group("nccl" if cuda else "gloo", timeout=STEP_PATIENCE)
    _waiting.append(distributed.new_group(backend="gloo", timeout=PATIENCE))
    if cuda:
        check_own_gpus(_gathered(_own_gpu()))
    try:
        yield
    except RuntimeError as error:
        if _tells_of_a_lost_process(error):
            raise InputError(LOST) from error
        raise
    _end_group()


LOST = (
    "another process of this run ended or stopped answering, so this one cannot go on; what went wrong is in that "
    "process's message. The same command continues from the last checkpoint"
)
LOST_WORDS = (
    *("connection closed by peer", "connection reset by peer", "broken pipe", "timed out waiting"),
    "ncclremoteerror",
)


def _tells_of_a_lost_process(error: RuntimeError) -> bool:
    """True where another process made a collective operation fail.

    Torch has no type for it; gloo and NCCL have words.
    """
    words = str(error).lower()
    return any(each in words for each in LOST_WORDS)


def _end_group() -> None:
    for mesh in _meshes:  # torch's caches of spread tensors keep meshes for good
        getattr(mesh, "_pg_registry", {}).clear()
    _meshes.clear()
    _waiting.clear()
    distributed.destroy_process_group()
    gc.collect()  # modules that were spread refer to themselves in circles, and to the group


def _own_gpu() -> str:
    """Identify this process's GPU among those of all machines."""
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return f"{socket.gethostname()} {getattr(properties, 'uuid', world()[0])}"  # no uuid in torch before 2.5


def check_own_gpus(places: Sequence[str]) -> None:
    """InputError where two of ``places`` (machine and GPU of each rank) are the same."""
    if len(set(places)) < len(places):
        raise InputError(
            f"{len(places)} processes have {len(set(places))} GPUs, and each needs one of its own: start one process "
            f"per GPU (torchrun --nproc_per_node gpu -m …), or show them more (CUDA_VISIBLE_DEVICES)"
        )


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
    """Return the bounds of this process's share of ``n`` things in a row: its first, and the next process's first."""
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
    """Give every rank the weights and buffers of rank 0, once all have theirs."""
    if world()[1] > 1:
        meet()  # one rank may have downloaded for all
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
            outcome[1] = _sendable(error)
    distributed.broadcast_object_list(outcome, src=0, group=_waits())
    if isinstance(outcome[1], BaseException):
        raise outcome[1]
    return outcome[0]  # type: ignore[return-value]


def meet() -> None:
    """Wait until every rank is here, as long as it may take."""
    if world()[1] > 1:
        _gathered(None)


def _gathered(value: Value) -> list[Value]:
    """The ``value`` of every rank, rank by rank."""
    values: list[Any] = [None] * world()[1]
    distributed.all_gather_object(values, value, group=_waits())
    return values


def _waits() -> Any:
    """The group to wait in for long; None, torch's own, where somebody else made the group."""
    return _waiting[0] if _waiting else None


def _sendable(error: BaseException) -> BaseException:
    """``error``, or its words where it cannot be sent to other ranks."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # a class of anybody's: nothing is known of what it raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def anywhere(flag: bool, device: torch.device) -> bool:
    """True where ``flag`` is set on any rank."""
    if world()[1] == 1:
        return flag
    raised = torch.tensor(float(flag), device=device)
    distributed.all_reduce(raised, op=distributed.ReduceOp.MAX)
    return bool(raised.item())
