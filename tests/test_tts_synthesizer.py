"""Speech from text: streamed is whole, pieces are made each by itself, and what does not fit is refused."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mynah.codec import Codec
from mynah.data.errors import CheckpointError, TextError
from mynah.data.text import PAD, SYMBOLS
from mynah.lm import LanguageModel, Prompt, Sampling
from mynah.lm.network import LMNetwork
from mynah.tts import Durations, Synthesizer, Voice, VoiceError
from mynah.tts.duration_network import DurationConfig, DurationNetwork
from mynah.tts.pieces import Part, parts
from mynah.tts.sentences import sentences
from mynah.tts.sound_blocks import BLOCKS, Fade, blocks
from mynah.tts.synthesizer import LEAD

HOP = 320
TEXT = "Hi. Go on, Ann! Why?"


@pytest.fixture(scope="module")
def lm(speaking) -> LanguageModel:
    return LanguageModel.from_pretrained(speaking.lm)


@pytest.fixture(scope="module")
def durations(speaking) -> Durations:
    return Durations.from_pretrained(speaking.durations)


@pytest.fixture(scope="module")
def voice(speaking) -> Voice:
    return Voice.load(speaking.voice)


@pytest.fixture(scope="module")
def synthesizer(tiny, lm, durations, voice) -> Synthesizer:
    return Synthesizer(tiny, lm, durations, voice)


def test_streamed_is_whole(synthesizer):
    streamed = list(synthesizer.speak(TEXT, seed=3))
    assert all(block.dtype == np.float32 and block.ndim == 2 and block.shape[0] == 1 for block in streamed)
    joined = np.concatenate(streamed, axis=1)
    assert torch.equal(synthesizer.synthesize(TEXT, seed=3), torch.from_numpy(joined)[None])
    frames = sum(LEAD + sum(piece.durations) for piece in synthesizer.pieces(TEXT))
    assert joined.shape == (1, frames * HOP)
    assert 0 < np.abs(joined).max() <= 1


def test_there_is_a_usual_guidance(synthesizer):
    """What is asked for counts more."""
    usual = synthesizer.synthesize("Go on.")
    assert torch.equal(usual, synthesizer.synthesize("Go on.", guidance=1.5))
    assert not torch.equal(usual, synthesizer.synthesize("Go on.", guidance=2.5))


def test_a_piece_is_what_the_models_say(synthesizer, tiny, lm, voice):
    """Codes made at once and decoded at once, by the models themselves."""
    (piece,) = synthesizer.pieces("Go on.")
    spoken = synthesizer.synthesize("Go on.", seed=5, guidance=2.0, sampling=Sampling(temperature=0.7))
    (codes,) = lm.speak(
        [["~", *piece.phonemes]],
        [[LEAD, *piece.durations[:-1], piece.durations[-1] + 1]],  # one more pushes out the last
        generators=[torch.Generator().manual_seed(5)],
        prompts=[Prompt(voice.codes, voice.phonemes, voice.durations)],
        guidance=2.0,
        sampling=Sampling(temperature=0.7),
    ).codes()
    whole = tiny.decode(codes[None])
    ramp = 80
    assert spoken.shape == whole.shape
    assert torch.allclose(spoken[..., ramp:-ramp], whole[..., ramp:-ramp], atol=1e-5)
    assert spoken[0, 0, 0] == spoken[0, 0, -1] == 0
    assert bool((spoken.abs() <= whole.abs() + 1e-5).all())


def test_pieces_are_made_each_by_itself(synthesizer):
    pieces = list(synthesizer.pieces(TEXT))
    assert [piece.text for piece in pieces] == ["Hi.", "Go on, Ann!", "Why?"]
    apart = [
        synthesizer.speak_piece(piece, torch.Generator().manual_seed(8 + number))
        for number, piece in enumerate(pieces)
    ]
    joined = np.concatenate([block for sound in apart for block in sound], axis=1)
    assert np.array_equal(synthesizer.synthesize(TEXT, seed=8)[0].numpy(), joined)
    last = synthesizer.synthesize("Why?", seed=10)[0].numpy()
    assert np.array_equal(joined[:, -last.shape[1] :], last)
    as_it_comes = synthesizer.synthesize(iter(["Hi. G", "o on, An", "n! Why?"]), seed=8)
    assert np.array_equal(as_it_comes[0].numpy(), joined)


def test_what_the_sound_depends_on(synthesizer, tiny, lm, durations, voice):
    def said(**options) -> torch.Tensor:
        return synthesizer.synthesize("Go on.", **options)

    plain = said()
    assert torch.equal(plain, said(seed=0, rate=1.0))
    other = Synthesizer(tiny, lm, durations, dataclasses.replace(voice, codes=voice.codes.flip(1)))
    for sound in (
        said(seed=1),
        said(guidance=3.0),
        said(sampling=Sampling(temperature=0)),
        other.synthesize("Go on."),
    ):
        assert sound.shape == plain.shape
        assert not torch.equal(sound, plain)
    assert said(rate=0.5).shape[2] > 1.3 * said(rate=2.0).shape[2]


def test_a_voice_speaks_at_its_own_pace(tiny, lm, durations, voice):
    def length(**changes) -> int:
        speaker = Synthesizer(tiny, lm, durations, dataclasses.replace(voice, **changes))
        return sum(sum(piece.durations) for piece in speaker.pieces("She sells sea shells."))

    slow, fast = length(durations=(9, 9, 2)), length(durations=(1, 1, 18))
    assert fast < length(phonemes=(), durations=()) < slow
    known = length(speaker="ann")
    assert known == length(speaker="ann", durations=(1, 1, 18))  # its pace is known from the training


def test_the_first_sound_comes_soon(synthesizer, lm, monkeypatch):
    made = 0
    speak = lm.speak

    def counted(*arguments, **options):
        nonlocal made
        for frames in speak(*arguments, **options):
            made += frames.codes.shape[2]
            yield frames

    monkeypatch.setattr(lm, "speak", counted)
    first = next(synthesizer.speak("Go on, and on, and on. And so on."))
    assert made == BLOCKS[0]
    assert first.shape == (1, (BLOCKS[0] - 1) * HOP)


def test_text_without_end(synthesizer):
    """Memory is constant: what is read is not more than what splitting looks ahead."""
    read = 0

    def endless():
        nonlocal read
        for number in itertools.count():
            read += 1
            yield f"Number {number % 9}. "

    sounds = synthesizer.speak(endless())
    assert sum(block.shape[1] for block in itertools.islice(sounds, 12)) > 50 * HOP
    assert read < 1000


@pytest.mark.parametrize("text", ["go " * 33_333, "g" * 100_000, "1" * 100_000, "go," * 33_333])
def test_a_hundred_thousand_characters(synthesizer, text):
    assert next(synthesizer.speak(text)).shape[0] == 1


def test_long_sentences_fit(synthesizer, lm, voice):
    text = "this goes on and on without a single stop " * 8
    pieces = list(synthesizer.pieces(text))
    assert len(pieces) > 1
    most = lm.config.max_frames - voice.codes.shape[1] - LEAD - 1
    assert all(0 < sum(piece.durations) <= most for piece in pieces)
    assert synthesizer.synthesize(text[:120]).shape[2] > 0


def test_warnings_are_told_once(synthesizer):
    told = []
    text = "Go 你好 on " + "and on " * 30
    assert len(list(itertools.islice(synthesizer.speak(text, begun=told.append), 25))) == 25
    assert len(told) > 1
    assert told[0].warnings
    assert not any(piece.warnings for piece in told[1:])


@given(
    st.lists(st.tuples(st.sampled_from(["k", "æ", "t", " ", ",", "."]), st.integers(0, 30)), min_size=1),
    st.integers(1, 60),
)
def test_parts(symbols, most):
    whole = Part(tuple(symbol for symbol, _ in symbols), tuple(frames for _, frames in symbols))
    found = list(parts(whole, most))
    assert sum((part.phonemes for part in found), ()) == whole.phonemes
    cut_short = sum((part.durations for part in found), ())
    assert all(a == b or (b > most and a == most) for a, b in zip(cut_short, whole.durations, strict=True))
    for part in found:
        assert part.n_frames <= most
        assert part.n_frames or len(found) == 1


def test_parts_are_cut_at_the_longest_pause_of_the_middle():
    phonemes = tuple(" " if p == "|" else p for p in "k æ , t æ t | k æ . k æ".split())
    for long, end in ((",", 3), (" ", 7)):
        lasting = tuple(9 if p == long else 2 for p in phonemes)
        assert [len(part.phonemes) for part in parts(Part(phonemes, lasting), 30)] == [end, 12 - end]
    without = Part(("k", "æ", "t", "æ"), (5, 5, 5, 5))
    assert [part.phonemes for part in parts(without, 10)] == [("k", "æ"), ("t", "æ")]


def test_fading_in_blocks_is_fading_at_once():
    wav = np.ones((1, 50), np.float32)
    whole = Fade(50, 8)(wav)
    fade = Fade(50, 8)
    assert np.array_equal(np.concatenate([fade(wav[:, :n]) for n in (1, 5, 20, 24)], axis=1), whole)
    assert whole[0, 0] == whole[0, -1] == 0
    assert (whole[0, 8:42] == 1).all()
    assert (np.diff(whole[0, :9]) > 0).all()
    assert np.array_equal(whole, whole[:, ::-1])


def test_blocks_do_not_depend_on_how_the_codes_come():
    codes = torch.arange(200).view(1, 2, 100)
    for size in (1, 3, 100):
        found = list(blocks(codes.split(size, 2)))
        assert torch.equal(torch.cat(found, 2), codes)
        assert [block.shape[2] for block in found] == [4, 8, 16, 25, 25, 22]


@pytest.mark.parametrize("text", ["", "  \n ", "?!… —", "🙂 🎉", "你好", iter(["", ". ", "!"])])
def test_nothing_to_say(synthesizer, text):
    with pytest.raises(TextError):
        next(synthesizer.speak(text))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rate": 0.4}, "rate=0.4: 0.5 to 2"),
        ({"rate": float("nan")}, "rate=nan"),
        ({"guidance": -1}, "guidance"),
    ],
)
def test_numbers_out_of_range(synthesizer, options, named):
    with pytest.raises(ValueError, match=named):
        next(synthesizer.speak("Go on.", **options))


def lm_with(lm, **changes) -> LanguageModel:
    return LanguageModel(LMNetwork(dataclasses.replace(lm.config, **changes)))


def test_models_that_do_not_fit(tiny, lm, durations, voice, other_codec):
    def refused(error, named, codec=tiny, lm=lm, durations=durations, voice=voice):
        with pytest.raises(error, match=named):
            Synthesizer(codec, lm, durations, voice)

    inventory = tuple(symbol for symbol in SYMBOLS if symbol != PAD)
    refused(CheckpointError, "speaks codes of tiny", codec=Codec.from_pretrained(other_codec))
    refused(CheckpointError, "trained without text", lm=lm_with(lm, symbols=()))
    refused(CheckpointError, "tiny-lm does not know", lm=lm_with(lm, symbols=inventory[:-1]))
    refused(CheckpointError, "frame rates of 25, 50", lm=lm_with(lm, frame_rate=25.0))
    refused(
        CheckpointError,
        "speaks 4 codebooks, tiny has 3, 6, 12",
        lm=lm_with(lm, n_codebooks=4),
        voice=dataclasses.replace(voice, codes=voice.codes.repeat(2, 1)),
    )
    few = Durations(DurationNetwork(DurationConfig(symbols=inventory[:-1], dim=8, layers=1)))
    refused(CheckpointError, "mynah-durations does not know", durations=few)
    refused(
        VoiceError, "'eve' is no speaker of tiny-durations", voice=dataclasses.replace(voice, speaker="eve")
    )
    refused(VoiceError, "a prompt of 0.4 s, which leaves no room in the 1.2 s", lm=lm_with(lm, max_frames=60))
    refused(VoiceError, "made with codec", voice=dataclasses.replace(voice, codec_hash="ab" * 32))


def test_the_sentences():
    """100, half of them hard, that all can be said."""
    found = sentences()
    assert len({sentence.id for sentence in found}) == len({sentence.text for sentence in found}) == 100
    assert [sum(s.set == name for s in found) for name in ("plain", "hard")] == [50, 50]
    assert {s.kind for s in found} == {"plain", "numbers", "names", "twisters", "repeats", "words", "long"}
    assert all(len(s.text.split()) >= 60 for s in found if s.kind == "long")
    assert all(len(s.text.split()) == 1 for s in found if s.kind == "words")


def test_the_sentences_can_be_spoken(synthesizer):
    for sentence in sentences()[::9]:
        assert list(synthesizer.pieces(sentence.text))
