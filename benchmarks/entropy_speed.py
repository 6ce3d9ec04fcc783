"""Times the entropy coder alone, one thread: microseconds per code and milliseconds per second of audio.

    python benchmarks/entropy_speed.py [--tables mynah-tables.safetensors] [--codes codes.npy]

Without arguments the codes and tables are uniform, 12 codebooks of 1024, the dearest case: 10 bit a code.
"Stream" codes chunk after chunk, as a live encoder does; "file" hands over everything at once.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable

import numpy as np

from mynah.codec.bitstream import BitstreamReader, BitstreamWriter, Header
from mynah.codec.entropy import EntropyTables

FRAME_RATE = 50.0
REPEATS = 3


def best_time(function: Callable[[], object]) -> float:
    """Processor seconds of the fastest of a few calls: other programs do not count."""
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return min(times)


def write(codes: np.ndarray, tables: EntropyTables, step: int) -> io.BytesIO:
    """A file of codes [1, K, N], handed over `step` frames at a time."""
    file = io.BytesIO()
    writer = BitstreamWriter(file, Header("speed", "0" * 16, 16000, 1, codes.shape[1], FRAME_RATE), tables)
    for start in range(0, codes.shape[2], step):
        writer.write(codes[:, :, start : start + step])
    writer.close(320 * codes.shape[2])
    file.seek(0)
    return file


class Pipe(io.BytesIO):
    """A file that is read chunk by chunk, because it says that it cannot seek."""

    def seekable(self) -> bool:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the entropy coder.")
    parser.add_argument("--tables", help="safetensors file of entropy tables")
    parser.add_argument("--codes", help=".npy file of codes [K, N]; drawn at random if not given")
    options = parser.parse_args()
    tables = EntropyTables.load(options.tables) if options.tables else EntropyTables.uniform(12, 1024)
    if options.codes:
        source = np.load(options.codes, allow_pickle=False)
    else:
        source = np.random.default_rng(0).integers(0, tables.codebook_size, (tables.n_codebooks, 600))
    names = ("encode us/code", "decode us/code", "encode ms/s", "decode ms/s", "file kbit/s", "saved %")
    print("kbit/s  seconds  way    " + "".join(f"{name:>15}" for name in names))
    for n_codebooks in (n for n in (3, 6, 12) if n <= len(source)):
        for seconds in (12, 60, 3600):
            n_frames = int(seconds * FRAME_RATE)
            codes = np.tile(source[:n_codebooks], -(-n_frames // source.shape[1]))[None, :, :n_frames]
            nominal = n_codebooks * FRAME_RATE * np.log2(tables.codebook_size) / 1000
            for way, step in (("file", n_frames), ("stream", 50)):
                data = write(codes, tables, step).getvalue()
                encode = best_time(lambda codes=codes, step=step: write(codes, tables, step))
                kind = io.BytesIO if way == "file" else Pipe
                decode = best_time(lambda data=data, kind=kind: list(BitstreamReader(kind(data), tables)))
                real = len(data) * 8e-3 / seconds
                values = (
                    encode / codes.size * 1e6, decode / codes.size * 1e6, encode / seconds * 1e3,
                    decode / seconds * 1e3, real, 100 * (1 - real / nominal),
                )  # fmt: skip
                print(f"{nominal:6.1f} {seconds:8d}  {way:7}" + "".join(f"{value:15.3f}" for value in values))


if __name__ == "__main__":
    main()
