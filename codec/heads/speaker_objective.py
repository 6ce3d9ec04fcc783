"""The arithmetic of training a speaker head, apart from any loop: additive angular margin softmax (ArcFace,
Deng et al. 2019).

Every speaker of the training data gets a direction; an embedding has to lie nearer to its own speaker's than
to all others', and by a margin, so that speakers who were never heard fall apart as well. The directions
belong to the training, not to the head."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .speaker import SpeakerNetwork
from .taps import mask_features

TIME_SHARE, CHANNEL_SHARE = 0.08, 0.1


class Loss(NamedTuple):
    """`loss`: call backward on it; `report`: for the log, the loss in nats and the `error`, the share of
    items that are nearest to another speaker."""

    loss: Tensor
    report: dict[str, float]


class SpeakerClassifier(nn.Module):
    """What is trained: a `SpeakerNetwork`, and a direction for each of `speakers` speakers."""

    def __init__(self, network: SpeakerNetwork, speakers: int):
        super().__init__()
        self.network = network
        dim = network.config.embedding_dim
        # Of length 1: steps of Adam are as long as the rate says, so a longer vector would turn more slowly.
        self.directions = nn.Parameter(torch.randn(speakers, dim) / math.sqrt(dim))

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Features [L, B, D, N], with holes while training (SpecAugment), and the frames of each item [B] ->
        cosines to the speakers' directions [B, S]."""
        if self.training:
            hidden = mask_features(hidden, lengths, TIME_SHARE, CHANNEL_SHARE)
        embedding = self.network(hidden, lengths)
        with torch.autocast(embedding.device.type, enabled=False):
            return embedding @ F.normalize(self.directions, dim=-1).T


def margin_loss(cosines: Tensor, speakers: Tensor, margin: float = 0.2, scale: float = 30.0) -> Loss:
    """Cross-entropy of the speakers [B] given the cosines [B, S] times `scale`, the own speaker's angle made
    greater by `margin` radians first."""
    own = F.one_hot(speakers, cosines.shape[1]).bool()
    logits = scale * torch.where(own, with_margin(cosines, margin), cosines)
    loss = F.cross_entropy(logits, speakers)
    error = (cosines.detach().argmax(1) != speakers).float().mean()
    return Loss(loss, {"loss": float(loss.detach()), "error": float(error)})


def with_margin(cosine: Tensor, margin: float) -> Tensor:
    """cos(angle + margin); where that angle would pass 180 degrees, a line that goes on falling."""
    sine = (1 - cosine**2).clamp_min(1e-6).sqrt()
    added = cosine * math.cos(margin) - sine * math.sin(margin)
    return torch.where(cosine > -math.cos(margin), added, cosine - margin * math.sin(margin))
