"""Sums over all training processes; no-ops in a single process."""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from torch import Tensor


def active() -> bool:
    """Whether several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def all_reduce_sum(x: Tensor) -> Tensor:
    """The sum of x over all processes, on every process."""
    if active():
        dist.all_reduce(x)
    return x


def all_reduce_mean(x: Tensor) -> Tensor:
    """The mean of x over all processes, on every process."""
    return all_reduce_sum(x) / dist.get_world_size() if active() else x


def differentiable_mean(x: Tensor) -> Tensor:
    """The mean of x over all processes; gradients flow back to each."""
    return differentiable.all_reduce(x) / dist.get_world_size() if active() else x


def broadcast(x: Tensor) -> None:
    """Overwrite x with the first process's."""
    if active():
        dist.broadcast(x, 0)


def gather(x: Tensor) -> Tensor:
    """Every process's x (of one shape), joined along the first dimension in the order of the processes."""
    if not active():
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)
