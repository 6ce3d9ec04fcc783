"""A sound that comes in blocks: how large they are, and how it begins and ends without a click."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCKS = (4, 8, 16, 25)  # frames of the first blocks of sound, and of all others: the first one comes soon

Samples = NDArray[np.float32]


class Fade:
    """Fades a sound in and out that comes in blocks.

    Args:
        length: samples of the whole sound.
        ramp: samples of each fade, a raised cosine.
    """

    def __init__(self, length: int, ramp: int):
        self._length, self._ramp, self._at = length, ramp, 0

    def __call__(self, wav: Samples) -> Samples:
        """The next samples [1, T]."""
        place = np.arange(self._at, self._at + wav.shape[1])
        self._at += wav.shape[1]
        near = np.minimum(place, self._length - 1 - place)  # samples from the nearer end
        if near.min() >= self._ramp:
            return wav
        gain = 0.5 - 0.5 * np.cos(np.pi * np.clip(near / self._ramp, 0, 1))
        return wav * gain.astype(np.float32)


def blocks(frames: Iterable[Tensor]) -> Iterator[Tensor]:
    """Codes [1, K, n] in blocks of `BLOCKS` frames, whatever pieces they come in; the last is shorter."""
    held: list[Tensor] = []
    count = made = 0
    for codes in frames:
        for frame in codes.split(1, 2):
            held.append(frame)
            count += 1
            if count == BLOCKS[min(made, len(BLOCKS) - 1)]:
                yield torch.cat(held, 2)
                held, count, made = [], 0, made + 1
    if held:
        yield torch.cat(held, 2)
