"""The block that heads are built of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .head_config import HeadConfig


class Block(nn.Module):
    """ConvNeXt block (as the codec's) that sees both sides."""

    def __init__(self, c: HeadConfig, kernel: int, layer_scale: float):
        super().__init__()
        self.depthwise = nn.Conv1d(c.dim, c.dim, kernel, padding=kernel // 2, groups=c.dim)
        self.norm = nn.LayerNorm(c.dim)
        self.expand = nn.Linear(c.dim, c.expansion * c.dim)
        self.project = nn.Linear(c.expansion * c.dim, c.dim)
        self.scale = nn.Parameter(torch.full((c.dim,), layer_scale))
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """[B, N, C] and whether a frame is `inside` its item, [B, N, 1]: what lies outside is not seen."""
        y = self.depthwise((x * inside).transpose(1, 2)).transpose(1, 2)
        y = self.project(F.gelu(self.expand(self.norm(y))))
        return x + self.dropout(self.scale * y)
