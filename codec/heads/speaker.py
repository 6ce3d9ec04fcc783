"""The speaker head: a voice as a unit vector, from the codec's continuous features.

The dot product of two such vectors is near 1 where one speaker is heard in both recordings, whatever is said,
and about 0 where two are. An x-vector network (Snyder et al. 2018) whose frames are pooled by attentive
statistics (Okabe et al. 2018), with weights of its own for each channel (ECAPA, Desplanques et al. 2020)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.errors import AudioError
from .. import checkpoint
from ..codec import Codec
from ..layers import ChannelNorm
from .block import Block
from .speaker_config import SpeakerHeadConfig
from .taps import DepthMix, check_codec

SHIPPED = Path(__file__).parent / "weights"
ATTENTION_DIM = 64
VARIANCE_FLOOR = 1e-5


class AttentivePooling(nn.Module):
    """Mean and standard deviation over time, of the frames that tell most: [B, N, C] -> [B, 2 C]."""

    def __init__(self, dim: int):
        super().__init__()
        self.hidden = nn.Linear(dim, ATTENTION_DIM)
        self.scores = nn.Linear(ATTENTION_DIM, dim)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """`inside` [B, N, 1]: whether a frame counts; one of each item at least."""
        scores = self.scores(torch.tanh(self.hidden(x)))
        weights = scores.masked_fill(~inside, -torch.inf).softmax(1)
        mean = (weights * x).sum(1)
        variance = (weights * (x - mean[:, None]) ** 2).sum(1)
        return torch.cat([mean, variance.clamp_min(VARIANCE_FLOOR).sqrt()], 1)


class SpeakerNetwork(nn.Module):
    """`Depths.hidden` -> unit vectors."""

    def __init__(self, config: SpeakerHeadConfig):
        super().__init__()
        c = self.config = config
        self.mix = DepthMix(c.layers, c.feature_dim)
        self.input = nn.Linear(c.feature_dim, c.dim)
        self.blocks = nn.ModuleList(Block(c, c.kernel, 1 / c.blocks) for _ in range(c.blocks))
        self.norm = nn.LayerNorm(c.dim)
        self.pool = AttentivePooling(c.dim)
        # By the mean and deviation over speakers: what all of them have in common says nothing about one.
        self.pooled_norm = ChannelNorm(2 * c.dim)
        self.output = nn.Linear(2 * c.dim, c.embedding_dim)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """[L, B, D, N] and the frames of each item [B], one at least -> [B, embedding_dim], float32."""
        inside = (torch.arange(hidden.shape[3], device=hidden.device) < lengths[:, None])[:, :, None]
        x = self.input(self.mix(hidden))
        for block in self.blocks:
            x = block(x, inside)
        with torch.autocast(x.device.type, enabled=False):
            pooled = self.pool(self.norm(x.float()), inside)
            centred = self.pooled_norm(pooled[:, None], batch_statistics=self.training)[:, 0]
            return F.normalize(self.output(centred), dim=-1)


class SpeakerHead:
    """A trained speaker head with its codec, in evaluation mode.

    Attributes:
        codec: whose features it reads.
        network: its `SpeakerNetwork`.
        config: its architecture.
    """

    def __init__(self, codec: Codec, network: SpeakerNetwork):
        check_codec(network.config, codec)
        self.codec, self.config = codec, network.config
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def from_pretrained(cls, codec: Codec, name_or_folder: str | Path = "speakers-16k") -> "SpeakerHead":
        """Load a shipped head by name, or a folder with `config.json` and `model.safetensors`, for `codec`.

        Raises:
            CheckpointError: nothing there, not a speaker head, or one that was trained on another codec.
        """
        folder = checkpoint.resolve_in(SHIPPED, "speaker head", name_or_folder, "speakers*")
        config, tensors = checkpoint.load_as(SpeakerHeadConfig, folder)
        check_codec(config, codec)
        network = SpeakerNetwork(config)
        checkpoint.fill(network, tensors, folder)
        return cls(codec, network.to(codec.device))

    def embed(self, wav: Tensor | np.ndarray, lengths: Sequence[int] | None = None) -> Tensor:
        """Who speaks, as unit vectors, float32 [B, embedding_dim]: the dot product of two of them says how
        much alike the voices are, -1 to 1. The more speech, the better: below 2 s it is a guess.

        Args:
            wav: float [B, 1, T] in [-1, 1] at the codec's rate, padded where items differ in length; what
                the padding holds does not matter.
            lengths: samples of each item, 1 to T; T for all if left out.

        Raises:
            AudioError: a wrong shape, nothing in it, NaN, or lengths that do not fit.
        """
        checked = self.codec.checked(wav)
        _, channels, size = checked.shape
        if channels != 1:
            raise AudioError(f"wav has shape {tuple(checked.shape)}: [batch, 1, samples] is expected")
        samples = torch.tensor([size] * len(checked) if lengths is None else list(lengths))
        if samples.shape != checked.shape[:1] or bool(((samples < 1) | (samples > size)).any()):
            raise AudioError(
                f"lengths are {samples.tolist()}: {len(checked)} numbers from 1 to {size} are expected"
            )
        checked = checked * (torch.arange(size) < samples[:, None])[:, None]
        hidden = self.codec.depths(checked).hidden
        frames = -(-samples // self.codec.config.hop_length)
        with torch.inference_mode():
            found = self.network(hidden, frames.to(hidden.device))
        return found.clone()
