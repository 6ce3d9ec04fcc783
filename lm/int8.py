"""Weights in 8 bits for speaking on a CPU.

One step of a small model reads every weight once and computes next to nothing: it is as slow as memory, and a
quarter of the bytes is several times as fast. Each row of a weight has a scale of its own; inputs and outputs
are bfloat16, row by row, so an item of a batch is still computed as if it were alone.
"""

import torch
from torch import Tensor, nn

from .network import LMNetwork

WIDTH = 32  # torch's kernel reads past the ends of rows that are no multiple of its vectors


class Int8Linear(nn.Module):
    """A linear layer without bias whose weights were rounded to 255 steps per row."""

    weight: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach()
        scale = (weight.abs().amax(1) / 127).clamp_min(1e-8).bfloat16()
        self.register_buffer("weight", (weight / scale.unsqueeze(1)).round().clamp(-127, 127).to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        y = torch._weight_int8pack_mm(x.flatten(0, -2).bfloat16(), self.weight, self.scale)
        return y.view(*x.shape[:-1], -1).to(x.dtype)


def quantize(network: LMNetwork) -> None:
    """Replace the linear layers that every step needs; the phoneme encoder runs once and stays as it is."""
    for module in (network, *network.blocks.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear) and child.in_features % WIDTH == 0:
                setattr(module, name, Int8Linear(child))
