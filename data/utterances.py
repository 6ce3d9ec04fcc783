"""Transcribed recordings as training examples, a pure function of (seed, index): a run killed anywhere
resumes to the same data, and any number of processes sees the same batches."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .augment import augment
from .corpus import Entry, PackedCorpus

POOL_STEPS = 32  # steps whose utterances are drawn at once and sorted by length, so that padding is short

Words = tuple[tuple[int, ...], ...]  # ids of the sounds of each word


class Utterance(NamedTuple):
    """A packed recording and what is said in it."""

    entry: Entry
    words: Words


class Example(NamedTuple):
    """`wav` float32 [T], varied as `augment` does, and the ids of the sounds of each word."""

    wav: np.ndarray
    words: Words


class Utterances:
    """A map-style dataset: example `index` belongs to step `index // batch`, whose examples are of similar
    length.

    Args:
        corpus: holds the sound.
        utterances: what to draw from, at least one.
        batch: examples of a step.
        seed: of everything random here.
        weights: how often an utterance of each group is drawn, relative to 1 for those not named.
    """

    def __init__(
        self,
        corpus: PackedCorpus,
        utterances: Sequence[Utterance],
        batch: int,
        seed: int,
        weights: Mapping[str, float],
    ):
        self.corpus, self.utterances, self.batch, self.seed = corpus, utterances, batch, seed
        p = np.array([weights.get(u.entry.group, 1.0) for u in utterances])
        self.cumulative = np.cumsum(p / p.sum())
        self._pool = lru_cache(maxsize=2)(self._drawn)

    def __getitem__(self, index: int) -> Example:
        pool, place = divmod(index, POOL_STEPS * self.batch)
        entry, words = self.utterances[self._pool(pool)[place]]
        rng = np.random.default_rng((self.seed, index))
        return Example(augment(self.corpus.wav(entry), rng), words)

    def _drawn(self, pool: int) -> np.ndarray:
        """Places of the utterances of a pool, in the order of its steps."""
        rng = np.random.default_rng((self.seed, pool, 0))
        at = np.searchsorted(self.cumulative, rng.random(POOL_STEPS * self.batch))
        chosen = np.minimum(at, len(self.utterances) - 1)
        lengths = np.array([self.utterances[i].entry.length for i in chosen])
        steps = chosen[np.argsort(lengths, kind="stable")].reshape(POOL_STEPS, self.batch)
        return steps[rng.permutation(POOL_STEPS)].reshape(-1)
