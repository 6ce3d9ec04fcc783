"""Parts of recordings that a language model learns from."""

from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from .shards import Alignment, Label, TokenCorpus


class Crop(NamedTuple):
    """Frames `start` to `stop` of a recording, and what is to be made of them.

    Attributes:
        seed: of what is random about this example.
        ended: whether the speech is over after them, as is to be learned.
        prompt: what is heard before.
        foreign: whether the prompt is of another speaker.
        joined: whether the prompt is a recording's end and this is a recording's beginning, as if they were
            one. Their text is not told: it goes on without.
    """

    label: Label
    start: int
    stop: int
    seed: int
    ended: bool = False
    prompt: Optional["Crop"] = None
    foreign: bool = False
    joined: bool = False


class Example(NamedTuple):
    """What is learned from: `codes` int64 [K, n]; its `speaker`, and what is spoken in these frames, where
    known and told; the `prompt` heard before, which is not learned; the rest is the crop's."""

    codes: NDArray[np.int64]
    ended: bool
    speaker: str | None
    alignment: Alignment | None
    prompt: Optional["Example"] = None
    foreign: bool = False


def example(corpus: TokenCorpus, crop: Crop) -> Example:
    """The codes of a crop, and what is said in it."""
    label, start, stop = crop.label, crop.start, crop.stop
    alignment = None if crop.joined else corpus.alignments.get(label.id)
    if alignment is not None:
        alignment = cut(alignment, start, stop)
    codes = corpus.codes(label, start, stop)
    prompt = None if crop.prompt is None else example(corpus, crop.prompt)
    if prompt is not None and crop.joined:
        prompt = prompt._replace(alignment=None)
    return Example(codes, crop.ended, label.speaker, alignment, prompt, crop.foreign)


def cut(alignment: Alignment, start: int, stop: int) -> Alignment:
    """What is spoken from frame `start` to `stop`: phonemes that reach into it, with what they last there."""
    end = alignment.durations.cumsum()
    inside = end.clip(start, stop) - (end - alignment.durations).clip(start, stop)
    heard = inside > 0
    symbols = tuple(symbol for symbol, kept in zip(alignment.phonemes, heard, strict=True) if kept)
    return Alignment(symbols, inside[heard])
