"""Peak memory of encoding and decoding: an hour must take no more than a minute.

    python benchmarks/memory.py                  # 1 and 60 minutes, mono 16 kHz and stereo 44.1 kHz
    python benchmarks/memory.py --minutes 5      # a quick look

Every file is coded by a process of its own, whose largest resident set the system reports. Exits with 1 where
the long file takes more than 1.2 times as much as the short one, or more than 1 GB.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mynah.data.audio import AudioWriter, resample
from mynah.data.sample import speech_like

MOST_RATIO, MOST_BYTES = 1.2, 1e9


def write_speech(path: Path, minutes: float, sample_rate: int, channels: int) -> None:
    """The sound made in code over and over, each time at another level."""
    sound = speech_like()
    wav = np.repeat(resample(sound.wav, sound.sample_rate, sample_rate), channels, axis=0)
    left = round(minutes * 60 * sample_rate)
    rng = np.random.default_rng(0)
    with AudioWriter(path, sample_rate, channels, force=True) as writer:
        while left > 0:
            levels = rng.uniform(0.3, 1, (channels, 1)).astype(np.float32)
            writer.write(levels * wav[:, :left])
            left -= wav.shape[1]


def measure(*arguments: object) -> tuple[float, float]:
    """Peak bytes and seconds of a run of the command."""
    started = time.monotonic()
    child = os.spawnv(
        os.P_NOWAIT,
        sys.executable,
        [sys.executable, "-c", "from mynah.apps.cli import main; main()", *map(str, arguments)],
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"mynah {' '.join(map(str, arguments))} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit, time.monotonic() - started


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60, help="of the long file")
    parser.add_argument("--codec", default="mynah-16k", help="name or folder")
    parser.add_argument("--bitrate", default="6")
    options = parser.parse_args()
    too_much = False
    print("sound             verb     1 min    long   ratio   long, seconds")
    with tempfile.TemporaryDirectory() as folder:
        for sample_rate, channels in ((16_000, 1), (44_100, 2)):
            peaks: dict[str, list[float]] = {"encode": [], "decode": []}
            for minutes in (1, options.minutes):
                source = Path(folder, "a.wav")
                write_speech(source, minutes, sample_rate, channels)
                coded, back = Path(folder, "a.mynah"), Path(folder, "b.wav")
                common = ["--codec", options.codec, "--force"]
                seconds = {}
                for verb, arguments in (
                    ("encode", [source, coded, "--bitrate", options.bitrate]),
                    ("decode", [coded, back]),
                ):
                    peak, seconds[verb] = measure(verb, *arguments, *common)
                    peaks[verb].append(peak)
            for verb, (short, long) in peaks.items():
                ratio = long / short
                too_much |= ratio > MOST_RATIO or long > MOST_BYTES
                print(
                    f"{channels} x {sample_rate:6} Hz   {verb}  {short / 1e6:6.0f}M {long / 1e6:6.0f}M"
                    f"   {ratio:5.2f}   {seconds[verb]:.0f}"
                )
    sys.exit(1 if too_much else 0)


if __name__ == "__main__":
    main()
