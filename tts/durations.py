"""The duration model as its users see it: how many frames every phoneme of a sentence is going to last."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import torch

from ..codec import checkpoint
from ..data.text.symbols import PAUSES, VOWEL_SOUNDS
from .duration_network import DurationConfig, DurationNetwork

SHIPPED = Path(__file__).parent / "weights"
RATES = (0.25, 4.0)  # beyond, nothing is understood
PACES = (0.7, 1.4)  # how far speakers differ; a prompt that says more than this is aligned badly
# Words of one or two sounds ("a", "of") are said weakly: they are aligned too short, and learned so.
SHORT_WORD = 2  # sounds
SHORT_VOWEL, SHORT_CONSONANT = 0.08, 0.06  # seconds that their sounds last at least


class Durations:
    """A trained duration model in evaluation mode.

    Attributes:
        network: its `DurationNetwork`.
        config: its architecture.
    """

    def __init__(self, network: DurationNetwork):
        self.network = network.eval().requires_grad_(False)
        self.config: DurationConfig = network.config

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path) -> "Durations":
        """Load a shipped model by name, or a folder with `config.json` and `model.safetensors`.

        Raises:
            CheckpointError: nothing there, or not a duration model; the message lists the shipped names.
        """
        folder = checkpoint.resolve_in(SHIPPED, "duration model", name_or_folder)
        config, tensors = checkpoint.load_as(DurationConfig, folder)
        network = DurationNetwork(config)
        checkpoint.fill(network, tensors, folder)
        return cls(network)

    def frames(self, phonemes: Sequence[str], speaker: str = "") -> list[float]:
        """Expected frames of each symbol, within the limits heard in training; 0 where there is no pause.

        Args:
            phonemes: from `config.symbols`, at least one.
            speaker: one of `config.speakers`, or "" for one that the model does not know.

        Raises:
            ValueError: a symbol or a speaker that is not known, or no symbols.
        """
        if not phonemes:
            raise ValueError("there are no phonemes: at least one is expected")
        ids = torch.tensor([self.config.ids(phonemes)])
        with torch.inference_mode():
            log_frames, lasts = self.network(ids, torch.tensor([self.config.speaker_id(speaker)]))
        limits = self.network.limits[self.network.stand_ins[ids[0]]]
        frames = log_frames[0].exp().clamp(limits[:, 0], limits[:, 1])
        silent = torch.tensor([symbol in PAUSES for symbol in phonemes]) & (lasts[0] < 0)
        return frames.masked_fill(silent, 0).tolist()

    def predict(self, phonemes: Sequence[str], speaker: str = "", rate: float = 1.0) -> tuple[int, ...]:
        """Whole frames of each symbol: `shortest` at least of every sound, 0 and up of pauses.

        Args:
            phonemes, speaker: as for `frames`.
            rate: how many times as fast as usual, 0.25 to 4.

        Raises:
            ValueError: as `frames`, or a rate out of range.
        """
        if not RATES[0] <= rate <= RATES[1]:
            raise ValueError(f"rate={rate:g}: {RATES[0]:g} to {RATES[1]:g} is expected")
        least = shortest(phonemes, self.config.frame_rate / rate)
        frames = [
            max(n / rate, lowest) for n, lowest in zip(self.frames(phonemes, speaker), least, strict=True)
        ]
        return rounded(frames, least)

    def pace(self, phonemes: Sequence[str], durations: Sequence[int], speaker: str = "") -> float:
        """How many times as fast somebody speaks as the model would, by the sounds of an aligned recording;
        within `PACES`, and 1 where there is no sound in it."""
        expected = self.frames(phonemes, speaker)
        sounds = [i for i, symbol in enumerate(phonemes) if symbol not in PAUSES]
        real = sum(durations[i] for i in sounds)
        if not real:
            return 1.0
        return min(max(sum(expected[i] for i in sounds) / real, PACES[0]), PACES[1])


def shortest(phonemes: Sequence[str], frame_rate: float) -> list[int]:
    """Fewest frames of each symbol: none of a pause, one of a sound, more of a short word's sound."""
    found: list[int] = []
    for pause, group in groupby(phonemes, PAUSES.__contains__):
        word = list(group)
        for sound in word:
            seconds = SHORT_VOWEL if sound in VOWEL_SOUNDS else SHORT_CONSONANT
            frames = math.floor(seconds * frame_rate + 0.5) if len(word) <= SHORT_WORD else 1
            found.append(0 if pause else max(1, frames))
    return found


def rounded(frames: Sequence[float], least: Sequence[int]) -> tuple[int, ...]:
    """Whole numbers near `frames` whose sums stay near theirs: what one loses by rounding goes to the next.

    Up to any place the sums differ by half a frame at most, unless a value is below its `least`: what that
    takes too much, the next ones make up for, up to one frame. A 0 stays 0 where `least` allows it.
    """
    whole, owed = [], 0.0
    for value, lowest in zip(frames, least, strict=True):
        if not value and not lowest:
            whole.append(0)
            continue
        whole.append(max(lowest, math.floor(value + owed + 0.5)))
        owed = max(owed + value - whole[-1], -1.0)
    return tuple(whole)
