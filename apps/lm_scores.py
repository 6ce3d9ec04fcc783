"""What a language model of codes is worth: bits a code, and what it says beside what was really said."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codec import Codec
from ..data import metrics
from ..data.token_crops import Example
from ..lm.network import LMNetwork
from ..lm.objective import Objective
from .train_lm_parts import Collator

BATCH = 8


@torch.inference_mode()
def bits_per_code(network: LMNetwork, examples: Sequence[Example]) -> Tensor:
    """Bits that the model codes a code of each stream with [K], over all frames of the examples; fp32."""
    objective = Objective((1.0,) * network.config.n_codebooks)
    collate, device = Collator(network.config), network.tables.device
    nats = torch.zeros(network.config.n_codebooks)
    count = torch.zeros(network.config.n_codebooks)
    ordered = sorted(examples, key=lambda example: example.codes.shape[1])
    for first in range(0, len(ordered), BATCH):
        loss = objective(network, network.config, collate(ordered[first : first + BATCH]).to(device))
        nats += (loss.nats * loss.learned).cpu()
        count += loss.learned.cpu()
    return nats / count / math.log(2)


class Beside(NamedTuple):
    """A prompt's sound and how it goes on, [T] each: as it was `spoken` and as the model `continued` it; both
    begin with the prompt, whose end is at sample `begin`."""

    spoken: NDArray[np.float32]
    continued: NDArray[np.float32]
    begin: int

    @property
    def silence(self) -> tuple[float, float]:
        """Share of silence after the prompt, beside the loud parts of the prompt: spoken, continued."""
        prompts = (self.spoken[: self.begin], self.continued[: self.begin])
        rest = (self.spoken[self.begin :], self.continued[self.begin :])
        spoken, continued = (metrics.silence_ratio(*pair) for pair in zip(rest, prompts, strict=True))
        return spoken, continued


def beside(codec: Codec, codes: Tensor, prompt: int, new: Tensor) -> Beside:
    """The sound of both ways to go on.

    Args:
        codec: made the codes.
        codes: int64 [K, N] of what was really said.
        prompt: how many of its frames are the prompt.
        new: int64 [K, n] that the model added to them.
    """
    both = (codes, torch.cat([codes[:, :prompt], new], 1))
    spoken, continued = (codec.decode(one.unsqueeze(0))[0, 0].numpy() for one in both)
    return Beside(spoken, continued, prompt * codec.config.hop_length)
