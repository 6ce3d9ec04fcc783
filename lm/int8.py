"""Weights in 8 bits for speaking on a CPU.

One step of a small model reads every weight once and computes next to nothing: it is as slow as memory, and a
quarter of the bytes is several times as fast. Each row of a weight has a scale of its own; inputs and outputs
are bfloat16, row by row, so an item of a batch is still computed as if it were alone. What lies between the
weights costs as much again, an operation being dearer than its arithmetic: it is done in as few as it can be.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import EPSILON, Block, attend
from .network import LMNetwork

WIDTH = 32  # torch's kernel reads past the ends of rows that are no multiple of its vectors


class Int8Linear(nn.Module):
    """A linear layer without bias whose weights [outputs, inputs] were rounded to 255 steps per row; what
    comes out is bfloat16."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor):
        super().__init__()
        weight = weight.detach()
        scale = (weight.abs().amax(1) / 127).clamp_min(1e-8).bfloat16()
        self.register_buffer("weight", (weight / scale.unsqueeze(1)).round().clamp(-127, 127).to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        y = torch._weight_int8pack_mm(x.flatten(0, -2).bfloat16(), self.weight, self.scale)
        return y.view(*x.shape[:-1], -1)


class Int8Block(nn.Module):
    """A `layers.Block` in evaluation mode with its weights in 8 bits.

    A norm divides by the length of a vector, one operation where torch's take six; its gains are in the
    weights that follow.
    """

    turned: Tensor

    def __init__(self, block: Block):
        super().__init__()
        attention = block.attention
        self.shape = attention.shape
        self.qkv = _after(block.attention_norm, attention.qkv)
        self.mix = Int8Linear(attention.output.weight)
        self.gate = _after(block.norm, block.gate)
        self.output = Int8Linear(block.output.weight)
        self.register_buffer("turned", attention.gain.detach() * self.shape[2] ** 0.5)

    def forward(
        self,
        x: Tensor,
        turn: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        cache: Tensor | None = None,
        start: int = 0,
    ) -> Tensor:
        """As `Block.forward`, of float32."""
        qkv = self.qkv(_unit(x)).unflatten(2, self.shape).permute(2, 0, 3, 1, 4).float()
        qk = _unit(qkv[:2]).mul_(self.turned)
        query, key = torch.addcmul(qk * turn[0], qk.roll(self.shape[2] // 2, -1), turn[1])
        x = x + self.mix(attend(query, key, qkv[2], mask, causal, cache, start))
        gate, value = self.gate(_unit(x)).chunk(2, -1)
        return x + self.output(F.silu(gate).mul_(value))


class Int8Scores(nn.Module):
    """The product of every stream's output with the entries of its codebook."""

    def __init__(self, tables: Tensor):
        super().__init__()
        self.streams = nn.ModuleList(Int8Linear(table) for table in tables)

    def forward(self, x: Tensor) -> Tensor:
        """[B, S, K, embedding_dim] -> logits [B, S, K, entries], float32."""
        return torch.stack([score(x[:, :, k]) for k, score in enumerate(self.streams)], 2).float()


class Unit(nn.Module):
    """Vectors [..., D] to length 1, and times `gains` [D]."""

    gains: Tensor

    def __init__(self, gains: Tensor):
        super().__init__()
        self.register_buffer("gains", gains)

    def forward(self, x: Tensor) -> Tensor:
        return _unit(x).mul_(self.gains)


def _unit(x: Tensor) -> Tensor:
    """Vectors [..., D] of length 1."""
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(EPSILON)


def _gains(norm: nn.RMSNorm) -> Tensor:
    """What a norm multiplies vectors of length 1 with, [D]."""
    gains = cast(Tensor, norm.weight).detach()
    return gains * len(gains) ** 0.5


def _after(norm: nn.RMSNorm, linear: nn.Linear) -> Int8Linear:
    """A layer for vectors of length 1, in place of a norm and what follows it."""
    return Int8Linear(linear.weight * _gains(norm))


def quantize(network: LMNetwork) -> None:
    """Replace the layers that every step needs, where they are wide enough; the phoneme encoder runs once and
    stays as it is."""
    c = network.config
    lean: dict[str, nn.Module] = {
        name: Unit(_gains(getattr(network, name))) for name in ("input_norm", "norm")
    }
    if network.input.in_features % WIDTH == 0:
        lean["input"] = Int8Linear(network.input.weight)
    if c.dim % WIDTH == 0:
        lean["blocks"] = nn.ModuleList(Int8Block(cast(Block, block)) for block in network.blocks)
    if c.dim % WIDTH == 0 and c.embedding_dim % WIDTH == 0:
        lean |= {"output": Int8Linear(network.output.weight), "scores": Int8Scores(network.out_tables)}
    for name, module in lean.items():
        setattr(network, name, module)
