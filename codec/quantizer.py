"""Residual vector quantizer with exponential-moving-average codebooks (van den Oord et al. 2017, appendix A;
SoundStream, Zeghidour et al. 2021, section III-C)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .distributed import all_reduce_sum, gather


class Quantized(NamedTuple):
    """`latent` [B, N, D] quantized; `codes` [B, K, N]; `commitment` the mean squared residuals, a scalar."""

    latent: Tensor
    codes: Tensor
    commitment: Tensor


def smallest(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Values and indices of the `count` smallest along the last dimension, ascending; x may be spent."""
    if not x.is_cpu:
        return x.topk(count, -1, largest=False)
    rows = x.flatten(0, -2).numpy()  # numpy's argmin is ten times as fast as torch's, and topk is no faster
    every = np.arange(len(rows))
    values, indices = [], []
    for _ in range(count):
        index = rows.argmin(-1)
        values.append(rows[every, index])
        indices.append(index)
        rows[every, index] = np.inf
    shape = (*x.shape[:-1], count)
    return (
        torch.from_numpy(np.stack(values, -1)).view(shape),
        torch.from_numpy(np.stack(indices, -1)).view(shape),
    )


class ResidualQuantizer(nn.Module):
    """K codebooks, each coding what the ones before it left over.

    Args:
        n_codebooks, codebook_size, dim: K, entries per codebook, channels.
        decay: of the moving averages of counts and sums.
        dead_below: a code whose moving-average count falls below this share of uniform use is replaced by a
            random residual of the batch.
    """

    codebooks: Tensor
    counts: Tensor

    def __init__(
        self, n_codebooks: int, codebook_size: int, dim: int, decay: float = 0.99, dead_below: float = 0.02
    ):
        super().__init__()
        self.decay, self.dead_below = decay, dead_below
        self.register_buffer("codebooks", torch.zeros(n_codebooks, codebook_size, dim))
        self.register_buffer("counts", torch.ones(n_codebooks, codebook_size))

    @staticmethod
    def nearest(x: Tensor, codebook: Tensor) -> Tensor:
        """Index of the nearest entry for each row of x [M, D]; the norm of x does not matter."""
        with torch.autocast(x.device.type, enabled=False):  # bf16 would merge neighbouring entries
            return torch.addmm((codebook**2).sum(1), x, codebook.t(), alpha=-2.0).argmin(1)

    def encode(self, latent: Tensor, n_codebooks: int, paths: int = 1, stops: Sequence[int] = ()) -> Tensor:
        """[B, N, D] -> codes [B, K, N].

        Args:
            latent: the vectors to code.
            n_codebooks: K.
            paths: how many sequences of codes are kept while searching (the M-algorithm, Anderson and Mohan
                1984); with 1 each codebook takes the nearest entry, as in training.
            stops: after each of these counts of codebooks only the best path goes on: the first codes are
                then those that so few codebooks alone would be given.
        """
        dim = latent.shape[-1]
        residual = latent.reshape(-1, 1, dim)
        codes = residual.new_zeros((len(residual), 1, 0), dtype=torch.long)
        for k, codebook in enumerate(self.codebooks[:n_codebooks]):
            kept = 1 if k + 1 == n_codebooks or k + 1 in stops else paths
            distance = torch.addmm((codebook**2).sum(1), residual.reshape(-1, dim), codebook.t(), alpha=-2.0)
            distance, best = smallest(distance.view(*residual.shape[:2], -1), kept)
            distance = distance + residual.square().sum(2, keepdim=True)
            chosen = smallest(distance.flatten(1), kept)[1]
            parent = (chosen // kept).unsqueeze(2)
            index = best.flatten(1).gather(1, chosen)
            residual = residual.gather(1, parent.expand(-1, -1, dim)) - codebook[index]
            codes = torch.cat([codes.gather(1, parent.expand(-1, -1, k)), index.unsqueeze(2)], 2)
        return codes.view(*latent.shape[:2], n_codebooks).transpose(1, 2)

    def decode(self, codes: Tensor, n_codebooks: Tensor | None = None) -> Tensor:
        """[B, K, N] -> quantized latent [B, N, D], of the first `n_codebooks` [B] codes only, if given."""
        latent = self.codebooks[0][codes[:, 0]]
        for k in range(1, codes.shape[1]):
            entry = self.codebooks[k][codes[:, k]]
            if n_codebooks is not None:
                entry = entry * (n_codebooks > k).view(-1, 1, 1)
            latent = latent + entry
        return latent

    def forward(
        self, latent: Tensor, n_codebooks: Tensor, generator: torch.Generator | None = None
    ) -> Quantized:
        """Training pass with straight-through gradients; in train mode the codebooks learn from every frame.

        Args:
            latent: [B, N, D], fp32 (bf16 merges neighbouring vectors).
            n_codebooks: [B] whole numbers, how many codebooks each item is decoded from; a number above K
                gives the item back unquantized, though codebooks and commitment learn from it.
            generator: draws the replacements of dead codes.
        """
        flat = latent.detach().reshape(-1, latent.shape[-1])
        residual, total, commitment, codes = flat, torch.zeros_like(latent), latent.new_zeros(()), []
        for k in range(len(self.codebooks)):
            codebook = self.codebooks[k].clone()
            index = self.nearest(residual, codebook)
            if self.training:
                self.learn(k, residual, index, generator)
            active = (n_codebooks > k).view(-1, 1, 1)
            error = (latent - total.detach() - codebook[index].view_as(latent)) ** 2
            commitment = commitment + (error * active).mean()
            total = total + codebook[index].view_as(latent) * active
            residual = residual - codebook[index]
            codes.append(index.view(latent.shape[:2]))
        whole = (n_codebooks > len(self.codebooks)).view(-1, 1, 1)
        total = torch.where(whole, latent, total)
        return Quantized(latent + (total - latent).detach(), torch.stack(codes, 1), commitment)

    @torch.no_grad()
    def learn(self, k: int, x: Tensor, index: Tensor, generator: torch.Generator | None) -> None:
        """Move codebook k towards the means of its members; revive dead codes."""
        counts = torch.zeros_like(self.counts[k]).index_add_(0, index, torch.ones_like(x[:, 0]))
        sums = torch.zeros_like(self.codebooks[k]).index_add_(0, index, x)
        counts, sums = all_reduce_sum(counts), all_reduce_sum(sums)
        old = self.counts[k].clone()
        self.counts[k].mul_(self.decay).add_(counts, alpha=1 - self.decay)
        weight = (self.decay * old / self.counts[k].clamp_min(1e-8)).unsqueeze(1)
        step = ((1 - self.decay) / self.counts[k].clamp_min(1e-8)).unsqueeze(1)
        self.codebooks[k].mul_(weight).add_(step * sums)
        uniform = counts.sum() / len(counts)
        dead = self.counts[k] < self.dead_below * uniform
        if dead.any():
            every = gather(x)  # one process with the whole batch draws the same
            chosen = torch.randint(len(every), (int(dead.sum()),), generator=generator).to(x.device)
            self.codebooks[k][dead] = every[chosen]
            self.counts[k][dead] = uniform

    @torch.no_grad()
    def kmeans(self, latents: Tensor, generator: torch.Generator, iterations: int = 12) -> None:
        """Start every codebook with k-means on the residuals of real latents [M, D]."""
        residual = latents
        for k, codebook in enumerate(self.codebooks):
            size = len(codebook)
            if len(residual) < size:
                raise ValueError(f"{len(residual)} latents cannot start a codebook of {size} entries")
            centres = residual[torch.randperm(len(residual), generator=generator)[:size]].clone()
            for _ in range(iterations):
                index = self.nearest(residual, centres)
                counts = torch.bincount(index, minlength=size)
                sums = torch.zeros_like(centres).index_add_(0, index, residual)
                empty = counts == 0
                centres = sums / counts.clamp_min(1).unsqueeze(1)
                spare = torch.randint(len(residual), (int(empty.sum()),), generator=generator)
                centres[empty] = residual[spare]
            codebook.copy_(centres)
            index = self.nearest(residual, centres)
            self.counts[k] = torch.bincount(index, minlength=size).float()
            residual = residual - centres[index]
