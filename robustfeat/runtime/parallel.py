"""Communication between processes: gathers, means and barriers. A single process sends nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes in the group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process in the group, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def join(device: str) -> str:
    """Join the group that a launcher (torchrun, accelerate launch) has started, if any; return the device of this process."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device
    state = PartialState(cpu=device == "cpu")
    return str(state.device) if device == "cuda" else device


def wait_for_all() -> None:
    """Wait until every process of the group has reached this point."""
    if world_size() > 1:
        dist.barrier()


def gather(values: Tensor) -> Tensor:
    """Return the rows of all processes, in rank order, without gradient. Every process must hold the same number of rows."""
    if world_size() == 1:
        return values.detach()
    parts = [torch.empty_like(values) for _ in range(world_size())]
    dist.all_gather(parts, values.detach().contiguous())
    return torch.cat(parts)


def gather_objects(value: T) -> list[T]:
    """Return one picklable value of each process, in rank order."""
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, value)
    return found


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes, without gradient."""
    value = value.detach().clone()
    if world_size() > 1:
        dist.all_reduce(value)
        value /= world_size()
    return value


def follow_first(tensors: Iterable[Tensor]) -> None:
    """Give every process the values of the first one, in place."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, 0)


def largest_over_processes(*values: float) -> list[float]:
    """Return the maximum of each value over all processes, so that all decide alike; the hosts do not wait for a device."""
    if world_size() == 1:
        return list(values)
    largest = torch.tensor(values, dtype=torch.float32)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX, group=_hosts(dist.group.WORLD))
    return largest.tolist()


@cache
def _hosts(world: dist.ProcessGroup) -> dist.ProcessGroup:
    """Return a group for CPU tensors, with all processes of the given one."""
    if "gloo" in dist.get_backend(world):
        return world
    group = dist.new_group(backend="gloo")
    assert isinstance(group, dist.ProcessGroup), "every process is in it"
    return group
