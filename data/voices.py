"""Crops of speakers as training examples, a pure function of (seed, index): a run killed anywhere resumes to
the same data, and any number of processes sees the same batches."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np

from .augment import augment
from .corpus import Entry, PackedCorpus

ENOUGH = 60.0  # seconds; who has more is drawn no more often


class Speaker(NamedTuple):
    """Somebody in a corpus, and the recordings of them that hold any sound."""

    group: str
    name: str
    entries: tuple[Entry, ...]

    @property
    def length(self) -> int:
        """Samples in all."""
        return sum(entry.length for entry in self.entries)


class VoiceCrop(NamedTuple):
    """`wav` float32 [T], varied as `augment` does, and the place of its speaker in the list."""

    wav: np.ndarray
    speaker: int


def speakers_of(entries: Sequence[Entry], least: int) -> list[Speaker]:
    """Who is named and has `least` samples in all, in an order of their own. A name is of one corpus: the
    same one in two is two people."""
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.speaker and entry.length:
            found[entry.group, entry.speaker].append(entry)
    speakers = [Speaker(*who, tuple(found[who])) for who in sorted(found)]
    return [speaker for speaker in speakers if speaker.length >= least]


class VoiceCrops:
    """A map-style dataset: example `index` belongs to step `index // batch`, whose crops are of one length.

    Args:
        corpus: holds the sound.
        speakers: whom to draw from, one at least; each by the square root of what there is of them, up to
            a minute.
        batch: examples of a step.
        shortest, longest: of the crops, in samples.
        seed: of everything random here.
        weights: how often a speaker of each group is drawn, relative to 1 for those not named.
        sample_rate: of the corpus.
    """

    def __init__(
        self,
        corpus: PackedCorpus,
        speakers: Sequence[Speaker],
        batch: int,
        shortest: int,
        longest: int,
        seed: int,
        weights: Mapping[str, float],
        sample_rate: int = 16000,
    ):
        self.corpus, self.speakers, self.batch, self.seed = corpus, speakers, batch, seed
        self.shortest, self.longest = shortest, longest
        p = [weights.get(s.group, 1.0) * min(s.length, ENOUGH * sample_rate) ** 0.5 for s in speakers]
        self.cumulative = np.cumsum(np.array(p) / sum(p))

    def __getitem__(self, index: int) -> VoiceCrop:
        step = np.random.default_rng((self.seed, index // self.batch, 1))
        length = int(step.integers(self.shortest, self.longest + 1))
        rng = np.random.default_rng((self.seed, index))
        drawn = min(int(np.searchsorted(self.cumulative, rng.random())), len(self.speakers) - 1)
        return VoiceCrop(augment(self.crop(self.speakers[drawn], length, rng), rng), drawn)

    def crop(self, speaker: Speaker, length: int, rng: np.random.Generator) -> np.ndarray:
        """`length` samples of a speaker, float32: of one recording, or of as many in a row as it takes, again
        from the first where there are no more."""
        entries, total = [], 0
        for i in cycle(rng.permutation(len(speaker.entries))):
            entries.append(speaker.entries[i])
            total += entries[-1].length
            if total >= length:
                break
        start = int(rng.integers(total - length + 1))
        parts, at = [], 0
        for entry in entries:
            first, last = max(start - at, 0), min(start + length - at, entry.length)
            if first < last:
                parts.append(self.corpus.wav(entry._replace(start=entry.start + first, length=last - first)))
            at += entry.length
        return np.concatenate(parts)
