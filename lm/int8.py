"""Weights in 8 bits for speaking on a CPU.

One step of a small model reads every weight once and computes next to nothing: it is as slow as memory, and a
quarter of the bytes is several times as fast. Each row of a weight has a scale of its own; inputs and outputs
are bfloat16, row by row, so an item of a batch is still computed as if it were alone. What lies between the
weights is done in as few operations as it can be.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import EPSILON, Block, attend
from .network import LMNetwork

WIDTH = 32  # torch's kernel reads past the ends of rows that are no multiple of its vectors


class Int8Linear(nn.Module):
    """A linear layer without bias whose weights [outputs, inputs] were rounded to 255 steps per row."""

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
        return y.view(*x.shape[:-1], -1).to(x.dtype)


class Int8Block(nn.Module):
    """A `layers.Block` in evaluation mode with its weights in 8 bits.

    Norms divide by the length of a vector, one operation where torch's take six; what gates runs in bfloat16,
    in which it comes and is wanted.
    """

    gains: Tensor
    turned: Tensor

    def __init__(self, block: Block):
        super().__init__()
        attention = block.attention
        self.shape = attention.shape
        self.qkv, self.mix = Int8Linear(attention.qkv.weight), Int8Linear(attention.output.weight)
        self.gate, self.output = Int8Linear(block.gate.weight), Int8Linear(block.output.weight)
        gains = torch.stack([block.attention_norm.weight, block.norm.weight]).detach()
        self.register_buffer("gains", gains * gains.shape[1] ** 0.5)
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
        """As `Block.forward`."""
        qkv = self.qkv(_unit(x) * self.gains[0]).unflatten(2, self.shape).permute(2, 0, 3, 1, 4)
        qk = _unit(qkv[:2]) * self.turned
        query, key = torch.addcmul(qk * turn[0], qk.roll(self.shape[2] // 2, -1), turn[1])
        x = x + self.mix(attend(query, key, qkv[2], mask, causal, cache, start))
        gate, value = self.gate((_unit(x) * self.gains[1]).bfloat16()).chunk(2, -1)
        return x + self.output(F.silu(gate) * value)


class Int8Scores(nn.Module):
    """The product of every stream's output with the entries of its codebook."""

    def __init__(self, tables: Tensor):
        super().__init__()
        self.streams = nn.ModuleList(Int8Linear(table) for table in tables)

    def forward(self, x: Tensor) -> Tensor:
        """[B, S, K, embedding_dim] -> logits [B, S, K, entries]."""
        return torch.stack([score(x[:, :, k]) for k, score in enumerate(self.streams)], 2)


def _unit(x: Tensor) -> Tensor:
    """Vectors [..., D] of length 1."""
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(EPSILON)


def quantize(network: LMNetwork) -> None:
    """Replace the layers that every step needs, where they are wide enough; the phoneme encoder runs once and
    stays as it is."""
    for name, child in network.named_children():
        if isinstance(child, nn.Linear) and child.in_features % WIDTH == 0:
            setattr(network, name, Int8Linear(child.weight))
    if network.config.dim % WIDTH == 0:
        network.blocks = nn.ModuleList(Int8Block(cast(Block, block)) for block in network.blocks)
    if network.config.embedding_dim % WIDTH == 0:
        network.scores = Int8Scores(network.out_tables)
