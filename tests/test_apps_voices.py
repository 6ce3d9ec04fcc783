"""`mynah voice`: voices are listed, made from clips, shown and removed; and clips that are no voice."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from mynah.apps import clips
from mynah.codec import checkpoint
from mynah.data import audio
from mynah.data.text import phonemize
from mynah.lm import LMConfig
from mynah.lm.network import LMNetwork
from mynah.tts import Voice, voice_store


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where the user's voices go; a shipped one is `zoe`."""
    monkeypatch.setenv("MYNAH_VOICES", str(tmp_path / "mine" / "voices"))
    monkeypatch.setattr(voice_store, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    return tmp_path / "mine" / "voices"


@pytest.fixture
def ship(tmp_path, speaking):
    (tmp_path / "shipped" / "zoe.safetensors").write_bytes(speaking.voice.read_bytes())
    (tmp_path / "shipped" / "zoe.md").write_text("# Zoe\n\nAn untrained voice.\n")


@pytest.fixture
def clip(tmp_path):
    """Four seconds of noise in two channels at another rate."""
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 4 * 22_050)).astype(np.float32)
    audio.save(tmp_path / "clip.wav", noise, 22_050)
    return tmp_path / "clip.wav"


@pytest.fixture
def add(mynah, tiny_folder):
    def run(name, clip, *more):
        return mynah("voice", "add", name, clip, "--codec", tiny_folder, *more)

    return run


def refused(result, *words):
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    for word in words:
        assert word in line


def test_a_voice_and_its_life(mynah, add, clip, folder, ship):
    assert mynah("voice", "list").stdout.split() == ["zoe", "shipped", "An", "untrained", "voice."]
    result = add("ann", clip)
    assert (result.returncode, result.stderr) == (0, "")
    assert "consent of the person" in result.stdout
    voice = Voice.load(folder / "ann.safetensors")
    assert (voice.codes.shape, voice.phonemes) == ((12, 200), ())
    listed = mynah("voice", "list").stdout.splitlines()
    assert [line.split()[:2] for line in listed] == [["zoe", "shipped"], ["ann", "yours"]]
    assert "prompt of 200 frames without text" in listed[1]
    refused(add("ann", clip), "ann: there is such a voice already, --force")
    assert add("ann", clip, "--force").returncode == 0
    assert "An untrained voice." in mynah("voice", "show", "zoe").stdout
    assert "consent" in mynah("voice", "show", "ann").stdout
    refused(mynah("voice", "show", "eve"), "'eve' is no voice; there are: zoe, ann")
    assert mynah("voice", "remove", "ann").returncode == 0
    assert not list(folder.iterdir())
    refused(mynah("voice", "remove", "ann"), "'ann' is no voice")
    refused(mynah("voice", "remove", "zoe"), "is a shipped voice")


def test_no_voices(mynah):
    assert "mynah voice add" in mynah("voice", "list").stdout


def test_a_damaged_voice_is_listed_as_such(mynah, folder):
    folder.mkdir(parents=True)
    (folder / "bad.safetensors").write_bytes(b"x")
    result = mynah("voice", "list")
    assert result.returncode == 0
    assert "not a voice" in result.stdout


def test_with_its_text(add, clip, folder, monkeypatch):
    said = phonemize("No pain, no gain.")

    class Aligner:
        def __init__(self, codec):
            assert codec.config.name == "tiny"
            self.doubtful = True

        def __call__(self, wav, heard):
            assert heard == said
            n = len(said.symbols)
            return list(zip(said.symbols, [200 - 5 * (n - 1)] + [5] * (n - 1), strict=True))

    monkeypatch.setattr(clips, "ClipAligner", Aligner)
    result = add("ann", clip, "--text", "No pain, no gain.")
    assert result.returncode == 0
    assert "does not seem to say this text" in result.stderr
    voice = Voice.load(folder / "ann.safetensors")
    assert voice.phonemes == said.symbols
    assert sum(voice.durations) == 200


@pytest.mark.parametrize(
    ("seconds", "loudness", "words"),
    [
        (2.5, 0.1, "2.50 s long: 3 to 10 s of speech are needed"),
        (60, 0.1, "longer than 10 s"),
        (4, 0, "silent"),
        (4, np.nan, "is nan"),
    ],
)
def test_clips_that_are_no_voice(add, tmp_path, folder, seconds, loudness, words):
    rng = np.random.default_rng(0)
    wav = (loudness * rng.normal(0, 1, round(16_000 * seconds))).astype(np.float32)
    soundfile.write(tmp_path / "clip.wav", wav, 16_000, subtype="FLOAT")
    refused(add("ann", tmp_path / "clip.wav"), "clip.wav: ", words)
    assert not folder.exists()


def test_of_a_speaker_that_the_model_knows(mynah, clip, folder, speaking, tiny_folder, tmp_path):
    config = replace(checkpoint.load_as(LMConfig, speaking.lm)[0], speaker_dim=2, speakers=("ann",))
    checkpoint.save(tmp_path / "lm", config, LMNetwork(config).state_dict())
    models = ("--model", tmp_path / "lm", "--codec", tiny_folder)
    assert mynah("voice", "add", "mine", "--speaker", "ann", *models).returncode == 0
    voice = Voice.load(folder / "mine.safetensors")
    assert (voice.codes.shape, voice.lm, voice.speaker) == ((3, 0), "tiny-lm", "ann")
    assert voice.speaker_vector.tolist() == [1, 0]
    said = ("say", "Hi there.", "--voice", "mine", "--durations", speaking.durations, *models)
    assert mynah(*said, "-o", tmp_path / "hi.wav").returncode == 0

    refused(
        mynah("voice", "add", "other", "--speaker", "eve", *models), "'eve' is no voice of tiny-lm", "ann"
    )
    refused(mynah("voice", "add", "other", *models), "from a clip", "--speaker")
    refused(mynah("voice", "add", "other", clip, "--speaker", "ann", *models), "from a clip", "--speaker")
    assert [path.name for path in folder.iterdir()] == ["mine.safetensors"]


def test_other_bad_input(add, clip, tmp_path, folder, ship, monkeypatch):
    refused(add("ann", tmp_path / "nosuch.wav"), "nosuch.wav")
    refused(add("../ann", clip), "lower-case letters")
    refused(add("zoe", clip), "is the name of a shipped voice")
    refused(add("ann", clip, "--text", "?!"), "nothing to say")
    refused(add("ann", clip, "--codec", "nosuch"), "'nosuch'")
    refused(add("ann", clip, "--model", "mynah-lm"), "--model goes with --speaker")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MYNAH_VOICES", str(tmp_path / "file"))
    refused(add("ann", clip), "cannot be written")
