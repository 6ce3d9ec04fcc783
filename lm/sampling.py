"""Drawing codes from their distributions, for all streams and items at once.

Randomness comes in as uniform numbers, one pair for each step and stream of an item, drawn from the item's
own generator: what an item says does not depend on its neighbours in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

COLDEST, HOTTEST = 0.01, 100.0  # logits that are divided by less or more leave what float32 holds
LEAST_P = 1e-6


@dataclass(frozen=True)
class Sampling:
    """How a code is drawn from its distribution.

    The defaults are for speech whose phonemes are told. Without them a model that truncates much falls
    silent: voiced sounds are hundreds of codes, each of them unlikely, silence a few likely ones.

    Attributes:
        temperature: divides the logits, 0.01 to 100; 0 takes the likeliest code.
        top_k: only so many of the likeliest codes may be drawn; 0 for all.
        top_p: only the likeliest codes, as few as together have this probability, may be drawn (nucleus
            sampling, Holtzman et al. 2020), 0.000001 to 1; 1 for all. Applied after top_k.
        repetition_window: repetition-aware sampling of the first stream (VALL-E 2, Chen et al. 2024): where
            the drawn code makes up more than `repetition_threshold` of the last so many frames, it is drawn
            again from the whole distribution; 0 for never.
        repetition_threshold: from 0 to 1.
        fine_temperature: divides the logits of all streams but the first once more, 0.01 to 100: what is said
            and how is mostly in the first, and the others sound cleaner below 1.
    """

    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 0.85
    repetition_window: int = 0
    repetition_threshold: float = 0.1
    fine_temperature: float = 0.4

    def __post_init__(self) -> None:
        if self.temperature and not COLDEST <= self.temperature <= HOTTEST:
            raise ValueError(f"temperature={self.temperature}: 0, or {COLDEST:g} to {HOTTEST:g} is expected")
        if not COLDEST <= self.fine_temperature <= HOTTEST:
            raise ValueError(
                f"fine_temperature={self.fine_temperature}: {COLDEST:g} to {HOTTEST:g} is expected"
            )
        if not LEAST_P <= self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p}: {LEAST_P:g} to 1 is expected")
        if not 0 <= self.repetition_threshold <= 1:
            raise ValueError(f"repetition_threshold={self.repetition_threshold}: 0 to 1 is expected")
        for name in ("top_k", "repetition_window"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name}={value}: a whole number from 0 is expected")


def uniforms(generators: Sequence[torch.Generator], steps: Sequence[int], n_codebooks: int) -> Tensor:
    """[B, max(steps), K, 2] in [0, 1): each item's own, as many as it would draw alone."""
    numbers = [
        torch.rand(n, n_codebooks, 2, generator=generator, device=generator.device).cpu()
        for generator, n in zip(generators, steps, strict=True)
    ]
    return torch.nn.utils.rnn.pad_sequence(numbers, batch_first=True)


def sample(logits: Tensor, uniform: Tensor, options: Sampling) -> Tensor:
    """Logits [..., V] and uniform numbers [...] -> tokens [...], by inverting the cumulative distribution."""
    if options.temperature == 0:
        return logits.argmax(-1)
    entries = logits.shape[-1]
    kept = min(options.top_k or entries, entries)
    values, tokens = (logits / options.temperature).topk(kept)
    probability = values.softmax(-1)
    total = probability.cumsum(-1)
    allowed = total - probability < options.top_p
    share = (probability * allowed).sum(-1) * uniform
    place = (total <= share.unsqueeze(-1)).sum(-1)
    place = torch.minimum(place, allowed.sum(-1) - 1)  # a share may round up to the whole
    return tokens.gather(-1, place.unsqueeze(-1)).squeeze(-1)


def sample_again(
    tokens: Tensor, history: Tensor, logits: Tensor, uniform: Tensor, options: Sampling
) -> Tensor:
    """Repetition-aware sampling: tokens [B] again from the whole distribution where history repeats them.

    Args:
        tokens: drawn by `sample`.
        history: int64 [B, repetition_window], the last codes of the same stream.
        logits, uniform: [B, V] and [B]; the numbers are others than those that `tokens` were drawn with.
        options: temperature 0 repeats itself as it likes.
    """
    if options.temperature == 0:
        return tokens
    repeated = (history == tokens.unsqueeze(1)).float().mean(1) > options.repetition_threshold
    whole = Sampling(options.temperature, top_k=0, top_p=1.0)
    return torch.where(repeated, sample(logits, uniform, whole), tokens)
