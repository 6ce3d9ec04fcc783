"""A differentiable perceptual disturbance after ITU-T P.862 and P.862.2 (PESQ-WB).

Follows the standard's chain: level, input filter, Hann spectra, Bark bands, equalisation of the reference by
band and of the estimate by frame, Zwicker loudness, dead zone, symmetric and asymmetric disturbance, L6 over
320 ms and L2 over time. PMSQE (Martín-Doñas et al. 2018) is a simpler one of the kind. Bands and hearing
threshold come from closed formulas and there is no time alignment, so the figure follows PESQ without
equalling it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .losses import rfft

LEVEL_DB = 83.4  # P.862's mean speech level in the units of its Bark spectrum
FILTER = ((2.740826, -5.4816519, 2.740826), (1.0, -1.9444777, 0.94597794))  # P.862.2's input filter at 16 kHz


class PerceptualDisturbance(nn.Module):
    """`forward(estimate, target)` [B, T] at 16 kHz -> [B], in units of the raw PESQ score; 0 at equality."""

    window: Tensor
    bands: Tensor
    width: Tensor
    threshold: Tensor
    exponent: Tensor
    level_band: Tensor
    smoothing: Tensor

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
        delay = torch.exp(-2j * torch.pi * frequency.double() / 16000)
        up, down = (c[0] + c[1] * delay + c[2] * delay**2 for c in FILTER)
        gain = (up / down).abs().square().float()
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("bands", bands * gain.unsqueeze(1), persistent=False)
        self.register_buffer("width", bands.sum(0) * slope, persistent=False)
        self.register_buffer("threshold", 10 ** (threshold_db / 10), persistent=False)
        low = (6 / (centre + 2)).clamp(1, 2) ** 0.15  # loudness grows faster below 4 Bark
        self.register_buffer("exponent", 0.23 * low, persistent=False)
        in_band = ((frequency > 350) & (frequency < 3250)).float()
        self.register_buffer("level_band", in_band, persistent=False)
        self.register_buffer("smoothing", torch.tensor([[[0.0064, 0.032, 0.16, 0.8]]]), persistent=False)

    def power(self, wav: Tensor) -> Tensor:
        """[B, T] -> power spectra [B, frames, n_fft // 2], without the DC bin."""
        frames = wav.unfold(1, self.n_fft, self.n_fft // 2) * self.window
        return rfft(frames)[..., 1:, :].square().sum(-1)

    def bark(self, wav: Tensor) -> Tensor:
        """[B, T] -> Bark power [B, frames, bands] at the standard's level, whatever the gain of the input."""
        power = self.power(wav)
        level = (power * self.level_band).sum(-1).mean(1).clamp_min(1e-3)
        return (power * (10 ** (LEVEL_DB / 10) / level).view(-1, 1, 1)) @ self.bands

    def audible(self, bark: Tensor, factor: float) -> Tensor:
        """Sum over the bands that exceed `factor` times the hearing threshold, [B, frames]."""
        return (bark * (bark > factor * self.threshold)).sum(-1)

    def equalise(self, bark_e: Tensor, bark_t: Tensor) -> tuple[Tensor, Tensor]:
        """What a listener forgives: the reference takes on the estimate's long-term spectrum, the estimate
        the reference's level by frame."""
        speaking = (self.audible(bark_t, 100) > 1e7).unsqueeze(-1)
        mean_e, mean_t = (
            (x * (x > 100 * self.threshold) * speaking).mean(1, keepdim=True) for x in (bark_e, bark_t)
        )
        bark_t = bark_t * ((mean_e + 1000) / (mean_t + 1000)).clamp(0.01, 100)
        gain = (self.audible(bark_t, 1) + 5e3) / (self.audible(bark_e, 1) + 5e3)
        padded = F.pad(gain.unsqueeze(1), (3, 0), mode="replicate")
        gain = F.conv1d(padded, self.smoothing / self.smoothing.sum()).squeeze(1)
        return bark_e * gain.clamp(3e-4, 5).unsqueeze(-1), bark_t

    def loudness(self, bark: Tensor) -> Tensor:
        """Zwicker's law: Bark power [B, frames, bands] -> sone per Bark."""
        scaled = (0.5 + 0.5 * bark / self.threshold).pow(self.exponent) - 1
        return (0.1866 * (2 * self.threshold).pow(self.exponent) * scaled).clamp_min(0)

    def norm(self, x: Tensor, p: int) -> Tensor:
        """P.862's pseudo-Lp over bands."""
        total = self.width.sum()
        return ((x * self.width).pow(p).sum(-1) / total + 1e-8).pow(1 / p) * total

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            bark_t = self.bark(target)
            weight = ((self.audible(bark_t, 1) + 1e5) / 1e7).pow(0.04)
        bark_e, bark_t = self.equalise(self.bark(estimate), bark_t)
        loud_e, loud_t = self.loudness(bark_e), self.loudness(bark_t)
        symmetric = F.relu((loud_e - loud_t).abs() - 0.25 * torch.minimum(loud_e, loud_t))
        asymmetry = ((bark_e + 50) / (bark_t + 50)).pow(1.2)
        asymmetry = torch.where(asymmetry < 3, torch.zeros_like(asymmetry), asymmetry.clamp_max(12))
        d = (self.norm(symmetric, 2) / weight).clamp_max(45)
        da = (self.norm(symmetric * asymmetry, 1) / weight).clamp_max(45)
        return 0.1 * self.over_time(d) + 0.0309 * self.over_time(da)

    @staticmethod
    def over_time(x: Tensor) -> Tensor:
        """[B, frames] -> [B]: L6 over 20 frames every 10, then L2."""
        size = min(20, x.shape[1])
        splits = x.unfold(1, size, max(size // 2, 1)) + 1e-6
        return splits.pow(6).mean(-1).pow(1 / 6).square().mean(1).sqrt()
