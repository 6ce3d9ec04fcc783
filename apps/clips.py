"""Clips that voices are made of: reading them, and finding out when they say what."""

import numpy as np
import torch
from torch import Tensor

from ..codec import Codec
from ..codec.heads import PhoneHead
from ..data.audio import AudioReader, Resampler, resample_blocks
from ..data.errors import AudioError
from ..data.text import Phonemes
from ..tts.align import DOUBTFUL, align
from .files import display_name


def read_clip(source: str, sample_rate: int, longest: float) -> Tensor:
    """The mean of a clip's channels, float32 [1, T] at `sample_rate`.

    Raises:
        AudioError: it cannot be read, or is longer than `longest` seconds; no more is read to find that out.
    """
    parts, length = [], 0
    with AudioReader(source) as reader:
        mono = (block.mean(axis=0, keepdims=True) for block in reader)
        for block in resample_blocks(mono, Resampler(reader.info.sample_rate, sample_rate, 1)):
            parts.append(block)
            length += block.shape[1]
            if length > longest * sample_rate:
                raise AudioError(f"{display_name(source)}: longer than {longest:g} s, cut out a part of it")
    return torch.from_numpy(np.concatenate(parts, axis=1))


class ClipAligner:
    """Says when a clip says what, by the codec's phone head: a `tts.cloning.Aligner`.

    Attributes:
        doubtful: whether the last clip does not seem to say its text.

    Raises:
        MynahError: there is no phone head.
    """

    def __init__(self, codec: Codec):
        self._head = PhoneHead.from_pretrained(codec)
        self.doubtful = False

    def __call__(self, wav: Tensor, said: Phonemes) -> list[tuple[str, int]]:
        """Symbols and their frames."""
        alignment = align(self._head, wav, said)
        self.doubtful = alignment.score < DOUBTFUL
        return list(alignment.timed(said.separators))
