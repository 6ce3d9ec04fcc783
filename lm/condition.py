"""What is to be spoken, aligned in time with the frames: phonemes with durations, and a speaker vector."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import LMConfig
from .layers import EPSILON, Block, rotation

UNKNOWN = 0  # id of frames whose phoneme nobody knows, and padding where it lasts 0 frames


class Condition(NamedTuple):
    """What the network is told of each item; None for what is not known of any.

    Attributes:
        phonemes: int64 [B, P] ids of `LMConfig.symbols`, 1 and up; `UNKNOWN` for frames without a transcript
            and for padding.
        durations: int64 [B, P] frames.
        speaker: float [B, speaker_dim], only its direction counts; zeros for an unknown speaker.
        prompt: int64 [B], how many of the phonemes, the first ones, belong to a prompt: these and the others
            are encoded as if each were alone. None for no prompts.
    """

    phonemes: Tensor | None = None
    durations: Tensor | None = None
    speaker: Tensor | None = None
    prompt: Tensor | None = None


def speaker_vectors(config: LMConfig, names: Sequence[str | None]) -> Tensor:
    """[B, speaker_dim] of voices that the model knows by name (`config.speakers`); zeros for None.

    Raises:
        ValueError: a voice that it does not know.
    """
    vectors = torch.zeros(len(names), config.speaker_dim)
    for vector, name in zip(vectors, names, strict=True):
        if name is not None:
            if name not in config.speakers:
                known = ", ".join(config.speakers) or "none"
                raise ValueError(f"{name!r} is no voice of {config.name}: it knows {known}")
            vector[config.speakers.index(name)] = 1
    return vectors


class PhonemeEncoder(nn.Module):
    """Bidirectional transformer over the phonemes: a frame knows what comes before and after."""

    def __init__(self, c: LMConfig):
        super().__init__()
        self.head_dim = c.head_dim
        self.embedding = nn.Embedding(len(c.symbols) + 1, c.phoneme_dim)
        blocks = [Block(c.phoneme_dim, c.head_dim, c.dropout) for _ in range(c.phoneme_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.RMSNorm(c.phoneme_dim, EPSILON)

    def forward(self, phonemes: Tensor, prompt: Tensor | None = None) -> Tensor:
        """[B, P] -> [B, P, phoneme_dim]; unknown ones are seen by none but themselves, and the first
        `prompt` [B] of an item and its others do not see each other."""
        place = torch.arange(phonemes.shape[1], device=phonemes.device)
        turn = rotation(place.unsqueeze(0), self.head_dim)
        itself = place == place.unsqueeze(1)  # a row that may see nothing would be NaN
        mask = (phonemes != UNKNOWN)[:, None, None] | itself
        if prompt is not None:
            before = place < prompt.unsqueeze(1)
            mask = mask & (before.unsqueeze(1) == before.unsqueeze(2)).unsqueeze(1)
        x = self.embedding(phonemes)
        for block in self.blocks:
            x = block(x, turn, mask)
        return self.norm(x)


class Conditioner(nn.Module):
    """One vector for each step: the phoneme that its frame belongs to, how far into it, and the speaker.

    With the phoneme's place in time given, words are neither skipped nor repeated (RALL-E, Xin et al. 2024);
    steps without phoneme get a vector of their own, so one network also speaks without text.
    """

    def __init__(self, c: LMConfig):
        super().__init__()
        if c.symbols:
            self.encoder = PhonemeEncoder(c)
            self.project = nn.Linear(c.phoneme_dim, c.dim, bias=False)
            self.place = nn.Linear(3, c.dim)
        self.unknown = nn.Parameter(torch.zeros(c.dim))
        self.speaker = nn.Linear(c.speaker_dim, c.dim) if c.speaker_dim else None

    def forward(self, time: Tensor, condition: Condition) -> Tensor:
        """Frames of the steps [B, S] -> [B, S, dim]."""
        x = self.unknown.expand(*time.shape, -1)
        if condition.phonemes is not None:
            assert condition.durations is not None
            x = self._spoken(time, condition.phonemes, condition.durations, condition.prompt)
        if self.speaker is not None:
            vector = condition.speaker
            if vector is None:
                vector = x.new_zeros(len(time), self.speaker.in_features)
            direction = F.normalize(vector, dim=-1) * self.speaker.in_features**0.5  # unit RMS, as all inputs
            x = x + self.speaker(direction).unsqueeze(1)
        return x

    def _spoken(self, time: Tensor, phonemes: Tensor, durations: Tensor, prompt: Tensor | None) -> Tensor:
        end = durations.cumsum(1)
        index = torch.searchsorted(end, time.contiguous(), right=True)
        beyond = index == phonemes.shape[1]
        index = index.clamp_max(phonemes.shape[1] - 1)
        left = (end.gather(1, index) - time).clamp_min(1)
        duration = durations.gather(1, index).clamp_min(1)
        place = torch.stack([1 - left / duration, left.log(), duration.log()], -1)
        encoded = self.project(self.encoder(phonemes, prompt))
        x = encoded.gather(1, index.unsqueeze(2).expand(-1, -1, encoded.shape[2])) + self.place(place)
        silent = beyond | (phonemes.gather(1, index) == UNKNOWN)
        return torch.where(silent.unsqueeze(2), self.unknown.to(x.dtype), x)
