"""Which words of a text a recording lacks, and which it says again, by forced alignment.

The recording is aligned with the text, and with the text without one of its words, or with one of them twice,
for each word. A word is *skipped* where the recording is likelier without it, *repeated* where it is likelier
with it twice: likelier by CTC, summed over all ways, and on the best way of the forced alignment, in which
the phones of a word follow each other (`tts.align`). One of them alone is often wrong about words that are
said weakly. Of several such changes the one that gains most is made, and the others are tried again, so that
a word is not taken for lacking because the one beside it is.

Phones that are wrong are no skipped word: without it, nothing would account for what is said in its place. A
word that the text itself repeats is repeated where it is said once more than it stands there; of a phrase
that is said again, one word at least is. A recording with fewer frames than phones lacks all words.

`benchmarks/word_errors.py` counts how often this is right, with words cut out of real recordings or doubled.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..codec.heads import PhoneHead
from ..codec.heads.ctc import Scores
from ..codec.heads.paths import GAP, best_path, stack, word_chain
from ..data.text import Phonemes
from .align import HINTS

SKIPPED, REPEATED = CHANGES = ("skipped", "repeated")
AT_ONCE = 32  # alignments: a minute of speech with 60 words takes 100 MB

Words = Sequence[Sequence[int]]


class WordErrors(NamedTuple):
    """Places, in the list of words, of those that are `skipped` and of those that are `repeated`."""

    skipped: tuple[int, ...]
    repeated: tuple[int, ...]


def word_errors(head: PhoneHead, wav: Tensor | np.ndarray, said: Phonemes) -> WordErrors:
    """Words that mono speech lacks or says again.

    Args:
        head: the phone head of a codec.
        wav: float [1, T] in [-1, 1] at the codec's rate.
        said: what was to be said, from `phonemize`.

    Raises:
        AudioError: a wrong shape, nothing in it, or NaN.
    """
    scores = head.scores(wav[None])
    return from_scores(scores, [head.config.ids(word.phonemes) for word in said.words])


def from_scores(scores: Scores, words: Words, most: int | None = None) -> WordErrors:
    """The same for a phone head's scores of one recording.

    Args:
        scores: [1, N, V].
        words: the phones of each word that was to be said, 1 to V - 1; none is empty.
        most: give up after so many errors; each takes as long as all before the first.
    """
    order = list(range(len(words)))  # what the recording says, as far as is known
    tried = {(number, change) for number in order for change in CHANGES}
    made: dict[str, set[int]] = {change: set() for change in CHANGES}
    while tried and (most is None or sum(map(len, made.values())) < most):
        ways = [(number, change) for number, change in sorted(tried)]
        texts = [[words[i] for i in text] for text in (order, *(_changed(order, *way) for way in ways))]
        found = likelihoods(scores, texts)
        if not found[0].isfinite().all():
            return WordErrors(tuple(order), ())
        gains = (found[1:] - found[0]).amin(1)
        best = int(gains.argmax())
        if not gains[best] > 0:
            break
        number, change = ways[best]
        order = _changed(order, number, change)
        made[change].add(number)
        tried = {way for way, gain in zip(ways, gains, strict=True) if gain > 0 and way[0] != number}
    return WordErrors(tuple(sorted(made[SKIPPED])), tuple(sorted(made[REPEATED])))


def _changed(order: Sequence[int], number: int, change: str) -> list[int]:
    """The words without one of them, or with it twice."""
    place = order.index(number)
    return [*order[: place + (change == REPEATED)], *order[place + (change == SKIPPED) :]]


def likelihoods(scores: Scores, texts: Sequence[Words]) -> Tensor:
    """Log-likelihoods of texts [n, 2], by CTC and by forced alignment; -inf where there is no way."""
    parts = [texts[first : first + AT_ONCE] for first in range(0, len(texts), AT_ONCE)]
    aligned = scores.hinted(HINTS)
    return torch.cat([torch.stack([_by_ctc(scores.ctc, p), _by_alignment(aligned, p)], 1) for p in parts])


def _by_ctc(scores: Tensor, texts: Sequence[Words]) -> Tensor:
    labels = [[phone for word in words for phone in word] for words in texts]
    n_frames = torch.full((len(texts),), scores.shape[1])
    loss = F.ctc_loss(
        scores.transpose(0, 1).expand(-1, len(texts), -1),
        torch.tensor([label for text in labels for label in text], dtype=torch.int64),
        n_frames,
        torch.tensor([len(text) for text in labels]),
        blank=GAP,
        reduction="none",
    )
    return -loss.cpu()


def _by_alignment(scores: Tensor, texts: Sequence[Words]) -> Tensor:
    found = torch.full((len(texts),), float(scores[0, :, GAP].sum()))  # of a text without words: silence
    some = [i for i, words in enumerate(texts) if words]
    if some:
        chains = stack([word_chain(texts[i]) for i in some], scores.device)
        n_frames = torch.full((len(some),), scores.shape[1], device=scores.device)
        found[some] = best_path(scores.expand(len(some), -1, -1), n_frames, chains).score.cpu()
    return found
