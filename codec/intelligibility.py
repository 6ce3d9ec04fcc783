"""A differentiable intelligibility loss: one less ESTOI (Jensen and Taal 2016).

Third-octave envelopes of 384 ms, each band and then each frame freed of its mean and length, are correlated.
The measure is defined at 10 kHz; here the same windows and bands are taken at the speech's own rate, and the
silent frames leave after the analysis rather than before it."""

import torch
from torch import Tensor, nn

from .losses import rfft

WINDOW, HOP = 0.0256, 0.0128  # seconds
BANDS, LOWEST = 15, 150.0  # third octaves, the first one's centre in Hz
SEGMENT = 30  # frames that are correlated
SILENT = 1e-4  # power of a silent frame beside the loudest: -40 dB


class Unintelligibility(nn.Module):
    """`forward(estimate, target)` [B, T] -> [B], from 0 at equality to 2; 0 where the target has less than
    `SEGMENT` frames of speech."""

    window: Tensor
    bands: Tensor

    def __init__(self, n_fft: int = 1024, sample_rate: int = 16000):
        super().__init__()
        size, self.hop = (2 * round(seconds * sample_rate / 2) for seconds in (WINDOW, HOP))
        self.register_buffer("window", torch.hann_window(size + 2, periodic=False)[1:-1], persistent=False)
        edges = LOWEST * 2 ** ((2 * torch.arange(BANDS + 1) - 1) / 6)
        edges = (edges * n_fft / sample_rate).round()
        bins = torch.arange(n_fft // 2 + 1).unsqueeze(1)
        bands = (bins >= edges[:-1]) & (bins < edges[1:])
        self.register_buffer("bands", bands.float(), persistent=False)
        self.n_fft = n_fft

    def envelopes(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T] -> third-octave magnitudes [B, frames, BANDS] and the power of the frames [B, frames]."""
        frames = wav.unfold(1, len(self.window), self.hop) * self.window
        padded = nn.functional.pad(frames, (0, self.n_fft - len(self.window)))
        power = rfft(padded).square().sum(-1)
        return (power @ self.bands + 1e-12).sqrt(), frames.square().sum(-1)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            targets, power = self.envelopes(target)
            speech = power > SILENT * power.amax(1, keepdim=True)
            order = (~speech).int().argsort(dim=1, stable=True).unsqueeze(2)  # silent frames last
            count = speech.sum(1, keepdim=True) - SEGMENT + 1  # segments without one
        estimates, _ = self.envelopes(estimate)
        if estimates.shape[1] < SEGMENT:
            return estimates.sum((1, 2)) * 0
        normal = []
        for envelopes in (estimates, targets):
            ordered = envelopes.gather(1, order.expand_as(envelopes))
            segments = ordered.unfold(1, SEGMENT, 1)  # [B, segments, BANDS, SEGMENT]
            for dim in (3, 2):
                segments = segments - segments.mean(dim, keepdim=True)
                segments = segments / (segments.square().sum(dim, keepdim=True) + 1e-12).sqrt()
            normal.append(segments)
        distance = 1 - (normal[0] * normal[1]).sum(2).mean(2)
        kept = torch.arange(distance.shape[1], device=count.device) < count
        return (distance * kept).sum(1) / count.squeeze(1).clamp_min(1)
