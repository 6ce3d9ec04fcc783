"""What `codec_pilots.py` sets against the package's own design: a decoder of transposed convolutions, a
factorised residual quantizer, a phone loss on the first codebook. They work on whole signals only."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mynah.codec.config import CodecConfig
from mynah.codec.network import CodecNetwork
from mynah.codec.quantizer import Quantized, ResidualQuantizer

WINDOW = 9  # frames that a phone is heard from


class CausalConv(nn.Module):
    """Convolution over [B, C, T] that sees no later sample, weight-normalised."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int = 1):
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(inputs, outputs, kernel, dilation=dilation))
        self.context = (kernel - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (self.context, 0)))


class ResidualUnit(nn.Module):
    """EnCodec's unit: half as many channels inside."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ELU(),
            CausalConv(channels, channels // 2, 3, dilation),
            nn.ELU(),
            CausalConv(channels // 2, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Upsampling(nn.Module):
    """`stride` times as many frames and half the channels, then residual units of growing dilation."""

    def __init__(self, channels: int, stride: int, dilations: Sequence[int]):
        super().__init__()
        self.stride = stride
        self.conv = weight_norm(nn.ConvTranspose1d(channels, channels // 2, 2 * stride, stride), dim=1)
        self.units = nn.Sequential(*(ResidualUnit(channels // 2, d) for d in dilations))

    def forward(self, x: Tensor) -> Tensor:
        return self.units(self.conv(F.elu(x))[..., : -self.stride])


class TransposedDecoder(nn.Module):
    """latent [B, n, D] -> wav [B, n * hop] by causal transposed convolutions (SoundStream, Zeghidour et al.
    2021); units, ELU and weight normalisation as in EnCodec (Défossez et al. 2022), without its LSTM.

    Like the package's decoder it is trained to give its output one hop late: both look as far ahead and have
    the same latency.

    Args:
        channels: after the first convolution; halved by each stride. The product of the strides is the hop.
    """

    def __init__(self, c: CodecConfig, channels: int = 832, strides: Sequence[int] = (8, 5, 4, 2)):
        super().__init__()
        if math.prod(strides) != c.hop_length:
            raise ValueError(f"strides {tuple(strides)} do not make a hop of {c.hop_length}")
        self.rate = nn.Embedding(len(c.bitrates), channels)
        self.input = CausalConv(c.latent_dim, channels, 7)
        self.stages = nn.Sequential(
            *(Upsampling(channels >> i, stride, (1, 3, 9)) for i, stride in enumerate(strides))
        )
        self.output = CausalConv(channels >> len(strides), 1, 7)
        nn.init.normal_(self.rate.weight, std=0.02)

    def forward(self, latent: Tensor, rate: Tensor) -> Tensor:
        """[B, n, D] and the index of each item's operating point [B] -> [B, n * hop]."""
        x = self.input(latent.transpose(1, 2)) + self.rate(rate).unsqueeze(2)
        x = F.elu(self.stages(x))
        with torch.autocast(latent.device.type, enabled=False):
            return self.output(x.float()).squeeze(1)


class FactorisedQuantizer(nn.Module):
    """Residual codebooks of few dimensions, looked up by angle (DAC, Kumar et al. 2023; ViT-VQGAN, Yu et al.
    2022): gradients alone move them, from the first step, without k-means, moving averages or revival.

    Each stage projects the residual to `code_dim` numbers, takes the entry of the nearest direction, and
    projects it back.
    """

    CODEBOOK_SHARE = 4.0  # of the codebook loss to the commitment loss: DAC's 1 to 0.25

    def __init__(self, n_codebooks: int, codebook_size: int, dim: int, code_dim: int = 8):
        super().__init__()
        self.into = nn.ModuleList(weight_norm(nn.Linear(dim, code_dim)) for _ in range(n_codebooks))
        self.back = nn.ModuleList(weight_norm(nn.Linear(code_dim, dim)) for _ in range(n_codebooks))
        self.codebooks = nn.Parameter(torch.randn(n_codebooks, codebook_size, code_dim))

    def nearest(self, k: int, x: Tensor) -> Tensor:
        """Codes of x [..., code_dim] in codebook k."""
        flat = F.normalize(x.detach().flatten(0, -2), dim=-1)
        index = ResidualQuantizer.nearest(flat, F.normalize(self.codebooks[k].detach(), dim=-1))
        return index.view(x.shape[:-1])

    def forward(
        self, latent: Tensor, n_codebooks: Tensor, generator: torch.Generator | None = None
    ) -> Quantized:
        """As `ResidualQuantizer.forward`, but a number above K means K, and `commitment` holds the codebook
        loss too."""
        residual, total, loss, codes = latent, torch.zeros_like(latent), latent.new_zeros(()), []
        for k, (into, back) in enumerate(zip(self.into, self.back)):
            x = into(residual)
            codes.append(self.nearest(k, x))
            entry = F.embedding(codes[-1], self.codebooks[k])
            active = (n_codebooks > k).view(-1, 1, 1)
            commitment, codebook = (x - entry.detach()) ** 2, (entry - x.detach()) ** 2
            loss = loss + ((commitment + self.CODEBOOK_SHARE * codebook) * active).mean()
            part = back(x + (entry - x).detach())
            total = total + part * active
            residual = residual - part
        return Quantized(total, torch.stack(codes, 1), loss)

    def encode(self, latent: Tensor, n_codebooks: int) -> Tensor:
        """[B, N, D] -> codes [B, K, N]."""
        residual, codes = latent, []
        for k in range(n_codebooks):
            codes.append(self.nearest(k, self.into[k](residual)))
            residual = residual - self.back[k](self.codebooks[k][codes[-1]])
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """[B, K, N] -> quantized latent [B, N, D]."""
        parts = [self.back[k](self.codebooks[k][codes[:, k]]) for k in range(codes.shape[1])]
        return torch.stack(parts).sum(0)


class Phones(nn.Module):
    """CTC over phones on the first codebook's output, with straight-through gradients.

    Args:
        dim, symbols: channels of the latents; phones and the blank.
        noise: standard deviation of the noise on the latents as long as there are no codebooks.
    """

    def __init__(self, dim: int, symbols: int, noise: float):
        super().__init__()
        self.noise = noise
        self.branch = nn.Sequential(
            nn.Conv1d(dim, 256, WINDOW, padding=WINDOW // 2), nn.GELU(), nn.Conv1d(256, symbols, 1)
        )

    def forward(
        self, network: CodecNetwork, wav: Tensor, frames: Tensor, labels: list[list[int]], starting: bool
    ) -> Tensor:
        """Nats per frame; wav [B, n * hop], frames [B] and phones of each item; there are codebooks unless
        `starting`."""
        with torch.autocast("cpu", torch.bfloat16):
            latent = network.encoder(wav)
        if starting:
            first = latent + self.noise * torch.randn_like(latent)
        else:
            quantizer = network.quantizer
            index = quantizer.nearest(latent.detach().flatten(0, 1), quantizer.codebooks[0])
            first = latent + (quantizer.codebooks[0][index].view_as(latent) - latent).detach()
        return ctc(self.branch(first.transpose(1, 2)), frames, labels)


def ctc(scores: Tensor, frames: Tensor, labels: list[list[int]]) -> Tensor:
    """CTC loss of scores [B, V, N] in nats per frame."""
    loss = F.ctc_loss(
        scores.permute(2, 0, 1).log_softmax(-1),
        torch.tensor([label for item in labels for label in item]),
        frames,
        torch.tensor([len(item) for item in labels]),
        reduction="sum",
        zero_infinity=True,
    )
    return loss / frames.sum()
