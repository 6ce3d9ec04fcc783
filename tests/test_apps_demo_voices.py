"""The Voices tab: voices are listed, made with consent, and removed; what is refused, and to whom."""

import subprocess

import numpy as np
import pytest
import soundfile

from mynah.apps import clips, demo_voicing
from mynah.apps.demo_models import Models
from mynah.data import audio
from mynah.data.errors import MynahError
from mynah.data.text import phonemize
from mynah.tts import Voice, voice_store


def tell(share: float, what: str) -> None:
    assert 0 <= share <= 1 and what


@pytest.fixture
def folder(tmp_path, monkeypatch, speaking):
    """Where the user's voices go; a shipped one is `zoe`."""
    monkeypatch.setenv("MYNAH_VOICES", str(tmp_path / "mine"))
    monkeypatch.setattr(voice_store, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "zoe.safetensors").write_bytes(speaking.voice.read_bytes())
    (tmp_path / "shipped" / "zoe.md").write_text("# Zoe\n\nAn untrained voice.\n")
    return tmp_path / "mine"


@pytest.fixture
def clip(tmp_path):
    """Four seconds of noise in two channels at another rate."""
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 4 * 22_050)).astype(np.float32)
    audio.save(tmp_path / "clip.wav", noise, 22_050)
    return tmp_path / "clip.wav"


@pytest.fixture
def add(folder, clip, tiny_folder):
    def run(name="ann", path=clip, text="", consent=True):
        given = str(path) if path else path
        return demo_voicing.add(Models(codec=str(tiny_folder)), name, given, text, consent, tell)

    return run


def test_a_voice_and_its_life(add, folder):
    assert demo_voicing.names() == ["zoe"]
    assert add(" ann ") == "ann is there now"
    assert Voice.load(folder / "ann.safetensors").codes.shape == (12, 200)
    assert [row[:2] for row in demo_voicing.listed()] == [["zoe", "shipped"], ["ann", "yours"]]
    assert [row[2] for row in demo_voicing.listed()] == [
        "An untrained voice.",
        "prompt of 200 frames without text",
    ]
    assert demo_voicing.card("zoe") == "# Zoe\n\nAn untrained voice.\n"
    assert "added by the user; use a voice only with the consent" in demo_voicing.card("ann")
    assert demo_voicing.card(None) == ""
    with pytest.raises(MynahError, match="ann: there is such a voice already, remove it first"):
        add("ann")
    assert demo_voicing.remove("ann") == "ann is removed"
    assert demo_voicing.names() == ["zoe"] and not list(folder.iterdir())


@pytest.mark.parametrize("doubtful", [False, True])
def test_with_its_text(add, folder, monkeypatch, doubtful):
    said = phonemize("No pain, no gain.")

    class Aligner:
        def __init__(self, codec):
            self.doubtful = doubtful

        def __call__(self, wav, heard):
            assert heard == said
            n = len(said.symbols)
            return list(zip(said.symbols, [200 - 5 * (n - 1)] + [5] * (n - 1), strict=True))

    monkeypatch.setattr(clips, "ClipAligner", Aligner)
    done = add(text="No pain, no gain.")
    assert ("does not seem to say this text" in done) == doubtful
    assert Voice.load(folder / "ann.safetensors").phonemes == said.symbols
    assert "ˈeɪ" in demo_voicing.card("ann")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"consent": False}, "tick the box first"),
        ({"consent": None}, "tick the box first"),
        ({"path": None}, "no clip yet"),
        ({"name": ""}, "no name yet"),
        ({"name": None}, "no name yet"),
        ({"name": "../ann"}, "lower-case letters"),
        ({"name": "zoe"}, "is the name of a shipped voice"),
        ({"text": "?!"}, "nothing to say"),
        ({"text": "a" * 1001}, "1,001 characters"),
    ],
)
def test_what_makes_no_voice(add, folder, given, words):
    with pytest.raises(MynahError) as caught:
        add(**given)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not folder.exists()


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
    wav = (loudness * np.random.default_rng(0).normal(0, 1, round(16_000 * seconds))).astype(np.float32)
    soundfile.write(tmp_path / "bad.wav", wav, 16_000, subtype="FLOAT")
    with pytest.raises(MynahError) as caught:
        add(path=tmp_path / "bad.wav")
    assert str(caught.value).startswith("bad.wav: ") and words in str(caught.value)
    assert not folder.exists()


def test_what_cannot_be_removed_or_shown(folder):
    for name, words in (
        (None, "no voice chosen"),
        ("zoe", "is a shipped voice"),
        ("../zoe", "is no voice; there are: zoe"),
    ):
        with pytest.raises(MynahError, match=words):
            demo_voicing.remove(name)
    with pytest.raises(MynahError, match="is no voice"):
        demo_voicing.card("shipped/zoe.safetensors")
    folder.mkdir()
    (folder / "bad.safetensors").write_bytes(b"x")
    assert "not a voice" in demo_voicing.listed()[1][2]


def test_its_endpoints(tiny_demo_url, clip, tmp_path):
    """A voice is made, seen by others, spoken in, and gone again."""
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    client = Client(tiny_demo_url, verbose=False, download_files=tmp_path / "got")
    before = client.predict(api_name="/voices")
    assert [row[0] for row in before if row[1] == "yours"] == ["ann"]
    made = ("bea", handle_file(clip), "")
    with pytest.raises(AppError, match="tick the box first"):
        client.predict(*made, False, api_name="/add_voice")
    told, rows, _ = client.predict(*made, True, api_name="/add_voice")
    assert "bea is there now" in str(told)
    assert [row[0] for row in rows["data"] if row[1] == "yours"] == ["ann", "bea"]
    other = Client(tiny_demo_url, verbose=False, download_files=tmp_path / "got")
    assert "consent" in other.predict("bea", api_name="/voice")
    sound = other.predict("Go on.", "bea", 1.0, 1.0, 0, api_name="/speak")[1]
    with soundfile.SoundFile(sound) as file:
        assert "(voice bea, seed 0)" in file.comment
    client.predict("bea", api_name="/remove_voice")
    assert client.predict(api_name="/voices") == before
    with pytest.raises(AppError, match="'bea' is no voice"):
        client.predict("bea", api_name="/remove_voice")


PUBLIC = """
from mynah.apps import demo
for own_voices in (True, False):
    blocks = demo.build(own_voices, "mynah-lm", "mynah-durations", None)
    print(*{fn.api_name for fn in blocks.fns.values() if fn.api_visibility == "public"})
"""


def test_whoever_comes_over_the_network_cannot_change_voices(python_program):
    """In a process of its own: Gradio leaves event loops open."""
    pytest.importorskip("gradio")
    command = python_program(PUBLIC, "gradio")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    local, open_to_all = (set(line.split()) for line in done.stdout.splitlines())
    assert local - open_to_all == {"add_voice", "remove_voice"}
    assert open_to_all == {"reconstruct", "open", "speak", "continue", "voices", "voice"}
