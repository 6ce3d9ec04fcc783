"""Causal building blocks on [B, N, C] (batch, frames, channels), each with an explicit streaming state.

`step(x, init_state(B))` on a whole signal equals any chunking of it."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .distributed import differentiable_mean


class ConvNeXtBlock(nn.Module):
    """ConvNeXt block (Liu et al. 2022, 1-D as in Vocos, Siuzdak 2023), causal: depthwise convolution over
    time, LayerNorm, pointwise expansion, GELU, pointwise projection, layer scale, residual."""

    def __init__(self, dim: int, kernel: int, expansion: int, layer_scale: float):
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.expand = nn.Linear(dim, expansion * dim)
        self.project = nn.Linear(expansion * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), layer_scale))
        self.context = kernel - 1

    def init_state(self, batch: int) -> Tensor:
        """Zeros [B, kernel - 1, C]: silence before the first frame."""
        return self.scale.new_zeros(batch, self.context, self.scale.numel())

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """[B, n, C] and the past frames -> output of the same shape and the new past."""
        past = torch.cat([state, x], 1)
        y = self.depthwise(past.transpose(1, 2)).transpose(1, 2)
        y = self.project(F.gelu(self.expand(self.norm(y))))
        return x + self.scale * y, past[:, past.shape[1] - self.context :]


class ConvNeXtStack(nn.Module):
    """`layers` blocks between an input projection and a final LayerNorm."""

    def __init__(self, in_dim: int, dim: int, layers: int, kernel: int, expansion: int):
        super().__init__()
        self.input = nn.Linear(in_dim, dim)
        self.input_norm = nn.LayerNorm(dim, eps=1e-6)
        blocks = [ConvNeXtBlock(dim, kernel, expansion, 1 / layers) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def init_state(self, batch: int) -> list[Tensor]:
        """One past per block."""
        return [block.init_state(batch) for block in self._blocks()]

    def step(self, x: Tensor, state: list[Tensor], bias: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """[B, n, in_dim] -> [B, n, dim]; `bias` [B, 1, dim] is added after the input projection."""
        x = self.input_norm(self.input(x))
        if bias is not None:
            x = x + bias
        new_state = []
        for block, past in zip(self._blocks(), state, strict=True):
            x, past = block.step(x, past)
            new_state.append(past)
        return self.norm(x), new_state

    def depths(self, x: Tensor) -> list[Tensor]:
        """Of a whole signal [B, n, in_dim]: the projected input, the output of each block and, last, what
        `step` returns; `layers` + 2 times [B, n, dim]."""
        found = [self.input_norm(self.input(x))]
        for block in self._blocks():
            found.append(block.step(found[-1], block.init_state(len(x)))[0])
        return [*found, self.norm(found[-1])]

    def _blocks(self) -> list[ConvNeXtBlock]:
        return cast(list[ConvNeXtBlock], list(self.blocks))


class ChannelNorm(nn.Module):
    """Unit variance and zero mean per channel of [B, N, C], by moving averages: batch normalisation without
    scale and shift, whose statistics are shared by all training processes and can be left alone."""

    mean: Tensor
    variance: Tensor

    def __init__(self, dim: int, momentum: float = 0.05):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("variance", torch.ones(dim))

    def forward(self, x: Tensor, batch_statistics: bool = False) -> Tensor:
        mean, variance = self.mean, self.variance
        if batch_statistics:
            mean = differentiable_mean(x.mean((0, 1)))
            variance = differentiable_mean(((x - mean) ** 2).mean((0, 1)))
            self.mean.lerp_(mean.detach(), self.momentum)
            self.variance.lerp_(variance.detach(), self.momentum)
        return (x - mean) * (variance + 1e-5).rsqrt()
