"""What `mynah evaluate codec` measures: a clip coded and decoded by one codec at one bitrate."""

import io
import math
import time
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codec import Codec
from ..codec.bitstream import BitstreamReader, BitstreamWriter, Header
from ..codec.framing import CHUNK_HEAD_SIZE, Trailer
from ..codec.peers import Tokenizer
from ..data import audio, metrics

SAMPLE_RATE = metrics.SAMPLE_RATE


class Coded(NamedTuple):
    """A clip after coding and decoding.

    Attributes:
        wav: [T] at 16 kHz, aligned with the clip and as long.
        file_bytes: of the file that holds it; None where nothing was coded.
        payload_bytes: of these without headers and indexes, which weigh on short clips only.
        encode_seconds, decode_seconds: wall time.
        kept: for every codebook, the share of codes that come out again when the decoded sound is coded.
    """

    wav: NDArray[np.float32]
    file_bytes: int | None = None
    payload_bytes: int | None = None
    encode_seconds: float | None = None
    decode_seconds: float | None = None
    kept: list[float] | None = None


class Coder(Protocol):
    """A codec at one bitrate, as a function of clips [T] at 16 kHz."""

    name: str

    def __call__(self, wav: NDArray[np.float32]) -> Coded:
        """Code and decode a clip."""


class Original:
    """The clip itself: what scores without a reference give for it."""

    name = "original"

    def __call__(self, wav: NDArray[np.float32]) -> Coded:
        return Coded(wav)


class MynahCoder:
    """A codec of this project through real `.mynah` files, entropy coder and checksums included."""

    def __init__(self, codec: Codec, bitrate: float):
        self.codec, self.bitrate = codec, bitrate
        self.name = f"{codec.config.name} {bitrate:g}"

    def __call__(self, wav: NDArray[np.float32]) -> Coded:
        """As `Coder`; the sound is decoded from the file's codes."""
        clip = torch.from_numpy(wav)[None, None]
        codec, config = self.codec, self.codec.config
        began = time.perf_counter()
        encoded = codec.encode(clip, SAMPLE_RATE, self.bitrate)
        codes = encoded.codes.cpu().numpy()
        file = io.BytesIO()
        header = Header(config.name, codec.identity, SAMPLE_RATE, 1, codes.shape[1], config.frame_rate)
        writer = BitstreamWriter(file, header, codec.tables)
        writer.write(codes)
        writer.close(encoded.length)
        encoded_at = time.perf_counter()
        file.seek(0)
        reader = BitstreamReader(file, codec.tables)
        read = torch.from_numpy(np.concatenate([piece.codes for piece in reader], axis=2))
        out = codec.decode(encoded._replace(codes=read))
        decoded_at = time.perf_counter()
        size = file.getbuffer().nbytes
        container = len(reader.header.pack()) + Trailer.size(reader.header, reader.n_chunks)
        again = codec.encode(out, SAMPLE_RATE, self.bitrate).codes
        return Coded(
            out[0, 0].cpu().numpy(),
            size,
            size - container - CHUNK_HEAD_SIZE * reader.n_chunks,
            encoded_at - began,
            decoded_at - encoded_at,
            share_kept(encoded.codes, again),
        )


class TokenizerCoder:
    """A `Tokenizer` at the bitrate it offers that is nearest to `bitrate`, its codes packed bit by bit."""

    def __init__(self, tokenizer: Tokenizer, bitrate: float):
        self.tokenizer = tokenizer
        self.bitrate = min(tokenizer.bitrates, key=lambda offered: abs(offered - bitrate))
        self.name = f"{tokenizer.name} {self.bitrate:g}"

    def __call__(self, wav: NDArray[np.float32]) -> Coded:
        """As `Coder`; resampling to and from the tokenizer's rate counts as its time."""
        tokenizer = self.tokenizer
        clip = torch.from_numpy(wav)[None, None]
        began = time.perf_counter()
        codes = tokenizer.encode(clip, SAMPLE_RATE, self.bitrate)
        encoded_at = time.perf_counter()
        decoded = tokenizer.decode(codes)[0].cpu().numpy()
        out = fit_length(audio.resample(decoded, tokenizer.sample_rate, SAMPLE_RATE)[0], len(wav))
        decoded_at = time.perf_counter()
        size = math.ceil(codes.numel() * math.log2(tokenizer.codebook_size) / 8)
        again = tokenizer.encode(torch.from_numpy(out)[None, None], SAMPLE_RATE, self.bitrate)
        times = encoded_at - began, decoded_at - encoded_at
        return Coded(out, size, size, *times, share_kept(codes, again))


def share_kept(codes: Tensor, again: Tensor) -> list[float]:
    """For every codebook, the share of equal codes in two codings [1, K, N] of as many frames."""
    return (codes == again).float().mean((0, 2)).tolist()


def fit_length(wav: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """Cut [T] to a length, or fill it up with silence."""
    return np.pad(wav[:length], (0, max(0, length - len(wav))))
