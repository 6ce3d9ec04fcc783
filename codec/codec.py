"""The codec as its users see it: waveforms of any rate and channels to codes and back, whole or streamed."""

import math
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data import audio
from ..data.audio_types import check_rate
from ..data.errors import AudioError
from . import checkpoint
from .bitstream import codec_identity
from .config import CodecConfig
from .entropy import EntropyTables
from .network import CodecNetwork, DecoderState, EncoderState

BLOCK_FRAMES = 500  # whole signals pass through the network ten seconds at a time: constant memory


class Encoded(NamedTuple):
    """What `encode` returns and `decode` takes.

    `codes` int64 [B * C, K, N] (channels are coded one by one); `sample_rate` Hz and `length` in samples per
    channel of the original; `channels` C.
    """

    codes: Tensor
    sample_rate: int
    length: int
    channels: int


class Depths(NamedTuple):
    """The encoder's continuous features at several depths, first to last.

    `hidden` float32 [layers, B, D, N]: the projected spectrum, the output of each block, and the normalised
    output of the last; `latent` [B, latent_dim, N]: the projection of the last of them, before the quantizer.
    """

    hidden: Tensor
    latent: Tensor


class Codec:
    """A trained codec in evaluation mode.

    Attributes:
        config: its architecture.
        network: its `CodecNetwork`.
        operating_points: numbers of codebooks K that can be decoded, lowest bitrate first.
        weights_hash: SHA-256 of its configuration and weights, hexadecimal ("" for one that was never saved).
        codes_hash: the same of encoder and quantizer alone, which decide what its codes and features mean.
        folder: where it was read from, or None.
    """

    def __init__(self, network: CodecNetwork, folder: Path | None = None):
        self.network = network.eval().requires_grad_(False)
        self.config: CodecConfig = network.config
        self.operating_points = network.operating_points
        self.folder = folder
        self.weights_hash = checkpoint.weights_hash(folder) if folder else ""
        self.codes_hash = checkpoint.codes_hash(self.config, network.state_dict()) if folder else ""

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path = "mynah-16k", device: str = "cpu") -> "Codec":
        """Load a shipped codec by name, or a folder with `config.json` and `model.safetensors`.

        Raises:
            CheckpointError: nothing there, or not a codec; the message lists the shipped names.
        """
        folder = checkpoint.resolve(name_or_folder)
        config, tensors = checkpoint.load(folder)
        network = CodecNetwork(config)
        checkpoint.fill(network, tensors, folder)
        return cls(network.to(device), folder)

    @cached_property
    def tables(self) -> EntropyTables:
        """The entropy tables shipped with the codec; every code equally likely where it has none."""
        path = self.folder / checkpoint.TABLES if self.folder else None
        if path is not None and path.exists():
            return EntropyTables.load(path)
        return EntropyTables.uniform(self.config.n_codebooks, self.config.codebook_size)

    @property
    def identity(self) -> str:
        """16 hex digits for its codes and tables, which every file of this codec carries."""
        return codec_identity(self.codes_hash, self.tables)

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return self.network.encoder.output.weight.device

    def codebooks_for(self, bitrate: float) -> int:
        """Number of codebooks K of an offered bitrate in kbit/s; ValueError lists the offered ones."""
        return self.config.codebooks_at(bitrate)

    def frames_for(self, length: int) -> int:
        """Frames N that code `length` samples at the codec's rate: one more than they fill, for the delay."""
        return math.ceil(length / self.config.hop_length) + 1

    def encode(self, wav: Tensor | np.ndarray, sample_rate: int, bitrate: float = 3.0) -> Encoded:
        """Waveform to codes.

        Args:
            wav: float [B, C, T] in [-1, 1], finite.
            sample_rate: of `wav`, 1000 to 1000000 Hz; resampled to the codec's own where it differs.
            bitrate: kbit/s per channel, one of `config.bitrates`.

        Raises:
            AudioError: wrong shape, integers, no samples, NaN or infinity; a sample rate out of range.
            ValueError: a bitrate that is not offered.
        """
        n_codebooks = self.codebooks_for(bitrate)
        wav = self.checked(wav)
        length, channels = wav.shape[-1], wav.shape[1]
        own_length = self.own_length(length, sample_rate)
        mono = resample(wav.flatten(0, 1), sample_rate, self.config.sample_rate, own_length)
        hop = self.config.hop_length
        frames = self.frames_for(mono.shape[-1])
        padded = F.pad(mono, (0, frames * hop - mono.shape[-1])).unsqueeze(1)
        state, codes = self.init_encode_state(len(mono)), []
        for block in padded.split(BLOCK_FRAMES * hop, -1):
            block_codes, state = self.encode_step(block, state, n_codebooks)
            codes.append(block_codes)
        return Encoded(torch.cat(codes, -1), sample_rate, length, channels)

    def decode(self, encoded: Encoded | Tensor) -> Tensor:
        """Codes to a waveform, float32 [B, C, T] in [-1, 1].

        An `Encoded` gives back the original's rate, length and channels exactly; bare codes [B, K, N] give
        [B, 1, (N - 1) * hop] at the codec's own rate.

        Raises:
            AudioError: codes of another shape or type, or outside the codebooks.
            ValueError: a number of codebooks that is no operating point.
        """
        codes = self.checked_codes(encoded.codes if isinstance(encoded, Encoded) else encoded)
        state, parts = self.init_decode_state(len(codes)), []
        for block in codes.split(BLOCK_FRAMES, -1):
            wav, state = self.decode_step(block, state)
            parts.append(wav)
        wav = torch.cat(parts, -1)[..., self.config.delay :]
        if not isinstance(encoded, Encoded):
            return wav.clamp(-1, 1)
        wav = wav[:, 0, : self.own_length(encoded.length, encoded.sample_rate)]
        wav = resample(wav, self.config.sample_rate, encoded.sample_rate, encoded.length)
        wav = wav.clamp(-1, 1)
        return wav.unflatten(0, (-1, encoded.channels))

    # Clones leave inference mode: what these return may enter the training of another network.
    def features(self, wav: Tensor | np.ndarray) -> Tensor:
        """Continuous latents [B, D, N] before the quantizer, of mono wav [B, 1, T] at the codec's rate."""
        with torch.inference_mode():
            latent = self.network.encoder(self._whole_frames(wav))
        return latent.transpose(1, 2).clone()

    def depths(self, wav: Tensor | np.ndarray) -> Depths:
        """What `features` gives, from every depth of the encoder: heads choose among them (SUPERB, Yang et
        al. 2021).

        Args:
            wav: float [B, 1, T] in [-1, 1] at the codec's rate; N is T / `hop_length`, rounded up.

        Raises:
            AudioError: as `encode`.
        """
        with torch.inference_mode():
            hidden, latent = self.network.encoder.depths(self._whole_frames(wav))
            stacked = torch.stack(hidden).transpose(2, 3)
        return Depths(stacked.clone(), latent.transpose(1, 2).clone())

    def _whole_frames(self, wav: Tensor | np.ndarray) -> Tensor:
        """Mono wav [B, 1, T] as [B, n * hop] on the network's device."""
        mono = self.checked(wav)[:, 0]
        return F.pad(mono, (0, -mono.shape[-1] % self.config.hop_length)).to(self.device)

    def init_encode_state(self, batch: int) -> EncoderState:
        """Before the first frame of `batch` mono streams."""
        return self.network.encoder.init_state(batch)

    def init_decode_state(self, batch: int) -> DecoderState:
        """Before the first frame of `batch` mono streams."""
        return self.network.decoder.init_state(batch)

    def encode_step(self, wav: Tensor, state: EncoderState, n_codebooks: int) -> tuple[Tensor, EncoderState]:
        """Whole frames of mono streams at the codec's rate, [B, 1, n * hop] -> codes [B, K, n], new state.

        Raises:
            AudioError: another shape.
        """
        hop = self.config.hop_length
        if wav.ndim != 3 or wav.shape[1] != 1 or not wav.shape[2] or wav.shape[2] % hop:
            raise AudioError(f"wav has shape {tuple(wav.shape)}: [batch, 1, n * {hop} samples] is expected")
        with torch.inference_mode():
            latent, state = self.network.encoder.step(wav[:, 0].to(self.device), state)
            codes = self.network.search(latent, n_codebooks)
        return codes.clone(), state

    def decode_step(self, codes: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Codes [B, K, n] -> wav [B, 1, n * hop] that lags them by `config.delay` samples, new state.

        The first `config.delay` samples of a stream are to be dropped; one more frame of silence pushes out
        the last ones.
        """
        rate = self.rate_index(codes.shape[1])
        with torch.inference_mode():
            latent = self.network.quantizer.decode(codes.to(self.device))
            rates = torch.full((len(codes),), rate, device=self.device)
            wav, state = self.network.decoder.step(latent, rates, state)
        return wav.unsqueeze(1).clone(), state

    def rate_index(self, n_codebooks: int) -> int:
        """Which operating point K codebooks are; ValueError lists the offered numbers."""
        offered = self.operating_points
        if n_codebooks not in offered:
            raise ValueError(f"{n_codebooks} codebooks are no operating point: choose one of {offered}")
        return offered.index(n_codebooks)

    def own_length(self, length: int, sample_rate: int) -> int:
        """Samples at the codec's own rate that stand for `length` samples at `sample_rate`: at least one."""
        check_rate(sample_rate, "codec")
        return max(1, audio.resampled_length(length, sample_rate, self.config.sample_rate))

    @staticmethod
    def checked(wav: Tensor | np.ndarray) -> Tensor:
        """`wav` as float32 [B, C, T]; AudioError for anything that cannot be coded."""
        wav = torch.as_tensor(wav)
        if not wav.is_floating_point():
            raise AudioError(f"wav has type {wav.dtype}: floating point in [-1, 1] is expected")
        if wav.ndim != 3:
            raise AudioError(f"wav has shape {tuple(wav.shape)}: [batch, channels, samples] is expected")
        if 0 in wav.shape:
            raise AudioError(f"wav has shape {tuple(wav.shape)}: there is nothing to code")
        wav = wav.detach().float().cpu()
        if not bool(torch.isfinite(wav).all()):
            raise AudioError("wav holds NaN or infinite samples: every sample has to be finite")
        return wav

    def checked_codes(self, codes: Tensor) -> Tensor:
        """`codes` [B, K, N] int64; AudioError for anything else. The network would read past its tables."""
        if codes.ndim != 3 or 0 in codes.shape or codes.dtype != torch.int64:
            found = f"{codes.dtype} of shape {tuple(codes.shape)}"
            raise AudioError(f"codes are {found}: int64 [batch, K, N] is expected")
        low, high = int(codes.min()), int(codes.max())
        if low < 0 or high >= self.config.codebook_size:
            raise AudioError(f"codes lie in {low}..{high}: 0..{self.config.codebook_size - 1} is expected")
        return codes


def resample(wav: Tensor, sample_rate: int, new_rate: int, length: int) -> Tensor:
    """[B, T] at another rate, `length` samples."""
    return torch.from_numpy(audio.resample(wav.cpu().numpy(), sample_rate, new_rate, length))
