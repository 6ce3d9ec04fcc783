"""Retakes: the first take without faults is kept, or the best there was, and what counts as a fault."""

import numpy as np
import pytest
import torch

from mynah.codec.heads.ctc import Scores
from mynah.data.text import phonemize
from mynah.lm import LanguageModel, Sampling
from mynah.tts import Durations, Retakes, Synthesizer, Voice
from mynah.tts.retakes import words_of
from mynah.tts.synthesizer import CLEARER, FREER, RETAKE

SYMBOLS = ["", "b", "i", "k", "æ", "t"]


class Head:
    """Hears the phones that a sound is made of: a sample is a frame, its value the place in `SYMBOLS`."""

    class config:
        @staticmethod
        def ids(phonemes):
            return [SYMBOLS.index(phoneme.lstrip("ˈˌ")) for phoneme in phonemes]

    def scores(self, wav):
        place = torch.from_numpy(wav)[0, 0].long()
        frames = 5.0 * torch.nn.functional.one_hot(place, len(SYMBOLS))
        return Scores(frames.log_softmax(-1)[None], frames.log_softmax(-1)[None])


def sound(text: str) -> np.ndarray:
    """Four frames a phone, with one of silence after it."""
    places = [SYMBOLS.index(letter) if letter != " " else 0 for letter in text]
    return np.array([[x for place in places for x in [place] * 4 + [0]]], np.float32)


@pytest.fixture
def retakes() -> Retakes:
    return Retakes(Head(), 3)


BEE_CAT = (*"b", "ˈi", " ", *"k", "ˈæ", *"t", ".")


def test_words_are_what_stands_between_pauses():
    assert words_of(BEE_CAT) == [["b", "ˈi"], ["k", "ˈæ", "t"]]
    assert words_of(("~", ",", "t", " ", ".")) == [["t"]]
    assert words_of(("~", ".")) == []
    said = phonemize("Dr. Smith paid $1.50, then left.")
    assert words_of(said.symbols) == [list(word.phonemes) for word in said.words]


@pytest.mark.parametrize(
    ("heard", "faults"),
    [("bi kæt", 0), ("kæt", 1), ("bi bi kæt", 1), ("bi kæt kæt", 1), ("   ", 2)],
)
def test_faults_are_words_that_lack_or_come_twice(retakes, heard, faults):
    assert retakes.faults(BEE_CAT, sound(heard)) == faults


@pytest.mark.parametrize(
    ("heard", "kept", "made"),
    [
        (["bi kæt", "kæt"], 0, 1),
        (["kæt", "bi kæt", "bi"], 1, 2),
        (["   ", "kæt", "bi", "   ", "bi kæt"], 1, 4),  # no more than three retakes
    ],
)
def test_the_best_take_is_kept(retakes, heard, kept, made):
    asked = []

    def take(number):
        asked.append(number)
        wav = sound(heard[number])
        return [wav[:, :7], wav[:, 7:]]

    assert np.array_equal(retakes.best(BEE_CAT, take), sound(heard[kept]))
    assert asked == list(range(made))
    assert retakes.again == (made > 1)


def test_none_is_one_take_and_less_is_an_error():
    assert np.array_equal(Retakes(Head(), 0).best(BEE_CAT, lambda number: [sound("   ")]), sound("   "))
    with pytest.raises(ValueError, match="most=-1"):
        Retakes(Head(), -1)


@pytest.fixture
def synthesizer(speaking, tiny) -> Synthesizer:
    return Synthesizer(
        tiny,
        LanguageModel.from_pretrained(speaking.lm),
        Durations.from_pretrained(speaking.durations),
        Voice.load(speaking.voice),
    )


@pytest.mark.parametrize("asked", [{}, {"guidance": 2.0, "sampling": Sampling(temperature=0.5)}])
def test_pieces_are_said_again_with_other_seeds(synthesizer, monkeypatch, retakes, asked):
    """The second piece is said three times; the last take is the best one. What is said again is clearer and
    drawn more freely, unless something else is asked for."""
    faults = iter([0, 2, 1, 0])
    monkeypatch.setattr(retakes, "faults", lambda phonemes, wav: next(faults))
    first, second = list(synthesizer.speak("Hi. Go on, Ann!", seed=3, retakes=retakes, **asked))
    plain = list(synthesizer.pieces("Hi. Go on, Ann!"))

    def made(number: int, seed: int, **how) -> np.ndarray:
        blocks = synthesizer.speak_piece(plain[number], torch.Generator().manual_seed(seed), **how)
        return np.concatenate(list(blocks), axis=1)

    assert np.array_equal(first, made(0, 3, **asked))
    again = asked or {"guidance": CLEARER, "sampling": FREER}
    assert np.array_equal(second, made(1, 4 + 2 * RETAKE, **again))
    assert not np.array_equal(second, made(1, 4 + 2 * RETAKE, guidance=1.0))


def test_pieces_made_together_are_those_made_one_by_one(synthesizer, monkeypatch, retakes):
    """Of different lengths, and more than are made at once; only the first sound comes later."""
    text = "Hi. Go on, Ann, and on! Why? No. She sells sea shells. So?"
    alone = list(synthesizer.speak(text, seed=3))
    together, told = [], []
    speak = synthesizer.lm.speak
    monkeypatch.setattr("mynah.tts.synthesizer.AT_ONCE", 4)
    monkeypatch.setattr(
        synthesizer.lm, "speak", lambda said, *a, **k: together.append(len(said)) or speak(said, *a, **k)
    )
    monkeypatch.setattr(retakes, "faults", lambda phonemes, wav: 0)
    whole = list(synthesizer.speak(text, seed=3, retakes=retakes, begun=told.append))
    assert together == [4, 2]
    assert len(whole) == len(told) == 6
    assert np.array_equal(np.concatenate(whole, axis=1), np.concatenate(alone, axis=1))
