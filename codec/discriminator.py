"""Multi-scale complex STFT discriminator (EnCodec, Défossez et al. 2022, section 3.4 and appendix A.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm


class STFTDiscriminator(nn.Module):
    """2-D convolutions over one complex spectrogram; returns logits and the feature maps before them.

    Magnitudes are raised to the power of 0.3, the phase kept: in linear spectra what is soft, as most of
    speech above 4 kHz is, would be too small to learn from.
    """

    window: Tensor

    def __init__(self, n_fft: int, channels: int):
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        layers = [nn.Conv2d(2, channels, (3, 9), padding=(1, 4))]
        for dilation in (1, 2, 4):
            padding = (dilation, 4)
            layers.append(nn.Conv2d(channels, channels, (3, 9), (1, 2), padding, (dilation, 1)))
        layers.append(nn.Conv2d(channels, channels, (3, 3), padding=(1, 1)))
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.output = weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1)))

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[B, T] -> logits [B, 1, frames, bins'] and feature maps."""
        frames = wav.unfold(1, self.n_fft, self.n_fft // 4) * (self.window / self.window.sum().sqrt())
        spectra = torch.view_as_real(torch.fft.rfft(frames)).movedim(-1, 1)
        compressed = spectra * (spectra.square().sum(1, keepdim=True) + 1e-5) ** -0.35
        x = compressed.contiguous(memory_format=torch.channels_last)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.output(x), features


class MultiScaleDiscriminator(nn.Module):
    """One `STFTDiscriminator` per window length."""

    def __init__(self, windows: tuple[int, ...] = (1024, 512, 256), channels: int = 16):
        super().__init__()
        self.scales = nn.ModuleList(STFTDiscriminator(n, channels) for n in windows)

    def forward(self, wav: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """Every scale's logits and features for [B, T]."""
        return [scale(wav) for scale in self.scales]


def discriminator_loss(real: list, fake: list) -> Tensor:
    """Hinge loss, mean over scales: real above 1, fake below -1."""
    terms = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for (r, _), (f, _) in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def generator_losses(real: list, fake: list) -> tuple[Tensor, Tensor]:
    """Hinge loss of the generator and feature matching (L1 relative to the real features), mean over
    scales."""
    adversarial = torch.stack([F.relu(1 - f).mean() for f, _ in fake]).mean()
    matching = []
    for (_, features_r), (_, features_f) in zip(real, fake, strict=True):
        for r, f in zip(features_r, features_f, strict=True):
            matching.append((r.detach() - f).abs().mean() / r.detach().abs().mean().clamp_min(1e-6))
    return adversarial, torch.stack(matching).mean()
