"""A judge of words that is not ours: PocketSphinx with the US English model of its package, offline."""

import re

import numpy as np
from numpy.typing import NDArray

from ..data.errors import MynahError
from ..data.text import Phonemes

SAMPLE_RATE = 16000


class WordRecogniser:
    """Hears words in speech, without being told which they could be.

    Raises:
        MynahError: the package `pocketsphinx` is not installed.
    """

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ModuleNotFoundError:
            raise MynahError("word errors need the package pocketsphinx") from None
        self._decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")

    def __call__(self, wav: NDArray[np.float32]) -> list[str]:
        """The words in mono speech [T] at 16 kHz, in lower case."""
        self._decoder.reinit_feat()  # it adapts to what it hears: each recording is judged alone
        self._decoder.start_utt()
        self._decoder.process_raw((wav.clip(-1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        best = self._decoder.hyp()
        return best.hypstr.split() if best is not None else []


def spelled(said: Phonemes) -> list[str]:
    """The words of a text as the recogniser writes them; what is no letter or apostrophe parts words."""
    return re.findall(r"[a-z']+", " ".join(word.text for word in said.words).lower())
