"""The arithmetic of training the codec, apart from any loop: losses, their balance, and what is reported."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .balancer import Balancer
from .config import CodecConfig
from .discriminator import discriminator_loss, generator_losses
from .intelligibility import Unintelligibility
from .losses import SpectralLosses
from .perceptual import PerceptualDisturbance


class Step(NamedTuple):
    """`loss`: call backward on it; `report`: unweighted figures for the log; `codes` [B, K, N] or None."""

    loss: Tensor
    report: dict[str, float]
    codes: Tensor | None


class Reconstruction(nn.Module):
    """The whole network, or its decoder alone, learns to reproduce speech without a discriminator.

    Args:
        weights: shares of "mel", "perceptual", "complex" and "intelligibility" in the gradient at the output.
        commitment: weight of the commitment loss beside the mel loss.
        complex_weights: factor of the complex loss by index of the operating point; none for 1.
    """

    complex_weights: Tensor

    def __init__(
        self,
        weights: dict[str, float],
        commitment: float,
        sample_rate: int,
        complex_weights: tuple[float, ...] = (),
    ):
        super().__init__()
        self.spectral = SpectralLosses(sample_rate)
        self.perceptual = PerceptualDisturbance(sample_rate=sample_rate)
        self.intelligibility = Unintelligibility(sample_rate=sample_rate)
        self.balancer = Balancer(weights)
        self.commitment = commitment
        self.register_buffer("complex_weights", torch.tensor(complex_weights), persistent=False)

    def losses(self, estimate: Tensor, target: Tensor, rate: Tensor) -> dict[str, Tensor]:
        """Scalars by name; both [B, T] and aligned, `rate` [B] as in `forward`."""
        mel, complex_ = self.spectral(estimate, target)
        if len(self.complex_weights):
            complex_ = complex_ * self.complex_weights[rate]
        perceptual = self.perceptual(estimate, target)
        return {
            "mel": mel.mean(),
            "perceptual": perceptual.mean(),
            "complex": complex_.mean(),
            "intelligibility": self.intelligibility(estimate, target).mean(),
        }

    def forward(
        self,
        network: nn.Module,
        config: CodecConfig,
        wav: Tensor,
        rate: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Step:
        """One training pass.

        Args:
            network: a `CodecNetwork`, perhaps wrapped for several processes.
            config: its configuration.
            wav: [B, n * hop].
            rate: [B] index of the operating point of each item; one beyond the last leaves it unquantized.
            noise: [B, N, D] added to the latents instead of quantizing them (the start of a training), or
                None.
            generator: see `ResidualQuantizer.forward`.
        """
        delay = config.delay
        books = [config.codebooks_at(b) for b in config.bitrates]
        books_of = torch.tensor([*books, books[-1] + 1], device=wav.device)[rate]
        output, quantized = network(wav, rate.clamp_max(len(books) - 1), books_of, noise, generator)
        output = output[:, delay:]
        detached = output.detach().requires_grad_()
        losses = self.losses(detached, wav[:, : -delay or None], rate)
        gradient = self.balancer.gradient(losses, detached)
        loss = (output * gradient).sum()
        report = {name: float(value.detach()) for name, value in losses.items()}
        if quantized is None:
            return Step(loss, report, None)
        report["commitment"] = float(quantized.commitment.detach())
        return Step(loss + self.commitment * quantized.commitment, report, quantized.codes)


class Adversarial(nn.Module):
    """Second stage: the decoder alone learns against a discriminator; the tokens stay what they are.

    The losses of both need the discriminator's judgement of the same output and original: it is made once.
    """

    def __init__(self, reconstruction: Reconstruction, discriminator: nn.Module, weights: dict[str, float]):
        super().__init__()
        self.reconstruction = reconstruction
        self.discriminator = discriminator
        self.balancer = Balancer(weights)

    def forward(
        self, network: nn.Module, config: CodecConfig, wav: Tensor, rate: Tensor
    ) -> tuple[Step, Tensor]:
        """The decoder's step, and the discriminator's loss (before it changes, call backward)."""
        books = torch.tensor([config.codebooks_at(b) for b in config.bitrates], device=wav.device)
        output, _ = network(wav, rate, books[rate])
        output, target = output[:, config.delay :], wav[:, : -config.delay or None]
        detached = output.detach().requires_grad_()
        losses = self.reconstruction.losses(detached, target, rate)
        real, fake = self.discriminator(target), self.discriminator(detached)
        losses["adversarial"], losses["features"] = generator_losses(real, fake)
        gradient = self.balancer.gradient(losses, detached)
        report = {name: float(value.detach()) for name, value in losses.items()}
        return Step((output * gradient).sum(), report, None), discriminator_loss(real, fake)
