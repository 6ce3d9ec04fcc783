"""What is heard before an item to train on: a part of another recording, in the same or another voice."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from .shards import Label
from .token_crops import Crop
from .views import recording_of

SHORTEST, LONGEST = 25, 150  # frames of a prompt


class TokenPrompts:
    """Puts prompts before crops, as a pure function of (crop, its seed).

    In the same voice, prompts teach a model to keep it across a cut, as a zero-shot prompt is used. Before a
    speaker that is known by name every other prompt is in another's voice: the name then decides, so that a
    model that strays from its voice finds back.

    Args:
        labels: the recordings to draw prompts from.
        weights: weight of a frame of each corpus; 1 for those not named.
        named: speakers that the model is told by name.
        share: of the crops that get a prompt, if there is one for them.
    """

    def __init__(
        self, labels: Sequence[Label], weights: Mapping[str, float], named: Collection[str], share: float
    ):
        drawn = [x for x in labels if weights.get(x.corpus, 1.0) > 0 and x.frames >= SHORTEST]
        self.labels, self.named, self.share = drawn, frozenset(named), share
        self.cumulative = np.cumsum([x.frames * weights.get(x.corpus, 1.0) for x in drawn])
        self.of: dict[str, list[Label]] = defaultdict(list)
        for label in drawn:
            if label.speaker is not None:
                self.of[label.speaker].append(label)

    def before(self, crop: Crop) -> Crop:
        """The crop with a prompt, at the cost of its last frames, or as it is."""
        rng = np.random.default_rng(crop.seed)
        length = int(rng.integers(SHORTEST, LONGEST + 1))
        length = min(length, (crop.stop - crop.start) // 2)
        if rng.random() >= self.share or length < SHORTEST:
            return crop
        speaker = crop.label.speaker
        foreign = speaker in self.named and rng.random() < 0.5
        if foreign:
            at = np.searchsorted(self.cumulative, rng.random() * self.cumulative[-1], side="right")
            found = self.labels[min(int(at), len(self.labels) - 1)]
            if found.speaker == speaker:
                return crop
        else:
            own = self.of.get(speaker, []) if speaker is not None else []
            if not own:
                return crop
            found = own[int(rng.integers(len(own)))]
            if recording_of(found.id) == recording_of(crop.label.id):
                return crop
        length = min(length, found.frames)
        start = int(rng.integers(found.frames - length + 1))
        prompt = Crop(found, start, start + length, crop.seed)
        return crop._replace(stop=crop.stop - length, prompt=prompt, foreign=foreign)
