"""Real recordings of a voice's speaker, which synthesized speech is measured against."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..data.errors import MynahError, TextError
from ..data.manifest import Recording
from ..data.text import Phonemes, phonemize
from ..tts import Voice
from .evaluate_sets import choose
from .evaluate_spoken import Judge, Utterance
from .recordings import read_mono

ENOUGH = 20  # recordings of the split test; with fewer, those of val are taken as well
MOST = 50
LANGUAGE = "en"


class Real(NamedTuple):
    """A recording and what is said in it."""

    recording: Recording
    said: Phonemes


def real_recordings(
    voice: Voice, recordings: Sequence[Recording], data: str, limit: int | None = None
) -> list[Real]:
    """Recordings of a voice's speaker with English text that no model was trained on: at most 50, or `limit`.

    Args:
        voice: its `speaker` is who the recordings have to be of.
        recordings: what lies in `data`.
        data: the folder's name, for messages.
        limit: at most so many.

    Raises:
        MynahError: the voice names no speaker, or there are no such recordings.
    """
    if not voice.speaker:
        raise MynahError(
            f"the voice {voice.name} names no speaker, so {data} has no recordings to compare with"
        )
    own = [r for r in recordings if r.speaker == voice.speaker and r.language in (LANGUAGE, None)]
    parts = {split: _said([r for r in own if r.split == split]) for split in ("test", "val")}
    found = parts["test"] if len(parts["test"]) >= ENOUGH else parts["test"] + parts["val"]
    if not found:
        raise MynahError(
            f"{data}: no recordings of {voice.speaker} (the voice {voice.name}) with English text "
            "in test or val"
        )
    kept = {r.id for r in choose([real.recording for real in found], MOST if limit is None else limit)}
    return [real for real in found if real.recording.id in kept]


def floor(
    real: Sequence[Real], judge: Judge, bitrate: float, advance: Callable[[], object]
) -> tuple[list[Utterance], list[Utterance]]:
    """The recordings measured, as they are and through the judge's codec at a bitrate in kbit/s."""
    codec = judge.head.codec
    rate = codec.config.sample_rate
    plain, coded = [], []
    for recording, said in real:
        wav = read_mono(recording, rate)
        plain.append(judge(recording.id, "real", said, wav))
        codes = codec.encode(torch.from_numpy(wav)[None, None], rate, bitrate)
        coded.append(judge(recording.id, "coded", said, np.clip(codec.decode(codes)[0, 0].numpy(), -1, 1)))
        advance()
    return plain, coded


def _said(recordings: Sequence[Recording]) -> list[Real]:
    """Those of the recordings whose text can be spoken."""
    found = []
    for recording in recordings:
        try:
            found.append(Real(recording, phonemize(recording.text or "")))
        except TextError:
            continue
    return found
