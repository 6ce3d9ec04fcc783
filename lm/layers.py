"""Transformer blocks on [B, S, D] (batch, steps, channels), for the decoder and for the phoneme encoder.

Pre-normalisation with RMSNorm (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), normalised
queries and keys (Henry et al. 2020), SwiGLU (Shazeer 2020). Queries and keys are normalised and turned
together: on a CPU every operation of a single step costs more than its arithmetic.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-6  # of every norm


def rotation(position: Tensor, head_dim: int, base: float = 10000.0) -> Tensor:
    """Cosines and signed sines of rotary positions, [B, S] -> [2, B, 1, S, head_dim]."""
    half = head_dim // 2
    exponent = torch.arange(half, device=position.device, dtype=torch.float32) / half
    angle = position.unsqueeze(-1) * base**-exponent
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)]).unsqueeze(2)


class Attention(nn.Module):
    """Multi-head attention, whose keys and values of earlier steps may lie in a cache."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.shape = (3, dim // head_dim, head_dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.gain = nn.Parameter(torch.ones(2, 1, 1, 1, head_dim))  # of queries and keys
        self.output = nn.Linear(dim, dim, bias=False)

    def forward(
        self,
        x: Tensor,
        turn: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        cache: Tensor | None = None,
        start: int = 0,
    ) -> Tensor:
        """See `Block.forward`."""
        qkv = self.qkv(x).unflatten(2, self.shape).permute(2, 0, 3, 1, 4)  # [3, B, heads, S, head_dim]
        qk = F.rms_norm(qkv[:2], self.shape[2:], eps=EPSILON) * self.gain
        swapped = qk.roll(self.shape[2] // 2, -1)
        query, key = torch.addcmul(qk * turn[0], swapped, turn[1]).to(qkv.dtype)
        return self.output(attend(query, key, qkv[2], mask, causal, cache, start))


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    causal: bool,
    cache: Tensor | None,
    start: int,
) -> Tensor:
    """Queries, keys and values [B, heads, S, head_dim] -> what all heads heard, [B, S, D]; the others as in
    `Block.forward`."""
    if cache is not None:
        end = start + key.shape[2]
        cache[0, :, :, start:end] = key
        cache[1, :, :, start:end] = value
        key, value = cache[:, :, :, :end]
    heard = F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)
    return heard.transpose(1, 2).flatten(2)


class Block(nn.Module):
    """Attention and a SwiGLU layer, each normalised before and added after."""

    def __init__(self, dim: int, head_dim: int, dropout: float):
        super().__init__()
        hidden = 64 * math.ceil(dim / 24)  # 8/3 of the width: as many weights as a plain layer of 4 widths
        self.attention_norm = nn.RMSNorm(dim, EPSILON)
        self.attention = Attention(dim, head_dim)
        self.norm = nn.RMSNorm(dim, EPSILON)
        self.gate = nn.Linear(dim, 2 * hidden, bias=False)
        self.output = nn.Linear(hidden, dim, bias=False)
        self.dropout = dropout

    def forward(
        self,
        x: Tensor,
        turn: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        cache: Tensor | None = None,
        start: int = 0,
    ) -> Tensor:
        """[B, S, D] -> the same shape.

        Args:
            x: the input.
            turn: `rotation` of the steps' positions.
            mask: bool, broadcast to [B, heads, S, keys]: what each step may see; None for everything.
            causal: each step sees itself and those before it; without `mask`, and from step 0 only.
            cache: [2, B, heads, steps, head_dim] of keys and values; this call's are written into it.
            start: the step of the cache at which x begins.
        """
        x = x + self._drop(self.attention(self.attention_norm(x), turn, mask, causal, cache, start))
        gate, value = self.gate(self.norm(x)).chunk(2, -1)
        return x + self._drop(self.output(F.silu(gate) * value))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout else x
