"""Weights, gradients and optimizer state spread over processes (``config.fsdp``), by torch's ``fully_shard``.

Every layer of an encoder is a unit, and so is the rest of the encoder. A unit is gathered at the first encoding of a
global batch; when the last backward of the batch has passed it, its gradient is reduced and its weights are given back.
So each process gathers and reduces once per batch and unit, and no collective depends on how a process cuts its share;
what is in flight is a layer. What is written to disk is whole and may be read without sharding: the first process
takes it to its CPU, tensor by tensor.
"""

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from splade.records import SIDES
from splade.training.distributed.processes import mesh_of_all, world


class Sharded:
    """The units of ``model`` that are spread over the processes of the group; none where there is one process.

    The model has to be on its device, with the same weights on every rank. A copy of it as it was serves for what the
    first rank does alone.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        rank, size = world()
        self.model, self.factor = model, size
        self.alone = copy.deepcopy(model).cpu() if rank == 0 and size > 1 else model
        self.units = list(_units(model)) if size > 1 else []
        self.apart = len({sides for sides, _ in self.units}) > 1  # each side has an encoder of its own
        if self.units:
            mesh = mesh_of_all(device.type)
            for _, unit in self.units:
                fully_shard, register = _fully_shard()
                for part in (*layers(unit), unit):
                    fully_shard(part, mesh=mesh, reshard_after_forward=False)
                if hasattr(unit, "in_one_call"):
                    unit.in_one_call = True
                if hasattr(unit, "logits_at"):
                    register(unit, "logits_at")

    def keep_for(self, later: Collection[str]) -> None:
        """Before a backward: units that encode one of the sides ``later`` will be met again in this global batch.

        Other units then sum their gradients over the processes and give their weights back.
        """
        for sides, unit in self.units:
            last = sides.isdisjoint(later)
            unit.set_requires_gradient_sync(last)
            unit.set_reshard_after_backward(last)

    def whole_model(self) -> nn.Module:
        """Called by all ranks; on the first, a model on the CPU, of the present weights, that needs no other rank."""
        if not self.units:
            return self.model
        held = self.alone.state_dict() if world()[0] == 0 else {}
        for name, value in self.model.state_dict().items():
            weight = whole(value)
            if held:
                held[name].copy_(weight)
        return self.alone


def whole(state: Any) -> Any:
    """``state`` with every tensor that is spread gathered on the first rank's CPU, one at a time; called by all ranks.

    On other ranks such a tensor is None.
    """
    if isinstance(state, Mapping):
        return {key: whole(value) for key, value in state.items()}
    if not _is_spread(state):
        return state
    gathered = state.full_tensor()
    return gathered.cpu() if world()[0] == 0 else None


def spread(weights: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors spread as those of the same names in ``like`` are; called by all ranks."""
    return {name: _spread(value, like[name]) for name, value in weights.items()}


def spread_optimizer(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A whole state of ``optimizer`` spread as its parameters are; called by all ranks."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    entries = {
        number: {
            name: _spread(value, parameters[number]) if value.shape == parameters[number].shape else value
            for name, value in entry.items()
        }
        for number, entry in state["state"].items()
    }
    return {**state, "state": entries}


def _spread(value: Tensor, like: Any) -> Tensor:
    if not _is_spread(like):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)


def _is_spread(value: Any) -> bool:
    return hasattr(value, "full_tensor")


def _units(model: nn.Module) -> Iterator[tuple[frozenset[str], Any]]:
    """The parts that are gathered whole, with the sides that they encode: encoders that learn, or all of the model."""
    encoders: Any = getattr(model, "encoders", None)
    if encoders is None:
        yield frozenset(SIDES), model
        return
    for name, part in encoders.items():
        if _learns(part):
            yield frozenset(SIDES if len(encoders) == 1 else [name]), part
    for part in model.children():
        if part is not encoders and _learns(part):
            yield frozenset(SIDES), part


def layers(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of the transformers in ``module``: what stands in its outermost lists of modules of one class."""
    for part in module.children():
        if isinstance(part, nn.ModuleList) and len({type(layer) for layer in part}) == 1:
            yield from part
        else:
            yield from layers(part)


def _learns(part: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in part.parameters())


def _fully_shard() -> tuple[Any, Any]:
    """Torch's functions that spread a module, and that tell which of its methods gather it as its forward does."""
    try:
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
    except ImportError:  # torch before 2.6
        from torch.distributed._composable.fsdp import (  # type: ignore[no-redef,attr-defined]
            fully_shard,
            register_fsdp_forward_method,
        )
    return fully_shard, register_fsdp_forward_method
