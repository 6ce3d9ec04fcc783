"""Parts of a `.mynah` file as sound: a range found through the index, or what damage has left."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from math import ceil, gcd

import numpy as np

from ..codec.bitstream import BitstreamReader, Piece
from ..codec.codec import BLOCK_FRAMES, Codec
from ..codec.config import CodecConfig
from ..codec.salvage import Salvage
from ..data.audio import Resampler, resample_blocks, resampled_length
from .coding import Codes, Samples, decode_blocks

LONGEST = 1e9  # seconds, thirty years: a time that may be asked for
_FILTER = 500  # samples of the lower rate that resampling sees on either side: soxr: fewer


def context_frames(config: CodecConfig) -> int:
    """Frames before a frame that its sound depends on, by the decoder's convolutions and windows."""
    taps = config.kernel - 1
    fine = ceil(config.fine_layers * taps / config.subframes)
    return config.decoder_layers * taps + fine + ceil(config.n_fft / config.hop_length)


def range_blocks(codec: Codec, reader: BitstreamReader, start: int, stop: int) -> Iterator[Samples]:
    """Samples `start` to `stop` of the recording, at its own rate: that slice of the whole file decoded.

    Decoding begins `context_frames` earlier, and resampling at the last sample before, further away than its
    filter reaches, that lies at the same time at both rates.

    Args:
        codec: the one that made the file.
        reader: a seekable file.
        start, stop: 0 <= start < stop <= reader.length.
    """
    assert reader.length is not None
    assert reader.n_frames is not None
    own, rate, hop = codec.config.sample_rate, reader.header.sample_rate, codec.config.hop_length
    margin = _FILTER * max(1, own // rate) if own != rate else 0
    grid = own // gcd(own, rate)
    first = max(0, (start * own // rate - margin) // grid * grid)
    last = min(stop * own // rate + 1 + margin, max(1, resampled_length(reader.length, rate, own)))
    warm = max(0, first // hop - context_frames(codec.config))
    end = min(ceil(last / hop) + codec.config.delay // hop, reader.n_frames)

    pieces = (reader.read(frame, min(BLOCK_FRAMES, end - frame)) for frame in range(warm, end, BLOCK_FRAMES))
    wavs = cut(decode_blocks(codec, pieces), first - warm * hop, last - warm * hop)
    origin = first * rate // own
    resampled = resample_blocks(wavs, Resampler(own, rate, reader.header.channels))
    given = 0
    for wav in cut(resampled, start - origin, stop - origin):
        given += wav.shape[1]
        yield np.clip(wav, -1, 1)
    if given < stop - start:  # rounding at the end of the recording, as when it is decoded whole
        yield np.zeros((reader.header.channels, stop - start - given), np.float32)


def cut(wavs: Iterable[Samples], start: int, stop: int) -> Iterator[Samples]:
    """Samples `start` to `stop` of a sound that comes in blocks."""
    position = 0
    for wav in wavs:
        part = wav[:, max(0, start - position) : max(0, stop - position)]
        position += wav.shape[1]
        if part.shape[1]:
            yield part
        if position >= stop:
            return


def salvaged_blocks(codec: Codec, found: Salvage) -> Iterator[Samples]:
    """The sound at the codec's own rate, with silence where frames are lost.

    The frame before a gap is silent too: its sound ends in the frame that is lost.
    """
    hop, channels = codec.config.hop_length, found.header.channels
    n_decoded = 0

    def n_lost(piece: Piece) -> int:
        """Frames lost before this piece: the same from one piece to the next unless there is a gap."""
        nonlocal n_decoded
        lost = piece.start_frame - n_decoded
        n_decoded += piece.codes.shape[2]
        return lost

    position = 0
    for _, run in groupby(found, key=n_lost):
        first = next(run)
        yield from _silence(channels, first.start_frame * hop - position, hop)
        position = max(position, first.start_frame * hop)
        for wav in decode_blocks(codec, _codes(first, run)):
            position += wav.shape[1]
            yield wav
    yield from _silence(channels, (found.n_frames - 1) * hop - position, hop)


def _codes(first: Piece, rest: Iterable[Piece]) -> Iterator[Codes]:
    yield first.codes
    for piece in rest:
        yield piece.codes


def _silence(channels: int, length: int, hop: int) -> Iterator[Samples]:
    size = BLOCK_FRAMES * hop
    for start in range(0, length, size):
        yield np.zeros((channels, min(size, length - start)), np.float32)
