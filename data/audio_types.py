"""What a sound is: the numbers that describe a file, a sound in memory, the checks every sound passes."""

import os
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import AudioError

MIN_SAMPLE_RATE = 1_000
MAX_SAMPLE_RATE = 1_000_000
MAX_CHANNELS = 1_024

Samples = NDArray[np.float32]


class AudioInfo(NamedTuple):
    """What the header of a sound says.

    Attributes:
        sample_rate: Hz.
        channels: 1 for mono.
        length: samples per channel, or None where the container does not state it (pipes, most video files).
            Exact for lossless files; for lossy ones it is what the header promises, and a damaged file may
            deliver less.
        format: the container, such as "WAV", "FLAC" or "matroska,webm".
        subtype: how the samples are stored, such as "PCM_16", "VORBIS" or "aac".
    """

    sample_rate: int
    channels: int
    length: int | None
    format: str
    subtype: str

    @property
    def seconds(self) -> float | None:
        """The duration in seconds, None where the length is not known."""
        return None if self.length is None else self.length / self.sample_rate


class Audio(NamedTuple):
    """A sound in memory: `wav` [C, T] float32, nominally in [-1, 1], and its `sample_rate` in Hz."""

    wav: Samples
    sample_rate: int


class Source(Protocol):
    """One way of decoding a file: what `AudioReader` asks of soundfile, PyAV and the WAV pipe."""

    info: AudioInfo

    def read(self, frames: int) -> Samples:
        """Return the next [T, C] samples: T equals `frames`, or less only at the end."""

    def close(self) -> None:
        """Release the file."""


def native_path(path: str | os.PathLike[str]) -> str | bytes:
    """Return the path as `soundfile` is to get it, which by itself refuses names that are not UTF-8."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def check_rate(sample_rate: int, name: str) -> int:
    """Return `sample_rate`, or raise `AudioError` where it is not a rate that sound is kept at."""
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise AudioError(
            f"{name}: a sample rate of {sample_rate} Hz is outside {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        )
    return sample_rate


def check_channels(channels: int, name: str) -> int:
    """Return `channels`, or raise `AudioError` outside 1 to 1024."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"{name}: {channels} channels, allowed are 1 to {MAX_CHANNELS}")
    return channels


def check_finite(wav: Samples, name: str, offset: int = 0) -> None:
    """Raise `AudioError` naming the first sample of `wav` [C, T] that is NaN or infinite.

    Args:
        wav: [C, T] samples.
        name: what to call the sound in the message.
        offset: samples per channel that came before this block.
    """
    finite = np.isfinite(wav)
    if finite.all():
        return
    time = int(np.argmin(finite.all(axis=0)))
    channel = int(np.argmin(finite[:, time]))
    value = float(wav[channel, time])
    raise AudioError(f"{name}: sample {offset + time} of channel {channel} is {value}, not a finite number")


def as_wav(wav: NDArray[np.floating], name: str = "wav") -> Samples:
    """Return `wav` ([T] or [C, T], floating point) as [C, T] float32.

    Raises:
        AudioError: the array has another shape, or integers (which scale they would have is not known).
    """
    wav = np.asarray(wav)
    if not np.issubdtype(wav.dtype, np.floating):
        raise AudioError(f"{name}: samples are {wav.dtype}, expected floating point in [-1, 1]")
    if wav.ndim == 1:
        wav = wav[None]
    if wav.ndim != 2:
        raise AudioError(f"{name}: shape {list(wav.shape)}, expected [T] or [C, T]")
    return wav.astype(np.float32, copy=False)
