"""Text to speech as its users see it: text of any length in, sound out while it is being made.

Text is cut into pieces that are said in one breath; of each, the duration model says how long every phoneme
lasts, the language model makes the codes, after the voice's prompt, and the codec turns them into sound.
Every piece is made by itself, after the prompt, which is read once, so that the voice does not drift and
memory does not grow.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codec import Codec
from ..data.errors import CheckpointError
from ..data.text import ENGLISH, PAD, SILENCE, SYMBOLS, LanguageError, Phonemes, phonemize_long
from ..data.text.espeak import code_of
from ..data.text.split import LONGEST
from ..lm import Generation, LanguageModel, Prompt, Sampling
from .durations import Durations
from .pieces import Part, Piece, parts, with_words
from .retakes import Retakes
from .sound_blocks import Fade, blocks
from .voice import GUIDANCE, Voice, VoiceError

RATES = (0.5, 2.0)
LEAD = 4  # frames of silence before a piece, so that what the prompt ends with does not run into it
LEAST_ROOM = 1.0  # seconds that a piece may at least have beside the prompt
CHARACTERS = 13  # a second, spoken slowly
AT_ONCE = 8  # pieces that are made together where nobody waits for the first sound
CLEARER, FREER = 3.5, Sampling(temperature=1.0, top_p=0.95)  # guidance and sampling of what is said again
RETAKE = 1_000_000  # seeds between two takes of a piece: more than a text has pieces
FADE = 0.005  # seconds at both ends of a piece: what is cut within a phrase does not click

Samples = NDArray[np.float32]


class Synthesizer:
    """Speaks text in a voice.

    Args:
        codec: turns codes into sound.
        lm: makes codes; trained on those of this codec, with phonemes.
        durations: says how long phonemes last.
        voice: whose voice.

    Attributes:
        sample_rate: Hz of the sound.
        heard: the voice's prompt and speaker vector, read by the language model.

    Raises:
        CheckpointError: models that do not fit each other.
        VoiceError: a voice that was not made for these models, or whose prompt leaves no room to speak.
    """

    def __init__(self, codec: Codec, lm: LanguageModel, durations: Durations, voice: Voice):
        _check_models(codec, lm, durations)
        voice.check(codec, lm)
        self.codec, self.lm, self.durations, self.voice = codec, lm, durations, voice
        self.sample_rate = codec.config.sample_rate
        try:
            durations.config.speaker_id(voice.speaker)
        except ValueError as error:
            raise VoiceError(f"the voice {voice.name}: {error}") from None
        self._late = codec.config.delay // codec.config.hop_length  # frames that push out the last sound
        room = lm.config.max_frames - voice.codes.shape[1] - LEAD - self._late
        if room < LEAST_ROOM * lm.config.frame_rate:
            seconds = voice.codes.shape[1] / lm.config.frame_rate
            most = lm.config.max_frames / lm.config.frame_rate
            raise VoiceError(
                f"the voice {voice.name} has a prompt of {seconds:g} s, which leaves no room in the "
                f"{most:g} s that {lm.config.name} can speak at once"
            )
        self._most = room
        vector = voice.speaker_vector
        prompt = voice.prompt(lm.config.n_codebooks)
        if prompt is not None and lm.subwords is not None:
            prompt = Prompt(prompt.codes)  # its words are not known, only its phonemes
        self.heard = lm.hear(prompt, vector[None] if vector is not None else None)
        self._pace = 1.0
        if voice.phonemes and not voice.speaker:
            self._pace = durations.pace(voice.phonemes, voice.durations)

    def pieces(
        self,
        text: str | Iterable[str],
        rate: float = 1.0,
        user_lexicon: Mapping[str, tuple[str, ...]] | None = None,
        language: str = ENGLISH,
    ) -> Iterator[Piece]:
        """The pieces of a text, with what is going to be said in them, one after the other.

        Args:
            text: whole or in parts that may end anywhere.
            rate: how many times as fast as the voice usually speaks, 0.5 to 2.
            user_lexicon, language: as for `data.text.phonemize`.

        Raises:
            ValueError: a rate out of range.
            TextError: nothing to say in all of the text.
            LanguageError: as `data.text.phonemize`; a model that is told letters, and not English.
        """
        if not RATES[0] <= rate <= RATES[1]:
            raise ValueError(f"rate={rate:g}: {RATES[0]:g} to {RATES[1]:g} is expected")
        if self.lm.subwords is not None and code_of(language) != ENGLISH:
            raise LanguageError(f"{self.lm.config.name} is told letters: it reads English, not {language!r}")
        return self._pieces(text, rate * self._pace, user_lexicon, language)

    def _pieces(
        self,
        text: str | Iterable[str],
        rate: float,
        user_lexicon: Mapping[str, tuple[str, ...]] | None,
        language: str,
    ) -> Iterator[Piece]:
        seconds = self._most / self.lm.config.frame_rate
        longest = min(max(int(CHARACTERS * seconds), 40), LONGEST)
        for said in phonemize_long(text, user_lexicon, longest, language):
            lasting = self.durations.predict(said.symbols, self.voice.speaker, rate)
            warnings = (*said.warnings, *self._not_told(said))
            found = parts(Part(said.symbols, lasting), self._most)
            for part, words in with_words(found, [word.text for word in said.words]):
                yield Piece(said.text, part.phonemes, part.durations, words, warnings)
                warnings = ()

    def _not_told(self, said: Phonemes) -> list[str]:
        """A line for every pronunciation that a language model which is told letters does not hear of."""
        if self.lm.subwords is None:
            return []
        given = dict.fromkeys(word.text for word in said.words if word.source in ("lexicon", "override"))
        return [f"{word!r} is said as it is spelled: {self.lm.config.name} is told letters" for word in given]

    def speak_piece(
        self,
        piece: Piece,
        generator: torch.Generator,
        guidance: float | None = None,
        sampling: Sampling | None = None,
    ) -> Iterator[Samples]:
        """The sound of a piece in blocks, float32 [1, T], as it is made; in all, a short silence and as many
        frames as its durations add up to.

        Args:
            piece: from `pieces`.
            generator: the same state gives the same sound.
            guidance, sampling: as for `LanguageModel.speak`; None for `GUIDANCE` and `Sampling()`.

        Raises:
            ValueError: guidance out of range.
        """
        generation = self._generation([piece], [generator], guidance, sampling)
        yield from self._sound(piece, (frames.codes for frames in generation))

    def speak_pieces(
        self,
        pieces: Sequence[Piece],
        generators: Sequence[torch.Generator],
        guidance: float | None = None,
        sampling: Sampling | None = None,
    ) -> list[Samples]:
        """The whole sound of each piece, float32 [1, T], made together: what `speak_piece` says with their
        generators, sooner, since most of a step's time does not depend on how many pieces it makes.

        Args, Raises: as `speak_piece`.
        """
        made = self._generation(pieces, generators, guidance, sampling).codes()
        return [
            np.concatenate(list(self._sound(piece, [codes[None]])), axis=1)
            for piece, codes in zip(pieces, made, strict=True)
        ]

    def _generation(
        self,
        pieces: Sequence[Piece],
        generators: Sequence[torch.Generator],
        guidance: float | None,
        sampling: Sampling | None,
    ) -> Generation:
        """The codes of pieces, and those that push out the last sound."""
        told = [self._told(piece) for piece in pieces]
        return self.lm.speak(
            [[SILENCE, *symbols] for symbols, _ in told],
            [[LEAD, *lasting[:-1], lasting[-1] + self._late] for _, lasting in told],
            generators=generators,
            heard=self.heard,
            guidance=GUIDANCE if guidance is None else guidance,
            sampling=sampling,
        )

    def _told(self, piece: Piece) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Symbols and durations as the language model knows them."""
        if self.lm.subwords is None:
            return piece.phonemes, piece.durations
        return self.lm.subwords.spelled(piece.phonemes, piece.durations, piece.words)

    def _sound(self, piece: Piece, made: Iterable[Tensor]) -> Iterator[Samples]:
        """Codes [1, K, n] of a piece, as they are made, to sound [1, T]."""
        n_samples = (LEAD + sum(piece.durations)) * self.codec.config.hop_length
        fade = Fade(n_samples, round(FADE * self.sample_rate))
        state = self.codec.init_decode_state(1)
        drop = self.codec.config.delay
        for codes in blocks(made):
            wav, state = self.codec.decode_step(codes, state)
            wav, drop = wav[0, :, drop:], max(0, drop - wav.shape[2])
            if wav.shape[1]:
                yield fade(wav.clamp(-1, 1).cpu().numpy())

    def speak(
        self,
        text: str | Iterable[str],
        *,
        seed: int = 0,
        rate: float = 1.0,
        guidance: float | None = None,
        sampling: Sampling | None = None,
        user_lexicon: Mapping[str, tuple[str, ...]] | None = None,
        language: str = ENGLISH,
        retakes: Retakes | None = None,
        begun: Callable[[Piece], object] = lambda piece: None,
    ) -> Iterator[Samples]:
        """The sound of a text in blocks, float32 [1, T], as it is made; constant memory for any length.

        Args:
            text, rate, user_lexicon, language: as for `pieces`.
            seed: the same seed gives the same sound; piece number i is made with `seed + i`.
            guidance, sampling: as for `LanguageModel.speak`; None for `GUIDANCE` and `Sampling()`.
            retakes: say a piece again where a word is missing or said twice, with guidance `CLEARER` and
                `FREER` sampling unless others than the usual are asked for: takes drawn alike have the same
                faults. A block is then a whole piece, and `AT_ONCE` of them are made together.
            begun: told of each piece before its sound is made.

        Raises:
            ValueError, TextError: as `pieces` and `speak_piece`.
        """
        numbered = enumerate(self.pieces(text, rate, user_lexicon, language))

        def generator(number: int, again: int = 0) -> torch.Generator:
            return torch.Generator().manual_seed(seed + number + again * RETAKE)

        if retakes is None:
            for number, piece in numbered:
                begun(piece)
                yield from self.speak_piece(piece, generator(number), guidance, sampling)
            return
        while some := list(islice(numbered, AT_ONCE)):
            for _, piece in some:
                begun(piece)
            generators = [generator(number) for number, _ in some]
            sounds = self.speak_pieces([piece for _, piece in some], generators, guidance, sampling)
            for (number, piece), sound in zip(some, sounds, strict=True):

                def take(
                    again: int, number: int = number, piece: Piece = piece, first: Samples = sound
                ) -> Iterable[Samples]:
                    if not again:
                        return [first]
                    clearer = CLEARER if guidance is None else guidance
                    freer = FREER if sampling in (None, Sampling()) else sampling
                    return self.speak_piece(piece, generator(number, again), clearer, freer)

                yield retakes.best(piece.phonemes, take)

    def synthesize(
        self,
        text: str | Iterable[str],
        *,
        seed: int = 0,
        rate: float = 1.0,
        guidance: float | None = None,
        sampling: Sampling | None = None,
        user_lexicon: Mapping[str, tuple[str, ...]] | None = None,
        language: str = ENGLISH,
        retakes: Retakes | None = None,
    ) -> Tensor:
        """The whole sound, float32 [1, 1, T]: exactly the blocks of `speak`, joined."""
        spoken = self.speak(
            text,
            seed=seed,
            rate=rate,
            guidance=guidance,
            sampling=sampling,
            user_lexicon=user_lexicon,
            language=language,
            retakes=retakes,
        )
        return torch.from_numpy(np.concatenate(list(spoken), axis=1))[None]


def _check_models(codec: Codec, lm: LanguageModel, durations: Durations) -> None:
    """CheckpointError for models that do not fit each other."""
    lm.check_codec(codec)
    c = lm.config
    if not c.symbols:
        raise CheckpointError(f"{c.name} was trained without text: it can only continue speech")
    told = SYMBOLS if lm.subwords is not None else c.symbols
    for model, known in ((c.name, told), (durations.config.name, durations.config.symbols)):
        missing = [symbol for symbol in SYMBOLS if symbol != PAD and symbol not in known]
        if missing:
            raise CheckpointError(f"{model} does not know {missing[0]!r}, which texts are said with")
    for rate in (c.frame_rate, durations.config.frame_rate):
        if not math.isclose(rate, codec.config.frame_rate):
            raise CheckpointError(
                f"{c.name}, {durations.config.name} and {codec.config.name} have frame rates of "
                f"{c.frame_rate:g}, {durations.config.frame_rate:g} and {codec.config.frame_rate:g} Hz"
            )
    if c.n_codebooks not in codec.operating_points:
        offered = ", ".join(map(str, codec.operating_points))
        raise CheckpointError(f"{c.name} speaks {c.n_codebooks} codebooks, {codec.config.name} has {offered}")
