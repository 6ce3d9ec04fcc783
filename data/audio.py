"""Sound files in and out: any rate, any number of channels, whole or block by block.

`load` and `save` are for sounds that fit in memory; `AudioReader`, `Resampler` and `AudioWriter` do the same
for sounds of any length. NumPy only: arrays are [C, T] float32, full scale is 1.
"""

import os

import numpy as np
import soundfile
from numpy.typing import NDArray

from .audio_reader import AudioReader
from .audio_resample import Resampler, resample, resample_blocks, resampled_length
from .audio_types import Audio, AudioInfo, as_wav, native_path
from .audio_writer import COMMENTED, FORMATS, AudioWriter

__all__ = [
    "COMMENTED",
    "FORMATS",
    "Audio",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "Resampler",
    "load",
    "comment",
    "probe",
    "resample",
    "resample_blocks",
    "resampled_length",
    "save",
]


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Return what the header of a sound file says, without decoding it.

    Raises:
        AudioError: the file cannot be opened, is of no known format or holds no samples.
    """
    with AudioReader(path) as reader:
        return reader.info


def comment(path: str | os.PathLike[str]) -> str:
    """The comment in a sound file; empty where there is none, or libsndfile does not read the file."""
    try:
        with soundfile.SoundFile(native_path(path)) as file:
            return file.comment
    except soundfile.LibsndfileError:
        return ""


def load(path: str | os.PathLike[str], sample_rate: int | None = None) -> Audio:
    """Return a whole sound as `Audio(wav [C, T] float32, sample_rate)`.

    Args:
        path: a file that libsndfile or FFmpeg reads, or "-" for standard input.
        sample_rate: Hz to resample to; None keeps the file's own. The length is then `resampled_length` of
            the file's.

    Raises:
        AudioError: the file cannot be read, holds no samples, or one that is NaN or infinite.
    """
    with AudioReader(path) as reader:
        rate = reader.info.sample_rate if sample_rate is None else sample_rate
        resampler = Resampler(reader.info.sample_rate, rate, reader.info.channels)
        return Audio(np.concatenate(list(resample_blocks(reader, resampler)), axis=1), rate)


def save(
    path: str | os.PathLike[str],
    wav: NDArray[np.floating],
    sample_rate: int,
    subtype: str | None = None,
    force: bool = False,
) -> int:
    """Write a whole sound, [C, T] or [T], and return how many samples were clipped; see `AudioWriter`.

    Raises:
        AudioError: as `AudioWriter`.
    """
    wav = as_wav(wav, str(path))
    with AudioWriter(path, sample_rate, wav.shape[0], subtype, force, length=wav.shape[1]) as writer:
        writer.write(wav)
    return writer.clipped
