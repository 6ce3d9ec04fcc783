"""What is heard before an item to train on: a part of another recording, in the same or another voice."""

from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence

import numpy as np

from .shards import Label
from .token_crops import Crop
from .views import recording_of

SHORTEST, LONGEST = 25, 150  # frames of a prompt
JOINED = 1 / 3  # of the aligned crops with a prompt in their own voice
DRAWS = 8  # of recordings, until one may be the prompt


class TokenPrompts:
    """Puts prompts before crops, as a pure function of (crop, its seed).

    In the same voice, prompts teach a model to keep it across a cut, as a zero-shot prompt is used. Before a
    speaker that is known by name every other prompt is in another's voice: the name then decides, so that a
    model that strays from its voice finds back. Where text tells where the prompt ends, it is cut anywhere.
    Without text there are no cuts: crops are `joined`, a recording's beginning after the end of another one,
    which teaches that who has said a sentence goes on. So are those that are not aligned with their text, and
    `JOINED` of those that are.

    Args:
        labels: the recordings to draw prompts from.
        weights: weight of a frame of each corpus; 1 for those not named.
        named: speakers that the model is told by name.
        aligned: ids of recordings whose text is known in time.
        share: of the crops that get a prompt, if there is one for them.
    """

    def __init__(
        self,
        labels: Sequence[Label],
        weights: Mapping[str, float],
        named: Collection[str],
        aligned: Container[str],
        share: float,
    ):
        drawn = [x for x in labels if weights.get(x.corpus, 1.0) > 0 and x.frames >= SHORTEST]
        self.labels, self.named, self.aligned, self.share = drawn, frozenset(named), aligned, share
        self.cumulative = np.cumsum([x.frames * weights.get(x.corpus, 1.0) for x in drawn])
        self.of: dict[str, list[Label]] = defaultdict(list)
        for label in drawn:
            if label.speaker is not None:
                self.of[label.speaker].append(label)

    def before(self, crop: Crop) -> Crop:
        """The crop with a prompt, at the cost of as many of its frames, or as it is."""
        rng = np.random.default_rng(crop.seed)
        length = int(rng.integers(SHORTEST, LONGEST + 1))
        length = min(length, (crop.stop - crop.start) // 2)
        if rng.random() >= self.share or length < SHORTEST:
            return crop
        aligned = crop.label.id in self.aligned
        foreign = aligned and crop.label.speaker in self.named and rng.random() < 0.5
        joined = not foreign and (not aligned or rng.random() < JOINED)
        found = next(filter(None, (self._draw(crop.label, foreign, rng) for _ in range(DRAWS))), None)
        if found is None:
            return crop
        length = min(length, found.frames)
        if joined:
            prompt = Crop(found, found.frames - length, found.frames, crop.seed)
            stop = crop.stop - crop.start - length
            return crop._replace(start=0, stop=stop, ended=False, prompt=prompt, joined=True)
        start = int(rng.integers(found.frames - length + 1))
        prompt = Crop(found, start, start + length, crop.seed)
        if rng.random() < 0.5:
            return crop._replace(start=crop.start + length, prompt=prompt, foreign=foreign)
        return crop._replace(stop=crop.stop - length, ended=False, prompt=prompt, foreign=foreign)

    def _draw(self, label: Label, foreign: bool, rng: np.random.Generator) -> Label | None:
        """A recording of another speaker, or another one of the same; None where it is not."""
        if foreign:
            place = np.searchsorted(self.cumulative, rng.random() * self.cumulative[-1], side="right")
            found = self.labels[min(int(place), len(self.labels) - 1)]
            return found if found.speaker != label.speaker else None
        own = self.of.get(label.speaker, []) if label.speaker is not None else []
        found = own[int(rng.integers(len(own)))] if own else label
        return found if recording_of(found.id) != recording_of(label.id) else None
