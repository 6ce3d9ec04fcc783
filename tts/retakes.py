"""Saying a piece again where the first take lacks a word or says it twice.

A language model that draws its codes slips now and then. The codec's phone head hears whether it did
(`tts.word_errors`, which is not always right), at a twentieth of what speaking costs for a sentence of ten
words, at a fifth for one of sixty.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ..codec.heads import PhoneHead
from ..data.text.symbols import PAUSES
from .word_errors import from_scores

ENOUGH = 3  # faults, after which a take is bad and the others are not counted

Samples = NDArray[np.float32]


class Retakes:
    """Listens to takes, and keeps the best one.

    Args:
        head: the phone head of the codec that makes the sound.
        most: takes of a piece beside the first one, 0 and up.

    Attributes:
        again: pieces that had faults so far, and were said again.
    """

    def __init__(self, head: PhoneHead, most: int):
        if most < 0:
            raise ValueError(f"most={most}: 0 or more retakes are expected")
        self.head, self.most, self.again = head, most, 0

    def best(self, phonemes: Sequence[str], take: Callable[[int], Iterable[Samples]]) -> Samples:
        """The first take with no faults, or the earliest of those with fewest, [1, T].

        Args:
            phonemes: symbols of what is to be said.
            take: makes the sound of take number 0, 1, ... in blocks [1, T].
        """
        found: list[tuple[int, Samples]] = []
        for number in range(self.most + 1):
            wav = np.concatenate(list(take(number)), axis=1)
            found.append((self.faults(phonemes, wav), wav))
            if not found[-1][0]:
                break
        self.again += len(found) > 1
        return min(found, key=lambda one: one[0])[1]

    def faults(self, phonemes: Sequence[str], wav: Samples) -> int:
        """How many words of `phonemes` a sound [1, T] lacks or says twice, `ENOUGH` for so many and more."""
        words = [self.head.config.ids(word) for word in words_of(phonemes)]
        errors = from_scores(self.head.scores(wav[None]), words, ENOUGH)
        return min(len(errors.skipped) + len(errors.repeated), ENOUGH)


def words_of(phonemes: Sequence[str]) -> list[list[str]]:
    """The sounds of each word; between two of them stand pauses and marks."""
    return [list(group) for pause, group in groupby(phonemes, PAUSES.__contains__) if not pause]
