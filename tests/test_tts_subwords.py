"""Speech from text by a language model that is told words as they are spelled."""

import dataclasses

import pytest
import torch

pytest.importorskip("sentencepiece")

from mynah.data.errors import CheckpointError
from mynah.data.text import LanguageError, phonemize
from mynah.data.text.subwords import train_subwords
from mynah.data.text.symbols import PAUSES, SILENCE
from mynah.lm import LanguageModel, checkpoint
from mynah.lm.network import LMNetwork
from mynah.tts import Durations, Synthesizer, Voice
from mynah.tts.pieces import Part, parts, with_words
from mynah.tts.synthesizer import LEAD

TEXT = "Hi, Ann! Go on."


@pytest.fixture(scope="module")
def folder(speaking, tmp_path_factory):
    """As `speaking.lm`, told letters."""
    subwords = train_subwords(["hi ann go on why not the quick brown fox"] * 4, 50)
    config = dataclasses.replace(LanguageModel.from_pretrained(speaking.lm).config, symbols=subwords.symbols)
    torch.manual_seed(0)
    network = LMNetwork(config)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    folder = tmp_path_factory.mktemp("told letters") / "lm"
    checkpoint.save(folder, config, network.state_dict(), subwords)
    return folder


@pytest.fixture(scope="module")
def parts_of(speaking, tiny, folder):
    durations, voice = Durations.from_pretrained(speaking.durations), Voice.load(speaking.voice)
    return tiny, LanguageModel.from_pretrained(folder), durations, voice


def test_words_are_told_as_they_are_spelled(parts_of, speaking, monkeypatch):
    tiny, lm, durations, voice = parts_of
    synthesizer = Synthesizer(tiny, lm, durations, voice)
    phonetic = Synthesizer(tiny, LanguageModel.from_pretrained(speaking.lm), durations, voice)
    told = []
    speak = lm.speak
    monkeypatch.setattr(lm, "speak", lambda *args, **more: told.append(args) or speak(*args, **more))
    wav = synthesizer.synthesize(TEXT, seed=3)
    assert wav.shape == phonetic.synthesize(TEXT, seed=3).shape
    pieces = list(phonetic.pieces(TEXT))
    assert len(told) == len(pieces) == 2
    for piece, (((symbols,), (lasting,))) in zip(pieces, told, strict=True):
        assert set(symbols) <= set(lm.config.symbols)
        assert symbols[0] == SILENCE
        late = sum(lasting) - LEAD - sum(piece.durations)
        assert late == tiny.config.delay // tiny.config.hop_length
        spelled = "".join(symbol for symbol in symbols if symbol not in PAUSES)
        assert spelled.split("▁")[1:] == [word.lower() for word in piece.words]
    assert [word for piece in pieces for word in piece.words] == ["Hi", "Ann", "Go", "on"]


def test_a_prompt_is_heard_without_its_phonemes(parts_of):
    heard = Synthesizer(*parts_of).heard.prompt
    assert heard.codes.shape == (3, 20)
    assert not heard.phonemes


def test_a_pronunciation_that_is_given_is_not_heard_of(parts_of):
    synthesizer = Synthesizer(*parts_of)
    (piece,) = synthesizer.pieces("Go [on](/ˈɔ n/), [on](/ˈɔ n/), Ann.", user_lexicon={"ann": ("ˈɑ", "n")})
    assert piece.warnings == (
        "'on' is said as it is spelled: tiny-lm is told letters",
        "'Ann' is said as it is spelled: tiny-lm is told letters",
    )


def test_letters_are_english(parts_of):
    with pytest.raises(LanguageError, match="tiny-lm is told letters: it reads English, not 'de'"):
        Synthesizer(*parts_of).synthesize("Guten Tag.", language="de")


def test_a_word_without_letters_is_said(parts_of):
    synthesizer = Synthesizer(*parts_of)
    (piece,) = synthesizer.pieces("[\ufffd](/t ˈɑ/)")
    assert synthesizer.synthesize("[\ufffd](/t ˈɑ/)").shape[2] == (LEAD + sum(piece.durations)) * 320


def test_the_command(mynah, speaking, folder, tiny_folder, tmp_path):
    out = tmp_path / "out.wav"
    models = ["--model", folder, "--durations", speaking.durations, "--codec", tiny_folder]
    result = mynah("say", TEXT, "-o", out, "--voice", speaking.voice, *models)
    assert result.returncode == 0, result.stderr
    assert out.stat().st_size > 10_000


def test_a_model_that_lost_its_pieces_is_refused(parts_of, folder):
    tiny, lm, durations, voice = parts_of
    voice = dataclasses.replace(voice, phonemes=(), durations=())
    with pytest.raises(CheckpointError, match="does not know 'p', which texts are said with"):
        Synthesizer(tiny, LanguageModel(lm.network), durations, voice)


def test_parts_have_their_own_words():
    said = phonemize("One two, three extraordinary four.")
    words = [word.text for word in said.words]
    whole = Part(said.symbols, tuple(9 for _ in said.symbols))

    def of(most):
        return list(with_words(parts(whole, most), words))

    assert of(10_000) == [(whole, tuple(words))]
    for most in (200, 120, 60):
        found = of(most)
        assert len(found) > 1
        for part, own in found:
            assert sum(s not in PAUSES and (i == 0 or part.phonemes[i - 1] in PAUSES)
                       for i, s in enumerate(part.phonemes)) == len(own)  # fmt: skip
        joined = [word for _, own in found for word in own]
        assert [w for i, w in enumerate(joined) if i == 0 or joined[i - 1] != w] == words
    assert sum("extraordinary" in own for _, own in of(60)) > 1  # a word that was cut
