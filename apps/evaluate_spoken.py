"""Speech of known text, measured: phone errors, words skipped and said again, DNSMOS, pace, whose voice."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..codec.heads import PhoneHead, SpeakerHead
from ..codec.heads.phone_config import without_stress
from ..data import metrics
from ..data.edit_distance import edits
from ..data.text import Phonemes
from ..tts.word_errors import word_errors
from .evaluate_scores import spread
from .evaluate_words import WordRecogniser, spelled


class Utterance(NamedTuple):
    """One utterance, measured.

    Attributes:
        id, set: which one, and what it is reported with.
        words, phones: how many were to be said.
        errors: fewest edits from these phones to those that were heard.
        skipped, repeated: the words that `word_errors` found, as they stand in the normalised text.
        seconds: from the first sound to the last.
        dnsmos: overall; NaN where it is not measured or not defined.
        spelled, misheard: words as `evaluate_words` counts them, and fewest edits from these to those that
            its recogniser heard; None where it is not there.
        voice: what the speaker head hears, a unit vector [E]; None where it is not there.
        likeness: of the voice to that of real recordings, `evaluate_likeness.to_voice`; None where it is not
            measured.
    """

    id: str
    set: str
    words: int
    phones: int
    errors: int
    skipped: tuple[str, ...]
    repeated: tuple[str, ...]
    seconds: float
    dnsmos: float
    spelled: int | None = None
    misheard: int | None = None
    voice: NDArray[np.float32] | None = None
    likeness: float | None = None

    def entry(self) -> dict[str, Any]:
        """As it stands in the report."""
        entry = self._asdict() | {"seconds": round(self.seconds, 3)}
        del entry["voice"]
        for name in ("dnsmos", "likeness"):
            value = entry[name]
            entry[name] = round(value, 4) if value is not None and np.isfinite(value) else None
        return entry


class Judge:
    """Measures utterances.

    Args:
        head: hears the phones.
        dnsmos: whether DNSMOS, which takes longer than all else, is measured as well.
        words: hears words; None for no judge of them.
        speakers: hears whose voice it is; None for no judge of that.
    """

    def __init__(
        self,
        head: PhoneHead,
        dnsmos: bool,
        words: WordRecogniser | None = None,
        speakers: SpeakerHead | None = None,
    ):
        self.head, self.dnsmos, self.words, self.speakers = head, dnsmos, words, speakers

    def __call__(self, id_: str, set_: str, said: Phonemes, wav: NDArray[np.float32]) -> Utterance:
        """Measure the sound [T] of a text, at the rate of the head's codec."""
        phones = [without_stress(phoneme) for word in said.words for phoneme in word.phonemes]
        (heard,) = self.head.recognise(torch.from_numpy(wav)[None, None])
        found = word_errors(self.head, torch.from_numpy(wav)[None], said)
        part = metrics.sounding(wav)
        return Utterance(
            id_,
            set_,
            len(said.words),
            len(phones),
            edits(phones, heard).total,
            tuple(said.words[place].text for place in found.skipped),
            tuple(said.words[place].text for place in found.repeated),
            (part.stop - part.start) / self.head.codec.config.sample_rate,
            metrics.dnsmos(wav).ovrl if self.dnsmos else float("nan"),
            len(spelled(said)) if self.words else None,
            edits(spelled(said), self.words(wav)).total if self.words else None,
            self.speakers.embed(wav[None, None])[0].cpu().numpy() if self.speakers else None,
        )

    def summary(self, utterances: Sequence[Utterance]) -> dict[str, Any]:
        """Rates over all phones and seconds together, counts of words, the spread of DNSMOS and likeness."""
        phones = sum(u.phones for u in utterances)
        seconds = sum(u.seconds for u in utterances)
        likeness = [u.likeness for u in utterances if u.likeness is not None]
        return {
            "utterances": len(utterances),
            "seconds": round(seconds, 2),
            "phones": phones,
            "phone_error_rate": round(sum(u.errors for u in utterances) / phones, 5),
            "words": sum(u.words for u in utterances),
            "skipped": sum(len(u.skipped) for u in utterances),
            "repeated": sum(len(u.repeated) for u in utterances),
            "seconds_per_phone": round(seconds / phones, 5),
            "word_error_rate": _rate([(u.misheard, u.spelled) for u in utterances]),
            "dnsmos_ovrl": spread([u.dnsmos for u in utterances]) if self.dnsmos else None,
            "likeness": spread(likeness) if likeness else None,
        }


def _rate(counts: Sequence[tuple[int | None, int | None]]) -> float | None:
    """Errors of all words together; None where they were not counted."""
    errors, words = zip(*counts, strict=True)
    return None if None in errors else round(sum(errors) / sum(words), 5)
