"""The language model's network: a decoder-only transformer over the K streams of a codec's codes.

One sum of embeddings enters, and K distributions leave, per step (MusicGen, Copet et al. 2023); which codes a
step holds is the affair of `patterns`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .condition import Condition, Conditioner
from .config import LMConfig
from .layers import EPSILON, Block, rotation


class Cache:
    """Keys and values of all layers for `steps` steps of `batch` items, allocated once and written in place.

    Attributes:
        whole: [2, layers, B, heads, steps, head_dim].
        length: steps written so far.
    """

    def __init__(self, config: LMConfig, batch: int, steps: int, like: Tensor):
        """For a model of `config`, of the type of `like` and where that lies."""
        c = config
        self.whole = like.new_empty(2, c.layers, batch, c.dim // c.head_dim, steps, c.head_dim)
        self.length = 0

    def recall(self, whole: Tensor) -> None:
        """Begin with the steps of another cache, of as many items."""
        self.length = whole.shape[4]
        self.whole[..., : self.length, :] = whole


class LMNetwork(nn.Module):
    """Distributions of the codes of every step, given those of earlier ones and what is to be spoken."""

    offsets: Tensor

    def __init__(self, config: LMConfig):
        super().__init__()
        c = self.config = config
        entries = c.codebook_size + 1  # and "none"
        self.tables = nn.Parameter(torch.empty(c.n_codebooks, entries, c.embedding_dim))
        self.register_buffer("offsets", entries * torch.arange(c.n_codebooks).unsqueeze(1), persistent=False)
        self.input = nn.Linear(c.n_codebooks * c.embedding_dim, c.dim, bias=False)
        self.input_norm = nn.RMSNorm(c.dim, EPSILON)
        self.conditioner = Conditioner(c)
        self.blocks = nn.ModuleList([Block(c.dim, c.head_dim, c.dropout) for _ in range(c.layers)])
        self.norm = nn.RMSNorm(c.dim, EPSILON)
        self.output = nn.Linear(c.dim, c.n_codebooks * c.embedding_dim, bias=False)
        if not c.tied_embeddings:
            self.output_tables = nn.Parameter(torch.empty_like(self.tables))
        self._initialise()

    def forward(self, tokens: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """A whole sequence, as in training.

        Args:
            tokens: int64 [B, K, S], the codes that enter each step, `config.none` for none.
            time: int64 [B, S], the frame of each step.
            condition: of the items.

        Returns:
            Logits [B, S, K, codebook_size + 1]; the last one stands for "none".
        """
        turn = rotation(time, self.config.head_dim)
        x = self._embed(tokens) + self.conditioner(time, condition)
        for block in self.blocks:
            x = block(x, turn, causal=True)
        return self._heads(x)

    def step(self, tokens: Tensor, conditions: Tensor, turn: Tensor, cache: Cache, last: int = 1) -> Tensor:
        """The next n steps of a sequence whose earlier ones are in the cache.

        Args:
            tokens: [B, K, n], as in `forward`.
            conditions: [B, n, dim], the conditioner's output for these steps.
            turn: `layers.rotation` of their frames.
            cache: is written and advanced.
            last: logits are computed for so many of the n steps, the last ones.

        Returns:
            Logits [B, last, K, codebook_size + 1].
        """
        n, start = tokens.shape[2], cache.length
        cache.length += n
        mask, causal = visible(start, n, tokens.device)
        x = self._embed(tokens) + conditions
        for block, layer in zip(self.blocks, cache.whole.unbind(1), strict=True):
            x = block(x, turn, mask, causal, layer, start)
        return self._heads(x[:, n - last :])

    def _embed(self, tokens: Tensor) -> Tensor:
        """[B, K, S] -> [B, S, dim]: the streams' embeddings, each projected, and summed."""
        x = F.embedding(tokens + self.offsets, self.tables.flatten(0, 1))
        return self.input_norm(self.input(x.transpose(1, 2).flatten(2)).float())  # residuals add up in fp32

    def _heads(self, x: Tensor) -> Tensor:
        """[B, S, dim] -> logits [B, S, K, entries]."""
        x = self.output(self.norm(x)).unflatten(2, (self.config.n_codebooks, -1))
        return torch.einsum("bske,kve->bskv", x, self.out_tables)

    @property
    def out_tables(self) -> Tensor:
        """[K, entries, embedding_dim], what the outputs are compared with."""
        return self.tables if self.config.tied_embeddings else self.output_tables

    def _initialise(self) -> None:
        """Small normal weights, smaller where residual branches add up (GPT-2, Radford et al. 2019)."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1 and not name.endswith("gain"):
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        for block in self.modules():
            if isinstance(block, Block):
                for layer in (block.attention.output, block.output):
                    nn.init.normal_(layer.weight, std=0.02 / (2 * self.config.layers) ** 0.5)


def visible(start: int, n: int, device: torch.device) -> tuple[Tensor | None, bool]:
    """Which steps of a cache the n steps from `start` on may see: a mask bool [n, start + n], or None and
    whether each sees only itself and those before it."""
    if n > 1 and start:
        return torch.ones(n, start + n, dtype=torch.bool, device=device).tril(start), False
    return None, n > 1
