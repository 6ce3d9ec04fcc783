"""A differentiable perceptual disturbance after ITU-T P.862 (PESQ).

Follows P.862's chain (level, Hann spectra, Bark bands, Zwicker loudness, dead zone, symmetric and asymmetric
disturbance, L6 over 320 ms and L2 over time), as PMSQE (Martín-Doñas et al. 2018) did for enhancement. Bands
and hearing threshold come from closed formulas, and the standard's alignment and equalisation are left out,
so the figure follows PESQ without equalling it (a test measures the rank correlation)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .losses import rfft

LEVEL_DB = 79.0  # P.862 presents speech at 79 dB SPL


class PerceptualDisturbance(nn.Module):
    """`forward(estimate, target)` [B, T] at 16 kHz -> [B], in units of the raw PESQ score: 0 is no
    difference."""

    window: Tensor
    bands: Tensor
    width: Tensor
    threshold: Tensor
    exponent: Tensor
    level_band: Tensor

    def __init__(self, n_fft: int = 512, sample_rate: int = 16000, n_bands: int = 49):
        super().__init__()
        self.n_fft = n_fft
        frequency = torch.arange(1, n_fft // 2 + 1) * sample_rate / n_fft
        bark = 7 * torch.asinh(frequency / 650)  # Schroeder's approximation
        index = (bark / bark[-1] * n_bands).ceil().long().clamp(1, n_bands) - 1
        bands = F.one_hot(index, n_bands).float()
        bands = bands[:, bands.sum(0) > 0]
        centre = (bark.unsqueeze(1) * bands).sum(0) / bands.sum(0)
        hertz = 650 * torch.sinh(centre / 7)
        khz = hertz / 1000
        threshold_db = 3.64 * khz**-0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3) ** 2)  # Terhardt 1979
        slope = sample_rate / n_fft * 7 / torch.sqrt(650**2 + hertz**2)  # Bark per bin
        high_pass = (frequency / 100) ** 4 / (1 + (frequency / 100) ** 4)  # P.862.2's input filter, roughly
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("bands", bands * high_pass.unsqueeze(1), persistent=False)
        self.register_buffer("width", bands.sum(0) * slope, persistent=False)
        self.register_buffer("threshold", 10 ** (threshold_db / 10), persistent=False)
        low = (6 / (centre + 2)).clamp(1, 2) ** 0.15  # loudness grows faster below 4 Bark
        self.register_buffer("exponent", 0.23 * low, persistent=False)
        in_band = ((frequency > 350) & (frequency < 3250)).float()
        self.register_buffer("level_band", in_band, persistent=False)

    def power(self, wav: Tensor) -> Tensor:
        """[B, T] -> power spectra [B, frames, n_fft // 2], without the DC bin."""
        frames = wav.unfold(1, self.n_fft, self.n_fft // 2) * self.window
        return rfft(frames)[..., 1:, :].square().sum(-1)

    def levelled(self, power: Tensor) -> Tensor:
        """Power spectra scaled to speech at 79 dB SPL; like P.862, this makes the disturbance blind to
        gain."""
        level = (power * self.level_band).sum(-1).mean(1).clamp_min(1e-3)
        return power * (10 ** (LEVEL_DB / 10) / level).view(-1, 1, 1)

    def loudness(self, power: Tensor) -> Tensor:
        """Zwicker's law: Bark power in SPL units [B, frames, bands] -> sone per Bark."""
        scaled = (0.5 + 0.5 * power / self.threshold).pow(self.exponent) - 1
        return (0.1866 * (self.threshold / 0.5).pow(self.exponent) * scaled).clamp_min(0)

    def norm(self, x: Tensor, p: int) -> Tensor:
        """P.862's pseudo-Lp over bands."""
        total = self.width.sum()
        return ((x * self.width).pow(p).sum(-1) / total + 1e-8).pow(1 / p) * total

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            bark_t = self.levelled(self.power(target)) @ self.bands
            loud_t = self.loudness(bark_t)
        bark_e = self.levelled(self.power(estimate)) @ self.bands
        loud_e = self.loudness(bark_e)
        difference = (loud_e - loud_t).abs()
        symmetric = F.relu(difference - 0.25 * torch.minimum(loud_e, loud_t))
        asymmetry = ((bark_e + 50) / (bark_t + 50)).pow(1.2)
        asymmetry = torch.where(asymmetry < 3, torch.zeros_like(asymmetry), asymmetry.clamp_max(12))
        weight = ((bark_t.sum(-1) + 1e5) / 1e7).pow(0.04)
        d = (self.norm(symmetric, 2) / weight).clamp_max(45)
        da = (self.norm(symmetric * asymmetry, 1) / weight).clamp_max(45)
        return 0.1 * self.over_time(d) + 0.0309 * self.over_time(da)

    @staticmethod
    def over_time(x: Tensor) -> Tensor:
        """[B, frames] -> [B]: L6 over 20 frames every 10, then L2."""
        size = min(20, x.shape[1])
        splits = x.unfold(1, size, max(size // 2, 1)) + 1e-6
        return splits.pow(6).mean(-1).pow(1 / 6).square().mean(1).sqrt()
