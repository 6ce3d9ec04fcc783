"""The phone head: which phones are spoken, and when, from the codec's continuous features.

Two outputs, each with a branch of its own. *CTC* (Graves et al. 2006) recognises: its branch sees far, and
its scores are sharp peaks in a sea of blanks, right in order but not in time. *Frames* aligns: every frame is
a phone or silence, with no blank to hide behind. Its branch sees little, the shallowest features of a few
frames: what remembers a phone can call the silence after it by its name (docs/log.md). The symbols'
frequencies are divided out of its probabilities, or silence would swallow the phones (Zeyer et al. 2021)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .. import checkpoint
from ..codec import Codec
from ..distributed import all_reduce_mean
from .block import Block
from .paths import GAP
from .phone_config import PhoneHeadConfig
from .taps import DepthMix, check_codec

SHIPPED = Path(__file__).parent / "weights"
PRIOR_MOMENTUM = 0.1
HINT = 4.0  # nats


class Scores(NamedTuple):
    """Log-scores of `config.symbols` for every frame, float32 [B, N, V]: `ctc` are log-probabilities, symbol
    0 the blank; `frames` log-probabilities less those of the symbols as such, symbol 0 silence."""

    ctc: Tensor
    frames: Tensor

    def hinted(self, weight: float) -> Tensor:
        """Scores to align with, [B, N, V]: those of `frames`, and `weight` times what the peaks of CTC say: 0
        for a phone that is heard for sure, down to -`HINT` for all that is not. Silence and blank are
        different things: silence gets no hint."""
        hints = self.ctc.clamp_min(-HINT)
        hints[..., GAP] = -HINT
        return self.frames + weight * hints


class Branch(nn.Module):
    """The first depths of `Depths.hidden` [L, B, D, N] -> log-probabilities of the symbols [B, N, V]."""

    def __init__(self, c: PhoneHeadConfig, depths: int, blocks: int, kernel: int):
        super().__init__()
        self.depths = depths
        self.mix = DepthMix(depths, c.feature_dim)
        self.input = nn.Linear(c.feature_dim, c.dim)
        self.blocks = nn.ModuleList(Block(c, kernel, 1 / blocks) for _ in range(blocks))
        self.norm = nn.LayerNorm(c.dim)
        self.output = nn.Linear(c.dim, len(c.symbols))

    def forward(self, hidden: Tensor, inside: Tensor) -> Tensor:
        x = self.input(self.mix(hidden[: self.depths]))
        for block in self.blocks:
            x = block(x, inside)
        with torch.autocast(x.device.type, enabled=False):
            return self.output(self.norm(x.float())).log_softmax(-1)


class PhoneNetwork(nn.Module):
    """`Depths.hidden` -> `Scores`; while training it also learns how frequent the symbols are."""

    log_prior: Tensor

    def __init__(self, config: PhoneHeadConfig):
        super().__init__()
        self.config = config
        self.ctc = Branch(config, config.layers, config.blocks, config.kernel)
        self.frames = Branch(config, config.frame_depths, config.frame_blocks, config.frame_kernel)
        uniform = torch.full((len(config.symbols),), 1 / len(config.symbols))
        self.register_buffer("log_prior", uniform.log())

    def forward(self, hidden: Tensor, lengths: Tensor) -> Scores:
        """[L, B, D, N] and the frames of each item [B] -> [B, N, V] twice."""
        inside = (torch.arange(hidden.shape[3], device=hidden.device) < lengths[:, None])[:, :, None]
        frames = self.frames(hidden, inside)
        if self.training:
            mean = all_reduce_mean((frames.detach().exp() * inside).sum((0, 1)) / inside.sum())
            self.log_prior.copy_(torch.lerp(self.log_prior.exp(), mean, PRIOR_MOMENTUM).clamp_min(1e-4).log())
        return Scores(self.ctc(hidden, inside), frames - self.log_prior)


class PhoneHead:
    """A trained phone head with its codec, in evaluation mode.

    Attributes:
        codec: whose features it reads.
        network: its `PhoneNetwork`.
        config: its architecture.
    """

    def __init__(self, codec: Codec, network: PhoneNetwork):
        check_codec(network.config, codec)
        self.codec, self.config = codec, network.config
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def from_pretrained(cls, codec: Codec, name_or_folder: str | Path = "phones-16k") -> "PhoneHead":
        """Load a shipped head by name, or a folder with `config.json` and `model.safetensors`, for `codec`.

        Raises:
            CheckpointError: nothing there, not a phone head, or one that was trained on another codec.
        """
        folder = checkpoint.resolve_in(SHIPPED, "phone head", name_or_folder, "phones*")
        config, tensors = checkpoint.load_as(PhoneHeadConfig, folder)
        check_codec(config, codec)
        network = PhoneNetwork(config)
        checkpoint.fill(network, tensors, folder)
        return cls(codec, network.to(codec.device))

    def scores(self, wav: Tensor | np.ndarray, lengths: Sequence[int] | None = None) -> Scores:
        """Scores of mono speech.

        Args:
            wav: float [B, 1, T] in [-1, 1] at the codec's rate, padded where items differ in length.
            lengths: samples of each item, 1 to T; T for all if left out.

        Raises:
            AudioError: a wrong shape, nothing in it, or NaN.
        """
        hidden = self.codec.depths(wav).hidden
        samples = [wav.shape[-1]] * len(wav) if lengths is None else lengths
        frames = torch.tensor([self.frames_of(length) for length in samples], device=hidden.device)
        with torch.inference_mode():
            scores = self.network(hidden, frames)
        return Scores(scores.ctc.clone(), scores.frames.clone())

    def frames_of(self, length: int) -> int:
        """Frames of `length` samples: as many as they begin."""
        return -(-length // self.codec.config.hop_length)

    def recognise(
        self, wav: Tensor | np.ndarray, lengths: Sequence[int] | None = None
    ) -> list[tuple[str, ...]]:
        """The phones heard in each item, without stress and silences; arguments as `scores`."""
        best = self.scores(wav, lengths).ctc.argmax(-1)
        samples = [wav.shape[-1]] * len(wav) if lengths is None else lengths
        return [
            tuple(self.config.symbols[i] for i in collapse(row[: self.frames_of(length)]))
            for row, length in zip(best, samples, strict=True)
        ]


def collapse(best: Tensor) -> list[int]:
    """Labels of a CTC path [N]: repetitions count once, blanks nothing."""
    labels = torch.unique_consecutive(best).tolist()
    return [label for label in labels if label != GAP]
