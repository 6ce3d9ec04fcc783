"""Weights in 8 bits for speaking on a CPU.

One step of a small model reads every weight once and computes next to nothing: it is as slow as memory, and a
quarter of the bytes is several times as fast. Each row of a weight has a scale of its own; inputs and outputs
are bfloat16, row by row, so an item of a batch is still computed as if it were alone. What lies between the
weights costs as much again, an operation being dearer than its arithmetic. So there are as few as can be: a
norm's gains are in the weights that follow it, its division comes after them or cancels out, the gains of
queries and keys are in their rotation, and every product of two weights is one weight.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import EPSILON, Block
from .network import Cache, LMNetwork, visible

WIDTH = 32  # torch's kernel reads past the ends of rows that are no multiple of its vectors


class Rounded(NamedTuple):
    """A linear layer without bias: weights [outputs, inputs] rounded to 255 steps of `scale`, one per row."""

    weight: Tensor
    scale: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """[N, inputs] -> bfloat16 [N, outputs]."""
        return torch._weight_int8pack_mm(x.bfloat16(), self.weight, self.scale)


class Layer(NamedTuple):
    """The weights of a `layers.Block`."""

    qkv: Rounded
    mix: Rounded
    gate: Rounded
    output: Rounded


class Int8Network(nn.Module):
    """An `LMNetwork` for speaking: it has that one's `step`, to the rounding. It stays on the CPU, and takes
    over the conditioner, which is not copied.

    Attributes:
        config, conditioner: those of the network.
        tables: float32 [K * entries, dim], what each code puts into a step.
    """

    offsets: Tensor
    tables: Tensor
    gains: Tensor
    turned: Tensor

    def __init__(self, network: LMNetwork):
        super().__init__()
        c = self.config = network.config
        self.conditioner = network.conditioner
        blocks = [cast(Block, block) for block in network.blocks]
        self.layers = [_layer(block) for block in blocks]
        inputs = network.input.weight.detach().unflatten(1, (c.n_codebooks, -1)).permute(1, 2, 0)
        outputs = network.output.weight.detach().unflatten(0, (c.n_codebooks, -1))
        self.scores = _rounded(network.out_tables.detach().bmm(outputs).flatten(0, 1) * _gains(network.norm))
        # of queries and keys [2, layers, 1, 1, 1, head_dim], as they are and as their halves are swapped
        gains = torch.stack([block.attention.gain.detach() for block in blocks], 1) * c.head_dim**0.5
        self.register_buffer("offsets", network.offsets.flatten())
        self.register_buffer("tables", network.tables.detach().bmm(inputs).flatten(0, 1))
        self.register_buffer("gains", _gains(network.input_norm))
        self.register_buffer("turned", torch.stack([gains, gains.roll(c.head_dim // 2, -1)]))

    def step(self, tokens: Tensor, conditions: Tensor, turn: Tensor, cache: Cache, last: int = 1) -> Tensor:
        """As `LMNetwork.step`."""
        (batch, _, n), head_dim = tokens.shape, self.config.head_dim
        start, end = cache.length, cache.length + n
        cache.length = end
        keys, values = (part.unbind(0) for part in cache.whole[..., start:end, :])
        all_keys, all_values = (part.unbind(0) for part in cache.whole[..., :end, :])
        cos, sin = (part.unbind(1) for part in self.turned * turn[:, None, None])
        mask, causal = visible(start, n, tokens.device)
        x = F.embedding_bag(tokens.transpose(1, 2).flatten(0, 1) + self.offsets, self.tables, mode="sum")
        x = torch.addcmul(conditions.flatten(0, 1), x / _length(x), self.gains)  # [B n, dim]
        for i, layer in enumerate(self.layers):
            qkv = layer.qkv(x).view(batch, n, 3, -1, head_dim).permute(2, 0, 3, 1, 4)
            qk, value = qkv.split((2, 1))  # [2, B, heads, n, head_dim]
            qk = qk / _length(qk)
            query, key = torch.addcmul(qk * cos[i], qk.roll(head_dim // 2, -1), sin[i])
            keys[i].copy_(key)
            torch.div(value[0], _length(x).view(batch, 1, n, 1), out=values[i])
            heard = F.scaled_dot_product_attention(query, all_keys[i], all_values[i], mask, is_causal=causal)
            x = x + layer.mix(heard.transpose(1, 2).reshape(x.shape))
            gate, up = (layer.gate(x) / _length(x)).chunk(2, -1)
            x = x + layer.output(F.silu(gate).mul_(up))
        x = x.unflatten(0, (batch, n))[:, n - last :].flatten(0, 1)
        return (self.scores(x) / _length(x)).view(batch, last, self.config.n_codebooks, -1)


def quantize(network: LMNetwork) -> LMNetwork | Int8Network:
    """The network for `step` alone, its weights in 8 bits where they are wide enough; the phoneme encoder,
    which runs once, stays as it is."""
    return network if network.config.dim % WIDTH else Int8Network(network)


def _layer(block: Block) -> Layer:
    attention = block.attention
    return Layer(
        _rounded(attention.qkv.weight.detach() * _gains(block.attention_norm)),
        _rounded(attention.output.weight.detach()),
        _rounded(block.gate.weight.detach() * _gains(block.norm)),
        _rounded(block.output.weight.detach()),
    )


def _rounded(weight: Tensor) -> Rounded:
    scale = (weight.abs().amax(1) / 127).clamp_min(1e-8).bfloat16()
    return Rounded((weight / scale.unsqueeze(1)).round().clamp(-127, 127).to(torch.int8), scale)


def _gains(norm: nn.RMSNorm) -> Tensor:
    """What a norm multiplies vectors of length 1 with, [D]."""
    gains = cast(Tensor, norm.weight).detach()
    return gains * len(gains) ** 0.5


def _length(x: Tensor) -> Tensor:
    """Of vectors [..., D], [..., 1]."""
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).clamp_min_(EPSILON)
