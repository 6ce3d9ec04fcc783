"""How much alike voices are: cosines of what a speaker head hears in them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..codec import Codec
from ..codec.heads import SpeakerHead
from ..data.errors import CheckpointError
from .evaluate_scores import Tell
from .evaluate_spoken import Utterance
from .speakers import direction

HEAD = "speakers-16k"

Embeddings = NDArray[np.float32]


def speaker_head(codec: Codec, name: str, note: Tell) -> SpeakerHead | None:
    """The head of a name or folder; None, and a note, where it is the default one that is not there for
    this codec.

    Raises:
        CheckpointError: any other one is not there, or not for this codec.
    """
    try:
        return SpeakerHead.from_pretrained(codec, name)
    except CheckpointError as error:
        if name != HEAD:
            raise
        note(f"likeness of voices is left out: {error}")
        return None


class ToVoice(NamedTuple):
    """Cosines to the mean of a speaker's real recordings: of what was synthesized [N], and of each recording
    as it is and `coded` [M], to the mean of all the others (NaN where there are none)."""

    spoken: list[float]
    real: list[float]
    coded: list[float]


def to_voice(spoken: Embeddings, real: Embeddings, coded: Embeddings) -> ToVoice:
    """Compare unit vectors [N, E] with those of real recordings [M, E], and of the same through the codec."""
    mean = direction(real)
    others = [np.full_like(mean, np.nan)]
    if len(real) > 1:
        others = [direction(np.delete(real, i, 0)) for i in range(len(real))]

    def floor(rows: Embeddings) -> list[float]:
        return [float(row @ other) for row, other in zip(rows, others, strict=True)]

    return ToVoice((spoken @ mean).tolist(), floor(real), floor(coded))


def with_likeness(
    spoken: Sequence[Utterance], real: Sequence[Utterance], coded: Sequence[Utterance]
) -> list[list[Utterance]]:
    """The three with their likeness to the real ones; a judge with a speaker head has measured them."""
    parts = (spoken, real, coded)
    found = to_voice(*(np.stack([u.voice for u in part if u.voice is not None]) for part in parts))
    return [
        [u._replace(likeness=cosine) for u, cosine in zip(part, cosines, strict=True)]
        for part, cosines in zip(parts, found, strict=True)
    ]


class ToPrompts(NamedTuple):
    """Cosines of what follows each prompt [N]: to its own prompt, and, on the mean, to those of the others
    (NaN where there are none)."""

    own: list[float]
    others: list[float]


def to_prompts(following: Embeddings, prompts: Embeddings) -> ToPrompts:
    """Compare unit vectors of what was said after the prompts with those of the prompts, [N, E] both."""
    cosines = following @ prompts.T
    own = cosines.diagonal()
    count = max(len(own) - 1, 0)
    others = (cosines.sum(1) - own) / count if count else np.full(len(own), np.nan)
    return ToPrompts(own.tolist(), others.tolist())
