"""The codec's network: causal STFT encoder, residual quantizer, causal decoder with an inverse-STFT head.

After SoundStream (Zeghidour et al. 2021) with the frame-rate backbone and head of Vocos (Siuzdak 2023)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .config import CodecConfig
from .layers import ChannelNorm, ConvNeXtStack
from .quantizer import Quantized, ResidualQuantizer
from .stft import Analysis, Synthesis


class EncoderState(NamedTuple):
    """Past samples of the analysis and past frames of each block."""

    samples: Tensor
    stack: list[Tensor]


class DecoderState(NamedTuple):
    """Past frames of both stacks and the unfinished overlap-add tails."""

    coarse: list[Tensor]
    fine: list[Tensor]
    tails: tuple[Tensor, Tensor]


class Encoder(nn.Module):
    """wav [B, n * hop] -> latent [B, n, D], each channel of unit variance over the training data."""

    def __init__(self, c: CodecConfig):
        super().__init__()
        self.analysis = Analysis(c.n_fft, c.subhop, c.subframes)
        self.stack = ConvNeXtStack(self.analysis.dim, c.encoder_dim, c.encoder_layers, c.kernel, c.expansion)
        self.output = nn.Linear(c.encoder_dim, c.latent_dim)
        self.normalise = ChannelNorm(c.latent_dim)

    def init_state(self, batch: int) -> EncoderState:
        """Silence before the first sample."""
        return EncoderState(self.analysis.init_state(batch), self.stack.init_state(batch))

    def step(self, wav: Tensor, state: EncoderState) -> tuple[Tensor, EncoderState]:
        """[B, n * hop] -> [B, n, D]."""
        features, samples = self.analysis.step(wav, state.samples)
        x, stack = self.stack.step(features, state.stack)
        with torch.autocast(wav.device.type, enabled=False):
            return self.normalise(self.output(x.float())), EncoderState(samples, stack)

    def depths(self, wav: Tensor) -> tuple[list[Tensor], Tensor]:
        """Of a whole signal: what `ConvNeXtStack.depths` gives, and the latent."""
        features, _ = self.analysis.step(wav, self.analysis.init_state(len(wav)))
        hidden = self.stack.depths(features)
        with torch.autocast(wav.device.type, enabled=False):
            return hidden, self.normalise(self.output(hidden[-1].float()))

    def forward(self, wav: Tensor, batch_statistics: bool = False) -> Tensor:
        """A whole signal; with `batch_statistics`, latents are normalised by, and teach, the batch's own."""
        features, _ = self.analysis.step(wav, self.analysis.init_state(len(wav)))
        x, _ = self.stack.step(features, self.stack.init_state(len(wav)))
        with torch.autocast(wav.device.type, enabled=False):
            return self.normalise(self.output(x.float()), batch_statistics)


class Decoder(nn.Module):
    """latent [B, n, D] -> wav [B, n * hop], delayed by one hop.

    A bin of a spectrum is a positive gain, which spans the range of speech, times a real and an imaginary
    part, which turn through all phases without the jump of an angle.
    """

    def __init__(self, c: CodecConfig):
        super().__init__()
        self.subframes = c.subframes
        self.rate = nn.Embedding(len(c.bitrates), c.decoder_dim)
        self.coarse = ConvNeXtStack(c.latent_dim, c.decoder_dim, c.decoder_layers, c.kernel, c.expansion)
        self.upsample = nn.Linear(c.decoder_dim, c.subframes * c.fine_dim)
        self.fine = ConvNeXtStack(c.fine_dim, c.fine_dim, c.fine_layers, c.kernel, c.expansion)
        self.head = nn.Linear(c.fine_dim, 3 * (c.n_fft // 2 + 1))
        self.synthesis = Synthesis(c.n_fft, c.subhop)
        nn.init.normal_(self.rate.weight, std=0.02)

    def init_state(self, batch: int) -> DecoderState:
        """Silence before the first frame."""
        return DecoderState(
            self.coarse.init_state(batch), self.fine.init_state(batch), self.synthesis.init_state(batch)
        )

    def step(self, latent: Tensor, rate: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """[B, n, D] and the index of each item's operating point [B] -> [B, n * hop]."""
        x, coarse = self.coarse.step(latent, state.coarse, self.rate(rate).unsqueeze(1))
        x = self.upsample(x).unflatten(2, (self.subframes, -1)).flatten(1, 2)
        x, fine = self.fine.step(x, state.fine)
        with torch.autocast(latent.device.type, enabled=False):
            log_gain, real, imaginary = self.head(x.float()).chunk(3, -1)
            gain = log_gain.clamp_max(6.0).exp()
            wav, tails = self.synthesis.step(torch.complex(gain * real, gain * imaginary), state.tails)
        return wav, DecoderState(coarse, fine, tails)

    def forward(self, latent: Tensor, rate: Tensor) -> Tensor:
        """A whole signal."""
        return self.step(latent, rate, self.init_state(len(latent)))[0]


# Sequences of codes weighed against each other while encoding; more give little (docs/log.md).
SEARCH_PATHS = 4


class CodecNetwork(nn.Module):
    """Encoder, quantizer and decoder of one configuration."""

    def __init__(self, config: CodecConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = ResidualQuantizer(config.n_codebooks, config.codebook_size, config.latent_dim)
        self.decoder = Decoder(config)
        self.codes_frozen = False

    @property
    def operating_points(self) -> tuple[int, ...]:
        """Codebooks at each of the configuration's bitrates."""
        return tuple(self.config.codebooks_at(bitrate) for bitrate in self.config.bitrates)

    def search(self, latent: Tensor, n_codebooks: int) -> Tensor:
        """Codes [B, K, N] of latents [B, N, D], as files hold them; fewer codebooks have the same first codes
        at every operating point."""
        return self.quantizer.encode(latent, n_codebooks, SEARCH_PATHS, self.operating_points)

    def freeze_codes(self) -> None:
        """From now on only the decoder learns, from the codes of `search`."""
        self.encoder.requires_grad_(False)
        self.codes_frozen = True

    def forward(
        self,
        wav: Tensor,
        rate: Tensor,
        n_codebooks: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Quantized | None]:
        """Training pass: wav [B, n * hop] -> delayed reconstruction [B, n * hop] and what was quantized.

        With `noise` [B, n, D] the latents are disturbed instead of quantized: a channel of limited capacity,
        in which the encoder learns what to put first before there are codebooks. After `freeze_codes` there
        is nothing to say of what was quantized.
        """
        if self.codes_frozen:
            with torch.no_grad(), torch.autocast(wav.device.type, enabled=False):  # bf16 has other codes
                codes = self.search(self.encoder(wav), self.config.n_codebooks)
            return self.decoder(self.quantizer.decode(codes, n_codebooks), rate), None
        latent = self.encoder(wav, batch_statistics=noise is not None)
        if noise is not None:
            return self.decoder(latent + noise, rate), None
        quantized = self.quantizer(latent, n_codebooks, generator)
        return self.decoder(quantized.latent, rate), quantized
