"""Opus and Codec2 through their command-line programs (`opusenc`, `c2enc`), for `mynah evaluate codec`."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..data import audio
from ..data.errors import MynahError
from .evaluate_coders import SAMPLE_RATE, Coded, fit_length

OPUS_BITRATES = (6, 8, 12)
CODEC2_MODES = ("3200", "1300")
CODEC2_RATE = 8_000
# By the envelopes of eight LibriSpeech readers' sounds, 12 s each: 16 to 25 ms, median 19, in both modes.
CODEC2_DELAY = CODEC2_RATE * 20 // 1000
_OGG_HEAD = 27  # bytes of an Ogg page before its table of segments
_OPUS_HEADERS = 2  # packets before the sound: OpusHead and OpusTags


class Opus:
    """`opusenc --bitrate B`, all else as it comes (variable bitrate), without comments and padding.

    What opusdec gives is late by -0.8 to 1.5 samples, according to the bitrate: nothing for the ear, PESQ or
    ESTOI, but SI-SDR, which compares samples, comes out too low.
    """

    programs = ("opusenc", "opusdec")

    def __init__(self, bitrate: int):
        self.name, self.bitrate = f"Opus {bitrate}", bitrate
        require(self.programs)

    def __call__(self, wav: NDArray[np.float32]) -> Coded:
        """Code and decode wav [T] at 16 kHz; opusdec takes the delay off."""
        with tempfile.TemporaryDirectory() as folder:
            source, coded, result = (Path(folder, name) for name in ("in.wav", "coded.opus", "out.wav"))
            soundfile.write(source, np.clip(wav, -1, 1), SAMPLE_RATE, subtype="PCM_16")
            options = ["--quiet", "--bitrate", str(self.bitrate), "--padding", "0", "--discard-comments"]
            encode_seconds = run(["opusenc", *options, str(source), str(coded)])
            decode_seconds = run(["opusdec", "--quiet", "--rate", str(SAMPLE_RATE), str(coded), str(result)])
            out, _ = soundfile.read(result, dtype="float32")
            data = coded.read_bytes()
        return Coded(fit_length(out, len(wav)), len(data), ogg_payload(data), encode_seconds, decode_seconds)


class Codec2:
    """`c2enc MODE`: 8 kHz, taken to 16 kHz for the scores; its delay of 20 ms is taken off."""

    programs = ("c2enc", "c2dec")

    def __init__(self, mode: str):
        self.name, self.mode = f"Codec2 {mode}", mode
        require(self.programs)

    def __call__(self, wav: NDArray[np.float32]) -> Coded:
        """Code and decode wav [T] at 16 kHz."""
        narrow = audio.resample(wav[None], SAMPLE_RATE, CODEC2_RATE)[0]
        # Whole frames only are coded (40 ms at the longest): silence pushes the end out.
        padded = np.pad(narrow, (0, CODEC2_DELAY + CODEC2_RATE * 40 // 1000))
        with tempfile.TemporaryDirectory() as folder:
            source, coded, result = (Path(folder, name) for name in ("in.raw", "coded.bin", "out.raw"))
            np.clip(np.round(padded * 32768), -32768, 32767).astype("<i2").tofile(source)
            encode_seconds = run(["c2enc", self.mode, str(source), str(coded)])
            decode_seconds = run(["c2dec", self.mode, str(coded), str(result)])
            size = coded.stat().st_size
            out = np.fromfile(result, "<i2").astype(np.float32)[None] / np.float32(32768)
        # What the silence at the end costs is not the codec's fault.
        size = round(size * len(narrow) / len(padded))
        wide = audio.resample(out[:, CODEC2_DELAY:], CODEC2_RATE, SAMPLE_RATE)[0]
        return Coded(fit_length(wide, len(wav)), size, size, encode_seconds, decode_seconds)


def require(programs: Sequence[str]) -> None:
    """Raise MynahError for the first program that is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            raise MynahError(f"{program} is not installed")


def run(command: list[str]) -> float:
    """Run a program and return its seconds, its start included; MynahError with the last thing it said."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise MynahError(f"{command[0]} failed ({done.returncode}): {said[-1] if said else 'without a word'}")
    return seconds


def ogg_payload(data: bytes) -> int:
    """Bytes of sound in an Ogg Opus file: its packets without pages and headers (RFC 3533, RFC 7845)."""
    position = packets = payload = 0
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            raise MynahError(f"not an Ogg page at byte {position}")
        first = position + _OGG_HEAD
        segments = data[first : first + data[first - 1]]
        for size in segments:
            payload += size if packets >= _OPUS_HEADERS else 0
            packets += size < 255  # a packet goes on as long as its segments are full
        position = first + len(segments) + sum(segments)
    return payload
