"""The weights in the package belong together, and their voices can be understood."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

import mynah.codec.heads.ctc as heads
import mynah.lm.checkpoint as lms
import mynah.tts.durations as paces
from mynah.codec import Codec, checkpoint
from mynah.codec.heads import PhoneHead, SpeakerHead
from mynah.codec.heads.phone_config import without_stress
from mynah.data.edit_distance import error_rate
from mynah.data.text import phonemize
from mynah.lm import LanguageModel
from mynah.tts import Durations, Retakes, Synthesizer, voice_store
from mynah.tts.synthesizer import LEAD

TEXT = "She opened the window and listened to the rain for a while."


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.from_pretrained()


@pytest.fixture(scope="module")
def models(codec) -> tuple[Codec, LanguageModel, Durations]:
    return codec, LanguageModel.from_pretrained("mynah-lm"), Durations.from_pretrained("mynah-durations")


@pytest.fixture(scope="module")
def spoken(models) -> Callable[..., torch.Tensor]:
    """Gives a text in a shipped voice, [1, 1, T]; made once."""

    @lru_cache
    def speak(name: str, text: str = TEXT) -> torch.Tensor:
        return Synthesizer(*models, voice_store.find(name)).synthesize(text, seed=1)

    return speak


def test_every_model_has_a_card():
    folders = [p for at in (checkpoint, lms, paces, heads) for p in Path(at.SHIPPED).iterdir() if p.is_dir()]
    names = {"mynah-16k", "mynah-lm", "mynah-durations", "phones-16k", "speakers-16k"}
    assert {folder.name for folder in folders} == names
    for folder in folders:
        card = (folder / "card.md").read_text(encoding="utf-8")
        assert card.startswith(f"# {folder.name}\n")
        assert "**Licence.**" in card and "**Limits.**" in card


@pytest.mark.parametrize("name", voice_store.shipped_names())
def test_a_shipped_voice_is_understood(codec, spoken, name):
    assert voice_store.find(name).rights
    assert (voice_store.card(name) or "").startswith(f"# {name}\n")
    wav = spoken(name)
    seconds = wav.shape[2] / codec.config.sample_rate
    assert 2 < seconds < 6
    said = [without_stress(phone) for word in phonemize(TEXT).words for phone in word.phonemes]
    heard = PhoneHead.from_pretrained(codec).recognise(wav)[0]
    assert error_rate([(said, heard)]) < 0.5  # of real recordings 0.25, of noise above 0.9


def test_a_sentence_says_the_same_beside_a_longer_one(codec, models):
    """In 8 bits, as `mynah say` speaks, where the last bit of a sum decides on a code."""
    lm = LanguageModel.from_pretrained("mynah-lm", int8=True)
    synthesizer = Synthesizer(codec, lm, models[2], voice_store.find("kathleen"))
    pieces = list(synthesizer.pieces("No. It is raining again."))
    assert len(pieces) == 2

    def speak(some, *seeds):
        return synthesizer.speak_pieces(some, [torch.Generator().manual_seed(seed) for seed in seeds])

    together = speak(pieces, 3, 4)
    for piece, seed, sound in zip(pieces, (3, 4), together, strict=True):
        assert np.array_equal(speak([piece], seed)[0], sound)


def test_a_word_that_lacks_is_heard(codec, models):
    """A sentence without its longest word, and with it twice, is a reason to say it again."""
    synthesizer = Synthesizer(*models, voice_store.find("kathleen"))
    (piece,) = synthesizer.pieces(TEXT)
    wav = np.concatenate(list(synthesizer.speak_piece(piece, torch.Generator().manual_seed(1))), axis=1)
    words = [phonemize(word).symbols[:-1] for word in ("She.", "opened.", "the.", "window.")]
    ends = LEAD + np.cumsum(piece.durations)
    first = sum(map(len, words[:3])) + 3  # symbols before "window", boundaries included
    hop = codec.config.hop_length
    begin, end = ends[first - 1] * hop, ends[first + len(words[3]) - 1] * hop
    retakes = Retakes(PhoneHead.from_pretrained(codec), 1)
    cut = np.concatenate([wav[:, :begin], wav[:, end:]], axis=1)
    twice = np.concatenate([wav[:, :end], wav[:, begin:]], axis=1)
    assert [retakes.faults(piece.phonemes, sound) for sound in (wav, cut, twice)] == [0, 1, 1]


def test_speakers_are_told_apart(codec, spoken):
    """Two sentences in one shipped voice are more alike than any two in different ones."""
    head = SpeakerHead.from_pretrained(codec)
    second = spoken("kathleen", "The train to the city leaves at seven in the morning.")
    sounds = (spoken("kathleen"), second, spoken("lj"), spoken("philipp"))
    own, *rest = (head.embed(wav)[0] for wav in sounds)
    same, *different = (float(own @ other) for other in rest)
    assert same > max(different) + 0.1


def test_there_are_voices():
    assert len(voice_store.shipped_names()) >= 2


def test_what_follows_a_prompt_is_sound(codec, models, spoken):
    """The model goes on, and what it says is no silence and no noise at full scale."""
    _, lm, _ = models
    sound = spoken(voice_store.default_name())
    prompt = codec.encode(sound, codec.config.sample_rate, 1.5).codes[0]
    generation = lm.continue_codes(
        [prompt[:, :60]], 2.0, generators=[torch.Generator().manual_seed(0)], least_seconds=2.0
    )
    (codes,) = generation.codes()
    assert codes.shape == (3, 100)
    level = float(np.sqrt((codec.decode(codes[None])[0, 0].numpy() ** 2).mean()))
    assert 1e-4 < level < 0.5
