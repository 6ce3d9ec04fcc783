"""The architecture of a codec, as plain numbers stored beside its weights."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from ..data.config import StoredConfig
from ..data.errors import CheckpointError

# Far more than is of use, far less than takes all memory: the file may be anybody's.
MOST_KBPS = 10_000
MOST_WEIGHTS = 10**9
MOST = {
    "sample_rate": 192_000,
    "hop_length": 4096,
    "latent_dim": 4096,
    "n_codebooks": 32,
    "codebook_size": 1 << 15,
    "encoder_dim": 8192,
    "encoder_layers": 256,
    "decoder_dim": 8192,
    "decoder_layers": 256,
    "fine_dim": 8192,
    "fine_layers": 256,
    "kernel": 255,
    "expansion": 64,
}


@dataclass(frozen=True)
class CodecConfig(StoredConfig):
    """All sizes of one codec; `config.json` of a checkpoint holds exactly these fields.

    Attributes:
        name: the codec's name, written into every file that it makes.
        sample_rate: Hz of the waveform that the network sees.
        hop_length: samples per frame of codes.
        subframes: STFT frames per code frame, in the encoder's input and the decoder's output.
        n_fft: window of both STFTs, in samples.
        latent_dim: channels of the latent that is quantized.
        n_codebooks: residual codebooks in all.
        codebook_size: entries per codebook.
        bitrates: offered operating points in kbit/s, lowest first; each is a whole number of codebooks.
        encoder_dim, encoder_layers: width and depth of the encoder's ConvNeXt stack.
        decoder_dim, decoder_layers: the same for the decoder, at the frame rate.
        fine_dim, fine_layers: the decoder's last stack, at the subframe rate.
        kernel: taps of every depthwise convolution.
        expansion: width of the pointwise layers over the stack's width.
    """

    kind: ClassVar[str] = "codec"
    may_be_zero: ClassVar[frozenset[str]] = frozenset({"fine_layers"})
    at_most: ClassVar[Mapping[str, int]] = MappingProxyType(MOST)

    name: str = "mynah-16k"
    sample_rate: int = 16000
    hop_length: int = 320
    subframes: int = 2
    n_fft: int = 640
    latent_dim: int = 64
    n_codebooks: int = 12
    codebook_size: int = 1024
    bitrates: tuple[float, ...] = (1.5, 3.0, 6.0)
    encoder_dim: int = 256
    encoder_layers: int = 6
    decoder_dim: int = 384
    decoder_layers: int = 8
    fine_dim: int = 256
    fine_layers: int = 2
    kernel: int = 7
    expansion: int = 3

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "bitrates", tuple(float(b) for b in self.bitrates))
        except (TypeError, ValueError, OverflowError):
            raise CheckpointError(f"bitrates={self.bitrates!r:.80}: a list of numbers is expected") from None
        if not all(0 <= bitrate <= MOST_KBPS for bitrate in self.bitrates):
            raise CheckpointError(f"bitrates={self.bitrates}: kbit/s up to {MOST_KBPS} are expected")
        if not isinstance(self.name, str) or not self.name:
            raise CheckpointError(f"name={self.name!r}: a text is expected")
        self.check_whole_numbers()
        if self.hop_length % self.subframes:
            raise CheckpointError(f"hop_length={self.hop_length}: a multiple of subframes={self.subframes}")
        least, most = 2 * self.subhop, 2 * self.hop_length
        if self.n_fft % self.subhop or not least <= self.n_fft <= most:
            raise CheckpointError(f"n_fft={self.n_fft}: a multiple of {self.subhop}, {least} to {most}")
        if self.codebook_size & (self.codebook_size - 1):
            raise CheckpointError(f"codebook_size={self.codebook_size} is not a power of two")
        if not self.bitrates or list(self.bitrates) != sorted(set(self.bitrates)):
            raise CheckpointError(f"bitrates={self.bitrates} are not distinct and rising")
        per_codebook = self.frame_rate * self.bits_per_code / 1000
        for bitrate in self.bitrates:
            count = bitrate / per_codebook if per_codebook else 0.5
            if not math.isclose(count, round(count)) or count < 0.5:
                raise CheckpointError(
                    f"bitrates: {bitrate:g} is no multiple of a codebook's {per_codebook:g} kbit/s"
                )
        if self.codebooks_at(self.bitrates[-1]) != self.n_codebooks:
            raise CheckpointError(f"bitrates={self.bitrates} do not end at all {self.n_codebooks} codebooks")
        if self.n_weights > MOST_WEIGHTS:
            raise CheckpointError(f"{self.n_weights} weights in all, {MOST_WEIGHTS} at most are expected")

    @property
    def subhop(self) -> int:
        """Samples between two STFT frames."""
        return self.hop_length // self.subframes

    @property
    def n_weights(self) -> int:
        """About how many numbers the network holds: its large layers and its codebooks."""
        stacks = (
            (self.encoder_dim, self.encoder_layers),
            (self.decoder_dim, self.decoder_layers),
            (self.fine_dim, self.fine_layers),
        )
        pointwise = sum(2 * self.expansion * dim**2 * layers for dim, layers in stacks)
        between = self.subframes * self.fine_dim * self.decoder_dim
        spectra = self.n_fft * (2 * self.subframes * self.encoder_dim + self.fine_dim)
        return pointwise + between + spectra + self.n_codebooks * self.codebook_size * self.latent_dim

    @property
    def frame_rate(self) -> float:
        """Code frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def bits_per_code(self) -> int:
        """Bits of one code without entropy coding."""
        return self.codebook_size.bit_length() - 1

    @property
    def delay(self) -> int:
        """Samples by which the decoder's output lags its input; the latency is `hop_length + delay`."""
        return self.hop_length

    def codebooks_at(self, bitrate: float) -> int:
        """Codebooks used at an offered bitrate in kbit/s; ValueError names the offered ones."""
        if bitrate not in self.bitrates:
            offered = ", ".join(f"{b:g}" for b in self.bitrates)
            raise ValueError(f"bitrate {bitrate:g} kbit/s is not offered: choose one of {offered}")
        return round(bitrate * 1000 / (self.frame_rate * self.bits_per_code))
