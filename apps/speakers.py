"""Who speaks in many recordings, and how well a speaker head tells it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..codec.heads.speaker import SpeakerHead

BATCH = 16


def embed_all(head: SpeakerHead, wavs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Unit vectors [N, E] of mono sounds [T] at the codec's rate, of any lengths."""
    found = np.zeros((len(wavs), head.config.embedding_dim), np.float32)
    order = sorted(range(len(wavs)), key=lambda i: len(wavs[i]))
    for first in range(0, len(order), BATCH):
        places = order[first : first + BATCH]
        lengths = [len(wavs[i]) for i in places]
        wav = torch.zeros(len(places), 1, max(lengths))
        for row, i in zip(wav, places, strict=True):
            row[0, : len(wavs[i])] = torch.from_numpy(wavs[i])
        found[places] = head.embed(wav, lengths).cpu().numpy()
    return found


def direction(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of unit vectors [N, E] as one [E]."""
    mean = embeddings.mean(0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def cut(wav: NDArray[np.float32], start: float, stop: float, sample_rate: int) -> NDArray[np.float32]:
    """Seconds `start` to `stop` of a sound [T]."""
    return wav[round(start * sample_rate) : round(stop * sample_rate)]
