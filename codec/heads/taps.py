"""Features from several depths of the encoder, weighted by what a head learns (SUPERB, Yang et al. 2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.errors import CheckpointError
from ..codec import Codec
from .head_config import HeadConfig


class DepthMix(nn.Module):
    """`Depths.hidden` [L, B, D, N] -> [B, N, D]: each depth normalised, summed with softmax weights, and
    normalised again with a learned scale and shift."""

    def __init__(self, layers: int, dim: int):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, hidden: Tensor) -> Tensor:
        depths = F.layer_norm(hidden.transpose(2, 3), hidden.shape[2:3])
        return self.norm(torch.einsum("lbnd,l->bnd", depths, self.weights.softmax(0)))


def mask_features(hidden: Tensor, lengths: Tensor, time_share: float, channel_share: float) -> Tensor:
    """A copy of `hidden` [L, B, D, N] with holes, for training (SpecAugment, Park et al. 2019).

    Each item loses two stretches of time, each up to `time_share` of its `lengths` [B] frames, and up to
    `channel_share` of its channels. Draws from torch's global generator on the CPU.
    """
    _, batch, dim, frames = hidden.shape
    place = torch.arange(frames)
    kept = torch.ones(batch, frames, dtype=torch.bool)
    for _ in range(2):
        width = torch.rand(batch) * time_share * lengths.cpu()
        start = torch.rand(batch) * (lengths.cpu() - width)
        kept &= (place < start[:, None]) | (place >= (start + width)[:, None])
    channels = torch.rand(batch, dim) >= torch.rand(batch, 1) * channel_share
    mask = kept[:, None] & channels[:, :, None]
    return hidden * mask.to(hidden.device, hidden.dtype)


class OtherCodecError(CheckpointError):
    """A head that was trained on the features of another codec."""


def check_codec(config: HeadConfig, codec: Codec) -> None:
    """OtherCodecError where a head was trained on the features of another codec."""
    if config.codec_hash not in ("", codec.codes_hash):
        raise OtherCodecError(
            f"{config.name} reads features of {config.codec} {config.codec_hash[:8]}, not of "
            f"{codec.config.name} {codec.codes_hash[:8] or '(never saved)'}"
        )
    depths, dim = codec.config.encoder_layers + 2, codec.config.encoder_dim
    if (config.layers, config.feature_dim) != (depths, dim):
        raise OtherCodecError(
            f"{config.name} reads {config.layers} depths of {config.feature_dim} channels, "
            f"{codec.config.name} has {depths} of {dim}"
        )
