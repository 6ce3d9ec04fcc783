"""Forced alignment: when each word and phoneme of a known text is spoken in a recording.

The best way (Viterbi, exact) through the phone head's scores of frames, in which the phones of a word follow
each other without gap and silence may stand around words. CTC's peaks pull each phone to where it is heard
for sure, but do not tell where it begins and ends, nor what is silent (`benchmarks/alignment.py` measures
both)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..codec.heads import PhoneHead
from ..codec.heads.paths import best_path, stack, word_chain
from ..data.errors import AudioError
from ..data.text import BOUNDARY, SILENCE, Phonemes

HINTS = 3.0  # weight of CTC's peaks beside the frames
DOUBTFUL = -1.6  # below this score a recording says something else
MAX_CELLS = 500_000_000  # frames times states that are kept, a byte each: about ten minutes of speech


class AlignmentError(AudioError):
    """A recording and a text that cannot be aligned."""


class Segment(NamedTuple):
    """Frames `start` to `end` (exclusive) in which `label` is spoken: a word, a phoneme, or `SILENCE`."""

    label: str
    start: int
    end: int


class Alignment(NamedTuple):
    """What is spoken when, without gaps from the first frame to the last.

    Attributes:
        words: words and pauses; a word is labelled as it stands in the normalised text.
        phones: phonemes, with their stress, and pauses; each lasts a frame at least.
        score: mean log-likelihood ratio per spoken frame of the phones aligned against the best symbol of
            each frame, 0 or below: near 0 where the recording says the text, below -1.6 where it says
            something else.
    """

    words: tuple[Segment, ...]
    phones: tuple[Segment, ...]
    score: float

    @property
    def n_frames(self) -> int:
        """Frames of the recording."""
        return self.phones[-1].end

    @property
    def durations(self) -> tuple[int, ...]:
        """Frames of each of `phones`; they add up to `n_frames`."""
        return tuple(phone.end - phone.start for phone in self.phones)

    def timed(self, separators: Sequence[str]) -> list[tuple[str, int]]:
        """The symbols of a text and their durations in frames, as a language model is told them.

        A pause is the duration of the separator after the word before it, 0 where there is none; silence
        before the first word is `SILENCE`, and so is the one at the end where no mark stands there.

        Args:
            separators: of `Phonemes`: as many as words.
        """
        own: list[tuple[str, int]] = []
        ends = {word.end for word in self.words if word.label != SILENCE}
        left = list(separators)
        for phone, frames in zip(self.phones, self.durations, strict=True):
            if phone.label == SILENCE and own:
                own[-1] = (own[-1][0], frames)
                continue
            own.append((phone.label, frames))
            if phone.label != SILENCE and phone.end in ends:
                own.append((left.pop(0), 0))
        if own[-1][0] == BOUNDARY:
            own[-1] = (SILENCE, own[-1][1])
        return own if own[-1][1] or own[-1][0] != SILENCE else own[:-1]


def align(head: PhoneHead, wav: Tensor | np.ndarray, phonemes: Phonemes) -> Alignment:
    """When each word of a text is spoken in mono speech.

    Args:
        head: the phone head of a codec.
        wav: float [1, T] in [-1, 1] at the codec's rate.
        phonemes: what is said, from `phonemize`.

    Raises:
        AlignmentError: no words, fewer frames than phonemes, or too long for the memory.
        AudioError: a wrong shape, nothing in it, or NaN.
    """
    if wav.ndim != 2 or wav.shape[0] != 1:
        raise AudioError(f"wav has shape {tuple(wav.shape)}: [1, samples] is expected")
    (alignment,) = align_batch(head, wav[None], [phonemes])
    return alignment


def align_batch(
    head: PhoneHead,
    wav: Tensor | np.ndarray,
    phonemes: Sequence[Phonemes],
    lengths: Sequence[int] | None = None,
) -> list[Alignment]:
    """The same for several recordings at once, each aligned as it would be alone.

    Args:
        head: the phone head of a codec.
        wav: float [B, 1, T], padded where items differ in length.
        phonemes: what is said in each.
        lengths: samples of each item; T for all if left out.

    Raises:
        AlignmentError, AudioError: as `align`; the message tells which item where there are several.
    """
    samples = [wav.shape[-1]] * len(wav) if lengths is None else lengths
    frames = [head.frames_of(length) for length in samples]
    if not len(phonemes) == len(frames) == len(wav):
        raise ValueError(f"{len(wav)} recordings, {len(phonemes)} texts and {len(frames)} lengths")
    chains = []
    for item, (said, available) in enumerate(zip(phonemes, frames, strict=True)):
        which = f"recording {item + 1}: " if len(wav) > 1 else ""
        if not said.words:
            raise AlignmentError(f"{which}there are no words to align")
        chain = word_chain([head.config.ids(word.phonemes) for word in said.words])
        seconds = available / head.codec.config.frame_rate
        if chain.least > available:
            raise AlignmentError(
                f"{which}{seconds:g} s of sound are too short for {chain.least} phonemes, a frame each"
            )
        if len(chain.symbols) * available > MAX_CELLS:
            raise AlignmentError(
                f"{which}{seconds:.0f} s of sound with {chain.least} phonemes are too much to align at once: "
                "cut them into pieces of a few minutes"
            )
        chains.append(chain)
    scores = head.scores(wav, samples)
    device = scores.frames.device
    best = best_path(scores.hinted(HINTS), torch.tensor(frames, device=device), stack(chains, device))
    found = []
    for item, (said, chain, n) in enumerate(zip(phonemes, chains, frames, strict=True)):
        states, own = best.states[item, :n], scores.frames[item, :n].cpu()
        symbols = torch.tensor(chain.symbols)[states]
        lost = (own.gather(1, symbols[:, None])[:, 0] - own.max(1).values)[symbols > 0]
        found.append(_segments(said, torch.bincount(states, minlength=len(chain.symbols)).tolist(), lost))
    return found


def _segments(said: Phonemes, durations: list[int], lost: Tensor) -> Alignment:
    """Segments from the frames of each state of a `word_chain`."""
    words: list[Segment] = []
    phones: list[Segment] = []
    left, frame = iter(durations), 0

    def add(label: str) -> None:
        nonlocal frame
        length = next(left)
        if length:
            phones.append(Segment(label, frame, frame + length))
            frame += length

    def pause() -> None:
        start = frame
        add(SILENCE)
        if frame > start:
            words.append(Segment(SILENCE, start, frame))

    for word in said.words:
        pause()
        start = frame
        for phoneme in word.phonemes:
            add(phoneme)
        words.append(Segment(word.text, start, frame))
    pause()
    return Alignment(tuple(words), tuple(phones), float(lost.mean()))
