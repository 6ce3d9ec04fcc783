"""Batches of token crops as a pure function of (seed, step): a run killed anywhere resumes to the same data,
and any number of processes sees the same batches.

A recording up to the bound is taken whole, a longer one as a crop of that length, more often its end than
another place; a prompt takes the place of some frames. The items of a batch are of about the same length, so
that little of it is padding.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import MynahError
from .shards import Label
from .token_crops import Crop
from .token_prompts import TokenPrompts

LATER = 5  # places that lie up to a fifth of the bound beyond a long recording's last crop mean that one
WIDTH = 1.15  # longest over shortest item of a bucket, unless more are needed to fill a batch


class _Bucket(NamedTuple):
    """Recordings of about one length: numbers, chance of each when one is drawn, items of a batch."""

    members: NDArray[np.int64]
    chance: NDArray[np.float64]
    size: int


class TokenBatches:
    """Random batches, recordings drawn by their frames, each frame weighted by its corpus.

    Args:
        labels: the recordings to draw from.
        bound: longest crop in frames.
        batch_frames: frames of a batch, padding included, at the most; at least `bound`.
        weights: weight of a frame of each corpus; 1 for those not named.
        seed: of everything random here.
        prompts: puts prompts before some items; none for None.
        ends_after: frames that a recording has at least for its end to be learned: a short one is over
            because its text was short, not because its speaker has done.

    Raises:
        MynahError: no recordings with a weight above 0.
    """

    def __init__(
        self,
        labels: Sequence[Label],
        bound: int,
        batch_frames: int,
        weights: Mapping[str, float],
        seed: int,
        prompts: TokenPrompts | None = None,
        ends_after: int = 0,
    ):
        assert 1 <= bound <= batch_frames
        kept = [label for label in labels if weights.get(label.corpus, 1.0) > 0]
        if not kept:
            raise MynahError("no recordings to train on: their corpora have weight 0")
        self.labels = sorted(kept, key=lambda label: min(label.frames, bound))
        self.bound, self.seed, self.prompts, self.ends_after = bound, seed, prompts, ends_after
        lengths = np.array([min(label.frames, bound) for label in self.labels])
        mass = np.array([label.frames * weights.get(label.corpus, 1.0) for label in self.labels])
        edges = _edges(lengths, batch_frames)
        self.buckets: list[_Bucket] = []
        for first, last in pairwise(edges):
            chance = mass[first:last] / lengths[first:last]  # what is cropped to a part is drawn more often
            size = batch_frames // int(lengths[last - 1])
            self.buckets.append(_Bucket(np.arange(first, last), chance / chance.sum(), size))
        self.cumulative = np.cumsum(np.add.reduceat(mass, edges[:-1]) / mass.sum())

    def at(self, step: int) -> list[Crop]:
        """The items of a step."""
        rng = np.random.default_rng((self.seed, step))
        which = min(int(np.searchsorted(self.cumulative, rng.random(), side="right")), len(self.buckets) - 1)
        members, chance, size = self.buckets[which]
        numbers = rng.choice(members, size, replace=len(members) < size, p=chance)
        crops = []
        for number in numbers:
            label = self.labels[number]
            length = min(label.frames, self.bound)
            last = label.frames - length
            start = min(int(rng.integers(last + 1 + length // LATER)), last)
            ended = start + length == label.frames >= self.ends_after
            crop = Crop(label, start, start + length, int(rng.integers(2**62)), ended)
            crops.append(crop if self.prompts is None else self.prompts.before(crop))
        return crops


def _edges(lengths: NDArray[np.int64], batch_frames: int) -> list[int]:
    """Where the buckets of sorted lengths begin, and the end; each holds the frames of a batch, if all do."""
    edges, frames = [0], 0
    for i, length in enumerate(lengths):
        if frames >= batch_frames and length > WIDTH * lengths[edges[-1]]:
            edges.append(i)
            frames = 0
        frames += int(length)
    if frames < batch_frames and len(edges) > 1:
        edges.pop()
    return [*edges, len(lengths)]
