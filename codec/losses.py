"""Reconstruction losses on [B, T] waveforms; each is zero at equality."""

from typing import Any

import torch
from torch import Tensor, nn


def mel_filters(n_fft: int, n_mels: int, sample_rate: int) -> Tensor:
    """Triangular filters [n_fft // 2 + 1, n_mels], equally spaced on the HTK mel scale, peaks of 1."""
    top = 2595 * torch.log10(torch.tensor(1 + sample_rate / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, float(top), n_mels + 2) / 2595) - 1)
    frequency = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1).unsqueeze(1)
    rise = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return torch.minimum(rise, fall).clamp_min(0)


class _RealFFT(torch.autograd.Function):
    """`torch.fft.rfft` as real pairs, whose gradient is one inverse real transform: torch's own goes through
    a full complex one and costs three times as much on a CPU."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor) -> Tensor:
        ctx.size = frames.shape[-1]
        return torch.view_as_real(torch.fft.rfft(frames))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        spectrum = torch.view_as_complex(gradient.contiguous()) * (0.5 * ctx.size)
        spectrum[..., 0] *= 2
        spectrum[..., -1] *= 2
        return torch.fft.irfft(spectrum, ctx.size)


def rfft(frames: Tensor) -> Tensor:
    """Real frames [..., n], n even -> spectra [..., n // 2 + 1, 2] (real and imaginary parts)."""
    return _RealFFT.apply(frames)


class SpectralLosses(nn.Module):
    """Multi-scale log-mel L1 (DAC, Kumar et al. 2023) and compressed complex STFT distance (Wilson et al.
    2018).

    `forward(estimate, target)` [B, T] returns the two, [B] each. Spectra are scaled so that a sine of
    amplitude a peaks at a / 2; logarithms are natural and floored at -80 dB.
    """

    SCALES = ((2048, 128), (1024, 80), (512, 48), (128, 12))
    COMPLEX = (1024, 512)
    KNEE = 1500.0  # Hz, above which the complex distance counts less: few bits hold no phase there
    FLOOR = 1e-4

    def __init__(self, sample_rate: int = 16000):
        super().__init__()
        for n_fft, n_mels in self.SCALES:
            self.register_buffer(f"window{n_fft}", torch.hann_window(n_fft), persistent=False)
            self.register_buffer(f"mel{n_fft}", mel_filters(n_fft, n_mels, sample_rate), persistent=False)
        for n_fft in self.COMPLEX:
            frequency = torch.arange(n_fft // 2 + 1) * sample_rate / n_fft
            gain = 1 / (1 + (frequency / self.KNEE) ** 2)
            self.register_buffer(f"gain{n_fft}", gain / gain.mean(), persistent=False)

    def analyse(self, wav: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """[B, T] -> log-mel spectra by scale, and compressed complex spectra of the `COMPLEX` scales."""
        log_mels, compressed = [], []
        for n_fft, _ in self.SCALES:
            window: Tensor = getattr(self, f"window{n_fft}")
            padded = torch.nn.functional.pad(wav, (n_fft // 2, n_fft // 2))
            spectra = rfft(padded.unfold(1, n_fft, n_fft // 4) * (window / window.sum()))
            magnitude = (spectra.square().sum(-1) + 1e-12).sqrt()
            log_mels.append((magnitude @ getattr(self, f"mel{n_fft}") + self.FLOOR).log())
            if n_fft in self.COMPLEX:
                gain: Tensor = getattr(self, f"gain{n_fft}")
                compressed.append(spectra * ((magnitude + self.FLOOR).pow(-0.7) * gain).unsqueeze(-1))
        return log_mels, compressed

    def forward(self, estimate: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            targets = self.analyse(target)
        distances = [
            torch.stack([(e - t).abs().flatten(1).mean(1) for e, t in zip(es, ts, strict=True)]).mean(0)
            for es, ts in zip(self.analyse(estimate), targets, strict=True)
        ]
        return distances[0], distances[1]
