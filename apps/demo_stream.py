"""Sound that plays in the browser while it is made: AAC in pieces of a second, over Gradio's HLS playlist.

Gradio itself runs the program ffmpeg for that, which a laptop need not have; PyAV has the same encoder in it.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np

from ..data.audio_types import Samples

BITRATE = 64_000  # bit/s
FRAME = 1024  # samples of an AAC frame
RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)  # ADTS's
HEADER = 7  # bytes


def seconds(blocks: Iterable[Samples], sample_rate: int) -> Iterator[Samples]:
    """Blocks [1, T] as pieces [1, sample_rate], the last filled up with silence.

    Players want equal pieces of a second, and do not begin to play before the second one: two at least.
    """
    held, made = np.zeros((1, 0), np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block], axis=1)
        while held.shape[1] >= sample_rate:
            yield held[:, :sample_rate]
            held, made = held[:, sample_rate:], made + 1
    while held.shape[1] or made < 2:
        yield np.pad(held, ((0, 0), (0, sample_rate - held.shape[1])))
        held, made = held[:, :0], made + 1


class AacEncoder:
    """Mono sound to AAC-LC in ADTS frames: one encoder for a whole stream, or its pieces would click.

    Args:
        sample_rate: Hz, one of `RATES`.
    """

    def __init__(self, sample_rate: int):
        self._rate, self._length = sample_rate, 0
        self._context: Any = av.CodecContext.create("aac", "w")
        self._context.sample_rate, self._context.layout, self._context.format = sample_rate, "mono", "fltp"
        self._context.bit_rate, self._context.time_base = BITRATE, Fraction(1, sample_rate)

    def encode(self, wav: Samples) -> bytes:
        """The frames that wav [1, T] completes."""
        frame: Any = av.AudioFrame.from_ndarray(np.ascontiguousarray(wav), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._length, Fraction(1, self._rate)
        self._length += wav.shape[1]
        return self._framed(frame)

    def end(self) -> bytes:
        """The last frames."""
        return self._framed(None)

    def _framed(self, frame: Any) -> bytes:
        return b"".join(self._header(packet.size) + bytes(packet) for packet in self._context.encode(frame))

    def _header(self, size: int) -> bytes:
        """ISO/IEC 14496-3, 1.A.2: no CRC, AAC-LC, one channel, one block of data, any buffer fullness."""
        n, rate = size + HEADER, RATES.index(self._rate)
        return bytes([0xFF, 0xF1, 0x40 | rate << 2, 0x40 | n >> 11, n >> 3 & 0xFF, (n & 7) << 5 | 0x1F, 0xFC])


def duration(adts: bytes) -> float:
    """Seconds of whole ADTS frames."""
    place, n_frames = 0, 0
    while place < len(adts):
        place += (adts[place + 3] & 3) << 11 | adts[place + 4] << 3 | adts[place + 5] >> 5
        n_frames += 1
    return n_frames * FRAME / RATES[adts[2] >> 2 & 0xF] if adts else 0.0
