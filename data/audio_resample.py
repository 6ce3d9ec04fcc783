"""Changing the sample rate, on soxr (linear phase), for sounds of any length in constant memory."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from .audio_types import Samples, check_channels, check_rate
from .errors import AudioError

# Zeros fed after the last sample, in output samples: more than soxr's own rounding can lose. What they
# produce beyond the promised length is cut off again.
_TAIL = 8


def resampled_length(length: int, from_rate: int, to_rate: int) -> int:
    """Samples that `length` samples become at `to_rate`: round(length * to_rate / from_rate), halves up."""
    return (2 * length * to_rate + from_rate) // (2 * from_rate)


class Resampler:
    """A streaming resampler: give it blocks, then `flush()`; the joined output is the resampled sound.

    Output sample i lies at the time of input position i * from_rate / to_rate (no delay); the sound is taken
    as silence outside its ends. The output does not depend, to the bit, on how the input was cut into blocks,
    and its length is exactly `resampled_length(n, from_rate, to_rate)`, or `length` where that is given.

    Args:
        from_rate: input sample rate, 1000 to 1000000 Hz.
        to_rate: output sample rate, the same range. Equal rates pass samples through unchanged.
        channels: channels of every block, 1 to 1024.
        length: samples per channel to deliver in all, instead of the rounded ones; for going back to a rate
            whose exact length is known. The end is cut, or continued as silence would be.

    Raises:
        AudioError: a rate or the number of channels is out of range.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int, length: int | None = None) -> None:
        self.from_rate = check_rate(from_rate, "resampling")
        self.to_rate = check_rate(to_rate, "resampling")
        self.channels = check_channels(channels, "resampling")
        self._length = length
        self._taken = 0
        self._given = 0
        self._finished = False
        self._stream = None if from_rate == to_rate else soxr.ResampleStream(from_rate, to_rate, channels)

    def process(self, block: Samples) -> Samples:
        """Take the next block [C, T] float32 and return the output [C, T'] that is ready; T' may be 0.

        Raises:
            AudioError: `block` has another number of channels, or `flush()` was called before.
        """
        if self._finished:
            raise AudioError("a resampler takes no more samples after flush()")
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise AudioError(f"shape {list(block.shape)}, this resampler takes [{self.channels}, T]")
        self._taken += block.shape[1]
        out = block if self._stream is None else self._run(block, last=False)
        return self._count(out, self._length)

    def flush(self) -> Samples:
        """Return the rest [C, T'] of the output: to be called once, at the end."""
        if self._finished:
            return np.zeros((self.channels, 0), np.float32)
        self._finished = True
        total = self._length
        if total is None:
            total = resampled_length(self._taken, self.from_rate, self.to_rate)
        missing = max(total - self._given, 0)
        if self._stream is None:
            return self._count(np.zeros((self.channels, missing), np.float32), total)
        # Everything missing could be a continuation in silence: as many zeros as that needs, at the most.
        held = resampled_length(self._taken, self.from_rate, self.to_rate)
        zeros = resampled_length(max(total - held, 0) + _TAIL, self.to_rate, self.from_rate) + 1
        out = self._run(np.zeros((self.channels, zeros), np.float32), last=True)
        return self._count(out, total)

    def _run(self, block: Samples, last: bool) -> Samples:
        assert self._stream is not None
        out = self._stream.resample_chunk(np.ascontiguousarray(block.T, np.float32), last=last)
        return np.ascontiguousarray(out.T)

    def _count(self, out: Samples, limit: int | None) -> Samples:
        if limit is not None:
            out = out[:, : max(limit - self._given, 0)]
        self._given += out.shape[1]
        return out


def resample_blocks(blocks: Iterable[Samples], resampler: Resampler) -> Iterator[Samples]:
    """Yield what `resampler` makes of `blocks` [C, T], its flush included; no block is empty."""
    for block in blocks:
        out = resampler.process(block)
        if out.shape[1]:
            yield out
    out = resampler.flush()
    if out.shape[1]:
        yield out


def resample(wav: Samples, from_rate: int, to_rate: int, length: int | None = None) -> Samples:
    """Return a whole sound [C, T] at another rate: `Resampler` in one call, with the same guarantees."""
    resampler = Resampler(from_rate, to_rate, wav.shape[0], length)
    return np.concatenate([resampler.process(wav), resampler.flush()], axis=1)
