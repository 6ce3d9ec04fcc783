"""The models that the tabs of the demo run: named when it starts, loaded when they are first needed."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ..codec import Codec
from ..lm import LanguageModel
from ..tts import Durations, Synthesizer, voice_store
from . import codecs, continuing, say


class Speaker(NamedTuple):
    """A language model and the codec in whose codes it speaks."""

    lm: LanguageModel
    codec: Codec


@dataclass(frozen=True)
class Models:
    """Names or folders, as the options of `mynah say` give them.

    Attributes:
        lm: the language model.
        durations: the duration model.
        codec: None for the one that the language model names.
    """

    lm: str = say.MODEL
    durations: str = say.DURATIONS
    codec: str | None = None

    def synthesizer(self, voice: str | None) -> Synthesizer:
        """Speaks in a voice of the list, the first one for None.

        Raises:
            MynahError: a model that is missing or does not fit the others, no such voice.
        """
        lm = _lm(self.lm)
        chosen = voice_store.named(voice or voice_store.default_name())
        return Synthesizer(codecs.load(self.codec or lm.config.codec), lm, _durations(self.durations), chosen)

    def speaker(self) -> Speaker:
        """Goes on speaking from a prompt; MynahError where a model is missing or does not fit the other."""
        lm = _lm(self.lm)
        codec = codecs.load(self.codec or lm.config.codec)
        continuing.check_models(lm, codec)
        return Speaker(lm, codec)


@lru_cache(maxsize=2)
def _lm(name_or_folder: str) -> LanguageModel:
    return LanguageModel.from_pretrained(name_or_folder, int8=True)


@lru_cache(maxsize=1)
def _durations(name_or_folder: str) -> Durations:
    return Durations.from_pretrained(name_or_folder)
