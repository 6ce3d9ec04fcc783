"""The arithmetic of training a language model, apart from any loop: disturbances, losses, and the report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import patterns
from .condition import UNKNOWN, Condition
from .config import LMConfig


class Batch(NamedTuple):
    """What a network learns from.

    Attributes:
        codes: int64 [B, K, N]; anything beyond an item's frames.
        n_frames: of each item, 1 to N.
        ended: bool [B], whether the speech is over after an item's last frame, or only the crop.
        condition: of the items. Where several processes train, it always has phonemes and speakers, unknown
            ones if need be, so that every process computes all gradients.
        prompt_frames: int64 [B], the first frames of each item, which are heard and not learned; None for
            none. Where there are any, phonemes are never withheld: they tell where the prompt ends.
        foreign: bool [B], whether the prompt is of another speaker than `condition` tells, who is then never
            withheld either.
    """

    codes: Tensor
    n_frames: list[int]
    ended: Tensor
    condition: Condition
    prompt_frames: Tensor | None = None
    foreign: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""

        def moved(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.to(device)

        return self._replace(
            codes=self.codes.to(device),
            ended=self.ended.to(device),
            condition=Condition(*map(moved, self.condition)),
            prompt_frames=moved(self.prompt_frames),
            foreign=moved(self.foreign),
        )


class Loss(NamedTuple):
    """`total`: call backward on it; `nats` [K]: mean cross-entropy of each stream, unweighted, detached;
    `learned` [K]: how many codes of each stream this batch has."""

    total: Tensor
    nats: Tensor
    learned: Tensor

    @property
    def bits_per_frame(self) -> float:
        """Bits that the model would code a frame's codes with; 10 K for 1024 equally likely entries."""
        return float(self.nats.sum()) / math.log(2)


@dataclass(frozen=True)
class Objective:
    """Next-code prediction in all streams (AudioLM, Borsos et al. 2022; MusicGen, Copet et al. 2023).

    Attributes:
        stream_weights: weight of each stream's cross-entropy, K numbers; what is said is mostly in the first.
        z: weight of the squared log-partition (PaLM, Chowdhery et al. 2022), which keeps logits in range.
        token_noise: probability that a code which enters is replaced by a random one, so that the network
            learns to go on from its own mistakes.
        phoneme_dropout: probability that an item's phonemes are withheld, for continuation and for
            classifier-free guidance (Ho and Salimans 2022).
        speaker_dropout: the same for the speaker vector.
    """

    stream_weights: tuple[float, ...]
    z: float = 0.0
    token_noise: float = 0.0
    phoneme_dropout: float = 0.0
    speaker_dropout: float = 0.0

    def __call__(
        self,
        network: nn.Module,
        config: LMConfig,
        batch: Batch,
        generators: Sequence[torch.Generator] = (),
        share: Tensor | None = None,
    ) -> Loss:
        """One pass.

        Args:
            network: an `LMNetwork`, perhaps wrapped for several processes.
            config: its configuration.
            batch: on the network's device.
            generators: one for each item, on the CPU, draws its noise and dropouts, the same in any batch;
                without them there are none, to evaluate.
            share: [K], what the sums over a stream's codes are divided by instead of its own `Loss.learned`:
                where several processes have a batch each, the mean of theirs, so that the mean of their
                gradients is that of all batches as one.
        """
        codes, condition = batch.codes, batch.condition
        assert len(self.stream_weights) == config.n_codebooks == codes.shape[1]
        device = codes.device
        layout = patterns.layout(config.pattern, config.n_codebooks, batch.n_frames)
        target, source, time, end = (x.to(device) for x in layout)
        labels = patterns.to_steps(codes, target, config.none)
        learned = target >= 0
        if batch.prompt_frames is not None:
            learned = target >= batch.prompt_frames.view(-1, 1, 1)
        learned[torch.arange(len(end), device=device), 0, end] |= batch.ended
        if generators:
            assert len(generators) == len(codes)
            codes = with_noise(codes, batch.n_frames, self.token_noise, config.codebook_size, generators)
            told = torch.zeros(len(codes), 2, dtype=torch.bool)
            if batch.prompt_frames is not None:
                told[:, 0] = batch.prompt_frames > 0
            if batch.foreign is not None:
                told[:, 1] = batch.foreign
            condition = with_dropout(condition, self.phoneme_dropout, self.speaker_dropout, generators, told)
        tokens = patterns.to_steps(codes, source, config.none)
        logits = network(tokens, time, condition).float()  # [B, S, K, entries]
        labels, learned = labels.transpose(1, 2), learned.transpose(1, 2)

        nats = F.cross_entropy(logits.flatten(0, 2), labels.flatten(), reduction="none").view(labels.shape)
        own = logits.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        log_partition = own + nats  # saves a pass over all logits, and one back
        count = learned.sum((0, 1))
        divisor = count if share is None else share
        nats = (nats * learned).sum((0, 1)) / divisor
        weights = nats.new_tensor(self.stream_weights)
        total = (nats * weights).sum() / weights.sum()
        if self.z:
            total = total + self.z * (log_partition.square() * learned).sum() / divisor.sum()
        return Loss(total, nats.detach(), count)


def with_noise(
    codes: Tensor,
    n_frames: Sequence[int],
    probability: float,
    codebook_size: int,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Codes [B, K, N], each of an item's frames replaced by a random one with the given probability."""
    other = torch.full(codes.shape, -1)  # drawn on the CPU, moved as one
    for item, n, generator in zip(other, n_frames, generators, strict=True):
        noisy = torch.rand(len(item), n, generator=generator) < probability
        drawn = torch.randint(codebook_size, noisy.shape, generator=generator)
        item[:, :n] = drawn.where(noisy, -1)
    other = other.to(codes.device)
    return other.where(other >= 0, codes)


def with_dropout(
    condition: Condition,
    phonemes: float,
    speaker: float,
    generators: Sequence[torch.Generator],
    told: Tensor | None = None,
) -> Condition:
    """The condition without the phonemes, and the speaker, of items drawn with these probabilities, where
    they are not to be `told` whatever is drawn: bool [B, 2]."""
    drawn = torch.stack([torch.rand(2, generator=generator) for generator in generators])
    if told is not None:
        drawn = drawn.where(~told, 1.0)

    def kept(values: Tensor, below: Tensor, probability: float, unknown: int) -> Tensor:
        return values.where((below >= probability).unsqueeze(1).to(values.device), unknown)

    if condition.phonemes is not None:
        condition = condition._replace(phonemes=kept(condition.phonemes, drawn[:, 0], phonemes, UNKNOWN))
    if condition.speaker is not None:
        condition = condition._replace(speaker=kept(condition.speaker, drawn[:, 1], speaker, 0))
    return condition
