"""What the demo takes: the same for the page and for whoever calls its endpoints, and before any work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..codec.salvage import Info, inspect
from ..data.audio import Audio, AudioReader
from ..data.errors import AudioError, BitstreamError, MynahError
from .codecs import codec_of

SECONDS = (0.1, 60.0)
MAX_CHANNELS = 2
MAX_SAMPLE_RATE = 192_000  # Hz
MAX_MEGABYTES = 25
MAX_SEED = 2**32 - 1  # torch's generator takes a seed modulo 2**32
MAX_CHARACTERS = 1000  # of a text: a minute of speech, or two if it is slow
QUIETEST = -60.0  # dB of full scale that the loudest sample has to reach


def read_recording(path: str | None) -> Audio:
    """The sound that was uploaded or recorded, whole: wav [C, T] with C at most 2.

    Args:
        path: the file, or None where there is none yet.

    Raises:
        MynahError: none, too large, too long or short, too many channels, silent, damaged, not a sound. The
            message names the file without its folder.
    """
    path = given(path, "no sound yet: upload one, record one or take the sample")
    with short_name(path), AudioReader(path) as reader:
        info = reader.info
        if info.channels > MAX_CHANNELS:
            raise AudioError(f"{path}: {info.channels} channels, the demo takes 1 or {MAX_CHANNELS}")
        if info.sample_rate > MAX_SAMPLE_RATE:
            raise AudioError(
                f"{path}: {info.sample_rate} Hz, the demo takes {MAX_SAMPLE_RATE} Hz at the most"
            )
        if info.seconds is not None:
            _check_seconds(path, info.seconds)
        wavs: list[np.ndarray] = []
        length = 0
        for wav in reader:  # the header may have promised less than there is
            length += wav.shape[1]
            if length > SECONDS[1] * info.sample_rate:
                raise AudioError(f"{path}: longer than {SECONDS[1]:g} s, which is all the demo takes")
            wavs.append(wav)
        _check_seconds(path, length / info.sample_rate)
        sound = Audio(np.concatenate(wavs, axis=1), info.sample_rate)
        loudest = 20 * np.log10(max(float(np.abs(sound.wav).max()), 1e-9))
        if loudest < QUIETEST:
            raise AudioError(
                f"{path}: silent, its loudest sample lies at {loudest:.0f} dB; {QUIETEST:.0f} dB are needed"
            )
    return sound


def inspect_file(path: str | None) -> Info:
    """What a `.mynah` file says about itself, every checksum of it looked at.

    Raises:
        MynahError: none, too large, too long, too many channels, damaged, of another codec, not a `.mynah`
            file. The message names the file without its folder.
    """
    path = given(path, "no file yet: choose a .mynah file")
    name = Path(path).name
    with open(path, "rb") as file:
        try:
            info = inspect(file)
            codec = codec_of(info.header, None)
        except BitstreamError as error:
            raise BitstreamError(f"{name}: {error}") from error
    if info.problem is not None:
        raise BitstreamError(f"{name}: {info.problem}; `mynah decode --salvage` brings back what is intact")
    if info.header.channels > MAX_CHANNELS:
        raise BitstreamError(f"{name}: {info.header.channels} channels, the demo takes 1 or {MAX_CHANNELS}")
    if not info.length:
        raise BitstreamError(f"{name}: holds no samples")
    # A hostile header may state less than the frames hold. Two of them are the delay and rounding.
    seconds = max(info.seconds, (info.n_frames - 2) / codec.config.frame_rate)
    if seconds > SECONDS[1]:
        raise BitstreamError(f"{name}: {seconds:.2f} s long, the demo takes {SECONDS[1]:g} s at the most")
    return info


def given(path: str | None, otherwise: str) -> str:
    """The path of a file that is there and not too large."""
    if not path:
        raise MynahError(otherwise)
    size = os.path.getsize(path) / 1e6
    if size > MAX_MEGABYTES:
        raise MynahError(f"{Path(path).name}: {size:.1f} MB, the demo takes {MAX_MEGABYTES} MB at the most")
    return path


def checked_text(text: str | None) -> str:
    """The text; MynahError where it is too long. Whether there is anything to say in it shows later."""
    text = text or ""
    if len(text) > MAX_CHARACTERS:
        raise MynahError(
            f"{len(text):,} characters, the demo takes {MAX_CHARACTERS:,} at the most; mynah say takes more"
        )
    return text


def checked_number(name: str, value: float | None, low: float, high: float) -> float:
    """The number; MynahError unless it is one from `low` to `high`."""
    if value is None or not low <= value <= high:
        found = name if value is None else f"{name} {value:.12g}"
        raise MynahError(f"{found}: {low:.12g} to {high:.12g} is expected")
    return value


def checked_seed(value: float | None) -> int:
    """The seed; MynahError unless it is a whole number from 0 to 2**32 - 1."""
    if checked_number("seed", value, 0, MAX_SEED) != (seed := int(value or 0)):
        raise MynahError(f"seed {value:g}: a whole number is expected")
    return seed


def _check_seconds(path: str, seconds: float) -> None:
    low, high = SECONDS
    if not low <= seconds <= high:
        raise AudioError(f"{path}: {seconds:.2f} s long, the demo takes {low:g} to {high:g} s")


@contextmanager
def short_name(path: str) -> Iterator[None]:
    """Messages give the file's name: its folder is the server's."""
    try:
        yield
    except MynahError as error:
        raise type(error)(str(error).replace(path, Path(path).name)) from None
